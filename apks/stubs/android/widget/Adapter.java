package android.widget;

/** Signatures to compile against; the device has the class itself. */
public interface Adapter {
    int getCount();

    Object getItem(int position);

    long getItemId(int position);

    android.view.View getView(int position, android.view.View old, android.view.ViewGroup parent);
}
