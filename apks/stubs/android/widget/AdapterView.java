package android.widget;

/** Signatures to compile against; the device has the class itself. */
public abstract class AdapterView<T extends Adapter> extends android.view.ViewGroup {
    public interface OnItemClickListener {
        void onItemClick(AdapterView<?> parent, android.view.View view, int position, long id);
    }

    public void setOnItemClickListener(OnItemClickListener listener) { throw new UnsupportedOperationException(); }
}
