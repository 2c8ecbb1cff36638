package android.view;

/** Signatures to compile against; the device has the class itself. */
public class View {
    public static final int VISIBLE = 0;
    public static final int GONE = 8;

    public interface OnClickListener {
        void onClick(View view);
    }

    public boolean post(Runnable action) { throw new UnsupportedOperationException(); }

    public boolean postDelayed(Runnable action, long delayMillis) { throw new UnsupportedOperationException(); }

    public void setId(int id) { throw new UnsupportedOperationException(); }

    public void setVisibility(int visibility) { throw new UnsupportedOperationException(); }

    public int getVisibility() { throw new UnsupportedOperationException(); }

    public void setOnClickListener(OnClickListener listener) { throw new UnsupportedOperationException(); }
}
