package com.androidsuite.workload;

/** Scrolls a list while threads allocate and the collector frees. */
public final class GcStressActivity extends ScenarioActivity {
    private StressThreads threads;

    @Override
    String scenario() {
        return "gc_stress";
    }

    @Override
    long defaultDurationMs() {
        return 10000;
    }

    @Override
    void begin(Options chosen) {
        threads = new StressThreads(chosen);
        threads.start();
    }

    @Override
    Result end() {
        threads.stop();
        threads.join();
        return threads.describe();
    }
}
