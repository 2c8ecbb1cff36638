package android.view;

/** Signatures to compile against; the device has the class itself. */
public abstract class Window {
    public interface OnFrameMetricsAvailableListener {
        void onFrameMetricsAvailable(Window window, FrameMetrics metrics, int dropped);
    }

    public final void addOnFrameMetricsAvailableListener(
            OnFrameMetricsAvailableListener listener, android.os.Handler handler) { throw new UnsupportedOperationException(); }
}
