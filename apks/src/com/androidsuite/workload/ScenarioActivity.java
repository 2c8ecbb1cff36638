package com.androidsuite.workload;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.os.Debug;
import android.os.Handler;
import android.os.HandlerThread;
import android.os.Process;
import android.util.Log;
import android.view.Choreographer;
import android.view.FrameMetrics;
import android.view.View;
import android.view.Window;
import android.widget.ListView;

/**
 * A list that scrolls at every vsync for as long as the intent asks, and one result line in the log at the end.
 *
 * <p>The intent's extras are those of the virtual device's model (docs/guest.md). One that is out of range is refused:
 * the log says so and the activity ends.
 */
abstract class ScenarioActivity extends Activity implements Choreographer.FrameCallback {
    private static final String TAG = "AndroidSuite";
    private static final int ROW_STEP_PX = 17;

    private Options options;
    private Beside beside;
    private Frames frames;
    private ListView list;
    private HandlerThread metricsThread;
    private volatile long drawn;
    private volatile long late;
    private volatile long overrunMaxNs;
    private long endNs;
    private long gcCount;
    private long gcFreedBytes;
    private boolean running;

    /** Name in the result line. */
    abstract String scenario();

    /** How long the list scrolls where the intent does not say. */
    abstract long defaultDurationMs();

    /** Whether fingers draw the frames: then nothing scrolls by itself, and leaving the activity does not end it. */
    boolean isDriven() {
        return false;
    }

    /** What the activity shows, with the list in it. */
    View createContent(ListView rows) {
        return rows;
    }

    /** Starts what runs beside the frames. */
    void begin(Options chosen) {}

    /** Ends it and tells what it did. */
    Result end() {
        return new Result();
    }

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        list = new ListView(this);
        list.setAdapter(new Rows(this));
        setContentView(createContent(list));
        measureFrames();
        start(getIntent());
        list.post(new Runnable() {
            @Override
            public void run() {
                reportFullyDrawn();
            }
        });
    }

    /** Another intent while one runs: the first one's scenario is over, and not complete. */
    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        if (isDriven() && running && (intent.getExtras() == null || !intent.getExtras().containsKey("token"))) {
            return; // who comes back with nothing new to do goes on
        }
        finishScenario(false);
        setIntent(intent);
        start(intent);
    }

    private void start(final Intent intent) {
        try {
            options = Options.read(new Options.Source() {
                @Override
                public Object get(String key) {
                    Bundle extras = intent.getExtras();
                    return extras == null ? null : extras.get(key);
                }
            });
            beside = new Beside(intent);
        } catch (IllegalArgumentException error) {
            Log.e(TAG, "refused: " + error.getMessage());
            finish();
            return;
        }
        if (intent.getExtras() == null || !intent.getExtras().containsKey("duration_ms")) {
            options.durationMs = defaultDurationMs();
        }
        frames = new Frames(options, beside);
        drawn = 0;
        late = 0;
        overrunMaxNs = 0;
        gcCount = runtimeStat("art.gc.gc-count");
        gcFreedBytes = runtimeStat("art.gc.bytes-freed");
        endNs = System.nanoTime() + options.durationMs * 1000000L;
        running = true;
        begin(options);
        for (int i = 0; i < beside.services; i++) {
            startService(new Intent(this, Services.ALL[i]).putExtras(intent.getExtras()));
        }
        if (isDriven()) {
            list.postDelayed(new Runnable() {
                @Override
                public void run() {
                    if (running && System.nanoTime() >= endNs) {
                        finishScenario(false); // nobody pressed the button that ends it
                    }
                }
            }, options.durationMs);
        } else {
            Choreographer.getInstance().postFrameCallback(this);
        }
    }

    final void buildFrame() {
        if (running) {
            frames.build();
        }
    }

    @Override
    public void doFrame(long frameTimeNanos) {
        if (!running) {
            return;
        }
        if (System.nanoTime() >= endNs) {
            finishScenario(true);
            return;
        }
        frames.build();
        list.scrollListBy(ROW_STEP_PX);
        Choreographer.getInstance().postFrameCallback(this);
    }

    @Override
    protected void onStop() {
        if (!isDriven() && beside != null && !beside.background) {
            finishScenario(false);
        }
        super.onStop();
    }

    @Override
    protected void onDestroy() {
        finishScenario(false);
        metricsThread.quit();
        super.onDestroy();
    }

    final void finishScenario(boolean complete) {
        if (!running) {
            return;
        }
        running = false;
        Result done = end();
        for (int i = 0; i < beside.services; i++) {
            stopService(new Intent(this, Services.ALL[i]));
        }
        Result result = new Result()
                .put("token", options.token)
                .put("scenario", scenario())
                .put("complete", complete)
                .put("seed", options.seed)
                .put("duration_ms", options.durationMs)
                .put("pid", Process.myPid())
                .put("frames", drawn)
                .put("late", late)
                .put("overrun_max_ns", overrunMaxNs)
                .put("gc_cycles", runtimeStat("art.gc.gc-count") - gcCount)
                .put("gc_freed_bytes", runtimeStat("art.gc.bytes-freed") - gcFreedBytes)
                .putAll(done);
        Log.i(TAG, "result " + result.render());
    }

    private static long runtimeStat(String name) {
        String value = Debug.getRuntimeStat(name);
        return value == null || value.isEmpty() ? 0 : Long.parseLong(value);
    }

    /** The system's own times of each frame, on a thread beside the one that draws. */
    private void measureFrames() {
        metricsThread = new HandlerThread("frame-metrics");
        metricsThread.start();
        final long intervalNs = (long) (1e9 / getWindowManager().getDefaultDisplay().getRefreshRate());
        getWindow().addOnFrameMetricsAvailableListener(
                new Window.OnFrameMetricsAvailableListener() {
                    @Override
                    public void onFrameMetricsAvailable(Window window, FrameMetrics metrics, int dropped) {
                        long overrunNs = metrics.getMetric(FrameMetrics.TOTAL_DURATION) - intervalNs;
                        drawn += 1 + dropped;
                        late += overrunNs > 0 ? 1 : 0;
                        overrunMaxNs = Math.max(overrunMaxNs, overrunNs);
                    }
                },
                new Handler(metricsThread.getLooper()));
    }
}
