package android.util;

/** Signatures to compile against; the device has the class itself. */
public final class Log {
    public static int i(String tag, String message) { throw new UnsupportedOperationException(); }

    public static int e(String tag, String message) { throw new UnsupportedOperationException(); }
}
