package android.app;

/** Signatures to compile against; the device has the class itself. */
public class Activity extends android.content.Context {
    protected void onCreate(android.os.Bundle state) { throw new UnsupportedOperationException(); }

    protected void onStop() { throw new UnsupportedOperationException(); }

    protected void onDestroy() { throw new UnsupportedOperationException(); }

    protected void onNewIntent(android.content.Intent intent) { throw new UnsupportedOperationException(); }

    public android.content.Intent getIntent() { throw new UnsupportedOperationException(); }

    public void setIntent(android.content.Intent intent) { throw new UnsupportedOperationException(); }

    public android.view.Window getWindow() { throw new UnsupportedOperationException(); }

    public android.view.WindowManager getWindowManager() { throw new UnsupportedOperationException(); }

    public void setContentView(android.view.View view) { throw new UnsupportedOperationException(); }

    public void reportFullyDrawn() { throw new UnsupportedOperationException(); }

    public void finish() { throw new UnsupportedOperationException(); }

    public void onBackPressed() { throw new UnsupportedOperationException(); }

    public final void requestPermissions(String[] permissions, int request) { throw new UnsupportedOperationException(); }

    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) { throw new UnsupportedOperationException(); }
}
