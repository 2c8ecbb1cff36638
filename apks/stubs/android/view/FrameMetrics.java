package android.view;

/** Signatures to compile against; the device has the class itself. */
public final class FrameMetrics {
    public static final int TOTAL_DURATION = 8;

    public long getMetric(int id) { throw new UnsupportedOperationException(); }
}
