package android.widget;

/** Signatures to compile against; the device has the class itself. */
public class TextView extends android.view.View {
    public TextView(android.content.Context context) {}

    public final void setText(CharSequence text) { throw new UnsupportedOperationException(); }

    public final void setHint(CharSequence hint) { throw new UnsupportedOperationException(); }

    public void setMinHeight(int pixels) { throw new UnsupportedOperationException(); }

    public void setSingleLine() { throw new UnsupportedOperationException(); }

    public void setAllCaps(boolean capitals) { throw new UnsupportedOperationException(); }
}
