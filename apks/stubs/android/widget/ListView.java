package android.widget;

/** Signatures to compile against; the device has the class itself. */
public class ListView extends AbsListView {
    public ListView(android.content.Context context) {}

    public void setAdapter(ListAdapter adapter) { throw new UnsupportedOperationException(); }
}
