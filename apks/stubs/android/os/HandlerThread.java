package android.os;

/** Signatures to compile against; the device has the class itself. */
public class HandlerThread extends Thread {
    public HandlerThread(String name) {}

    public Looper getLooper() { throw new UnsupportedOperationException(); }

    public boolean quit() { throw new UnsupportedOperationException(); }
}
