package android.content;

/** Signatures to compile against; the device has the class itself. */
public class Intent {
    public Intent(Context context, Class<?> component) { throw new UnsupportedOperationException(); }

    public Intent putExtras(android.os.Bundle extras) { throw new UnsupportedOperationException(); }

    public android.os.Bundle getExtras() { throw new UnsupportedOperationException(); }
}
