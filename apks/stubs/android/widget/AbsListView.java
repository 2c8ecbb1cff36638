package android.widget;

/** Signatures to compile against; the device has the class itself. */
public abstract class AbsListView extends AdapterView<ListAdapter> {
    public interface OnScrollListener {
        void onScrollStateChanged(AbsListView view, int state);

        void onScroll(AbsListView view, int first, int visible, int total);
    }

    public void scrollListBy(int y) { throw new UnsupportedOperationException(); }

    public void setOnScrollListener(OnScrollListener listener) { throw new UnsupportedOperationException(); }
}
