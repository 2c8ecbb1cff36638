package android.view;

/** Signatures to compile against; the device has the class itself. */
public final class Choreographer {
    public interface FrameCallback {
        void doFrame(long frameTimeNanos);
    }

    public static Choreographer getInstance() { throw new UnsupportedOperationException(); }

    public void postFrameCallback(FrameCallback callback) { throw new UnsupportedOperationException(); }
}
