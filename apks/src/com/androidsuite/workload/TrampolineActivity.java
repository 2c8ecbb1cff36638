package com.androidsuite.workload;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;

/** Starts another activity and finishes without drawing, as the activities behind links and icons do. */
public final class TrampolineActivity extends Activity {
    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        Intent next = new Intent(this, LaunchActivity.class);
        if (getIntent().getExtras() != null) {
            next.putExtras(getIntent().getExtras());
        }
        startActivity(next);
        finish();
    }
}
