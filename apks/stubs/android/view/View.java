package android.view;

/** Signatures to compile against; the device has the class itself. */
public class View {
    public boolean post(Runnable action) { throw new UnsupportedOperationException(); }
}
