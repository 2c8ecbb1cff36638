package android.os;

/** Signatures to compile against; the device has the class itself. */
public class Process {
    public static final int myPid() { throw new UnsupportedOperationException(); }
}
