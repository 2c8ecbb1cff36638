package android.widget;

/** Signatures to compile against; the device has the class itself. */
public class LinearLayout extends android.view.ViewGroup {
    public static final int VERTICAL = 1;

    public LinearLayout(android.content.Context context) {}

    public void setOrientation(int orientation) { throw new UnsupportedOperationException(); }
}
