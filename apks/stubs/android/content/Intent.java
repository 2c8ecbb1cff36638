package android.content;

/** Signatures to compile against; the device has the class itself. */
public class Intent {
    public android.os.Bundle getExtras() { throw new UnsupportedOperationException(); }
}
