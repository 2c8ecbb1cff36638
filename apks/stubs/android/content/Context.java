package android.content;

/** Signatures to compile against; the device has the class itself. */
public abstract class Context {
    public int checkSelfPermission(String permission) { throw new UnsupportedOperationException(); }
}
