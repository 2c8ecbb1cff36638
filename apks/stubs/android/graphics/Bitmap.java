package android.graphics;

/** Signatures to compile against; the device has the class itself. */
public final class Bitmap {
    public static Bitmap createBitmap(int width, int height, Config config) { throw new UnsupportedOperationException(); }

    public void eraseColor(int color) { throw new UnsupportedOperationException(); }

    public void recycle() { throw new UnsupportedOperationException(); }

    public enum Config {
        ARGB_8888
    }
}
