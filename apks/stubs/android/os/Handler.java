package android.os;

/** Signatures to compile against; the device has the class itself. */
public class Handler {
    public Handler(Looper looper) {}
}
