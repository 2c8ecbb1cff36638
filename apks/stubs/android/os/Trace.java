package android.os;

/** Signatures to compile against; the device has the class itself. */
public final class Trace {
    public static void beginSection(String name) { throw new UnsupportedOperationException(); }

    public static void endSection() { throw new UnsupportedOperationException(); }
}
