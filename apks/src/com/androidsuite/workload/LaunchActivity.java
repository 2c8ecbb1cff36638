package com.androidsuite.workload;

/** What app launches start: a list that scrolls for a second. */
public final class LaunchActivity extends ScenarioActivity {
    @Override
    String scenario() {
        return "app_launch";
    }

    @Override
    long defaultDurationMs() {
        return 1000;
    }
}
