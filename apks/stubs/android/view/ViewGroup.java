package android.view;

/** Signatures to compile against; the device has the class itself. */
public abstract class ViewGroup extends View {
    public void addView(View child) { throw new UnsupportedOperationException(); }
}
