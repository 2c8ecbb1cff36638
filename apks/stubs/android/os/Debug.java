package android.os;

/** Signatures to compile against; the device has the class itself. */
public final class Debug {
    public static String getRuntimeStat(String name) { throw new UnsupportedOperationException(); }
}
