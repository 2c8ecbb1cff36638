package android.content;

/** Signatures to compile against; the device has the class itself. */
public abstract class Context {
    public ComponentName startService(Intent service) { throw new UnsupportedOperationException(); }

    public boolean stopService(Intent service) { throw new UnsupportedOperationException(); }

    public void startActivity(Intent intent) { throw new UnsupportedOperationException(); }

    public int checkSelfPermission(String permission) { throw new UnsupportedOperationException(); }
}
