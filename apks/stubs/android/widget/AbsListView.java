package android.widget;

/** Signatures to compile against; the device has the class itself. */
public abstract class AbsListView extends android.view.ViewGroup {
    public void scrollListBy(int y) { throw new UnsupportedOperationException(); }
}
