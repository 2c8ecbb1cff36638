package android.app;

/** Signatures to compile against; the device has the class itself. */
public abstract class Service extends android.content.Context {
    public static final int START_NOT_STICKY = 2;

    public int onStartCommand(android.content.Intent intent, int flags, int startId) { throw new UnsupportedOperationException(); }

    public void onDestroy() { throw new UnsupportedOperationException(); }

    public final void stopSelf(int startId) { throw new UnsupportedOperationException(); }

    public abstract android.os.IBinder onBind(android.content.Intent intent);
}
