package com.androidsuite.workload;

import android.app.Service;
import android.content.Intent;
import android.os.IBinder;
import android.util.Log;

/** A further process of the app: the same stress in the background, beside the one on the screen. */
public class HelperService extends Service {
    private StressThreads threads;

    @Override
    public int onStartCommand(final Intent intent, int flags, int startId) {
        Options options;
        try {
            options = Options.read(new Options.Source() {
                @Override
                public Object get(String key) {
                    return intent == null || intent.getExtras() == null ? null : intent.getExtras().get(key);
                }
            });
        } catch (IllegalArgumentException error) {
            Log.e("AndroidSuite", "refused: " + error.getMessage());
            stopSelf(startId);
            return START_NOT_STICKY;
        }
        stopThreads();
        threads = new StressThreads(options);
        threads.start();
        return START_NOT_STICKY;
    }

    @Override
    public void onDestroy() {
        stopThreads();
        super.onDestroy();
    }

    private void stopThreads() {
        if (threads != null) {
            threads.stop();
            threads.join();
        }
    }

    @Override
    public IBinder onBind(Intent intent) {
        return null;
    }
}
