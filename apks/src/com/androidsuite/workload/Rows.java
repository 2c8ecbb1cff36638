package com.androidsuite.workload;

import android.content.Context;
import android.os.Trace;
import android.view.View;
import android.view.ViewGroup;
import android.widget.BaseAdapter;
import android.widget.TextView;

/** A long list of rows of text. Rows are reused as they leave the screen, as every list does it. */
final class Rows extends BaseAdapter {
    private static final int COUNT = 1000000;
    private static final int HEIGHT_PX = 96;
    private final Context context;

    Rows(Context context) {
        this.context = context;
    }

    @Override
    public int getCount() {
        return COUNT;
    }

    @Override
    public Object getItem(int position) {
        return position;
    }

    @Override
    public long getItemId(int position) {
        return position;
    }

    @Override
    public View getView(int position, View old, ViewGroup parent) {
        Trace.beginSection("getView");
        try {
            TextView row = old instanceof TextView ? (TextView) old : new TextView(context);
            row.setText("Row " + position);
            row.setMinHeight(HEIGHT_PX);
            return row;
        } finally {
            Trace.endSection();
        }
    }
}
