package android.view;

/** Signatures to compile against; the device has the class itself. */
public final class Display {
    public float getRefreshRate() { throw new UnsupportedOperationException(); }
}
