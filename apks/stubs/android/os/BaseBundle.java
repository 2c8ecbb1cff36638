package android.os;

/** Signatures to compile against; the device has the class itself. */
public class BaseBundle {
    public Object get(String key) { throw new UnsupportedOperationException(); }

    public boolean containsKey(String key) { throw new UnsupportedOperationException(); }
}
