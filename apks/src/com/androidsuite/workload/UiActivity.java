package com.androidsuite.workload;

import android.content.pm.PackageManager;
import android.os.Build;
import android.view.View;
import android.widget.AbsListView;
import android.widget.AdapterView;
import android.widget.Button;
import android.widget.EditText;
import android.widget.LinearLayout;
import android.widget.ListView;
import android.widget.TextView;

/**
 * A list, text fields and a permission dialog that fingers drive, while threads allocate and the collector frees.
 *
 * <p>A click on a row opens its page; BACK and Close lead back. Done ends the scenario. Leaving the activity does not.
 */
public final class UiActivity extends ScenarioActivity {
    private static final int ASKED = 1;

    private StressThreads threads;
    private LinearLayout listPage;
    private LinearLayout rowPage;
    private TextView status;
    private TextView title;
    private EditText note;

    @Override
    String scenario() {
        return "ui_scroll";
    }

    @Override
    long defaultDurationMs() {
        return 600000;
    }

    @Override
    boolean isDriven() {
        return true;
    }

    @Override
    View createContent(ListView list) {
        status = text(R.id.status, statusText("not asked"));
        LinearLayout buttons = new LinearLayout(this);
        buttons.addView(button(R.id.ask, "Ask for permission", new Runnable() {
            @Override
            public void run() {
                ask();
            }
        }));
        buttons.addView(button(R.id.done, "Done", new Runnable() {
            @Override
            public void run() {
                finishScenario(true);
            }
        }));
        list.setId(R.id.rows);
        list.setOnItemClickListener(new AdapterView.OnItemClickListener() {
            @Override
            public void onItemClick(AdapterView<?> parent, View view, int position, long id) {
                openRow(position);
            }
        });
        list.setOnScrollListener(new AbsListView.OnScrollListener() {
            @Override
            public void onScrollStateChanged(AbsListView view, int state) {}

            @Override
            public void onScroll(AbsListView view, int first, int visible, int total) {
                buildFrame(); // the work of a frame, as the other activities do it at every vsync
            }
        });
        listPage = page(field(R.id.field, "Type here"), buttons, status, list);

        title = text(R.id.title, "");
        note = field(R.id.note, "Write a note");
        rowPage = page(note, title, button(R.id.close, "Close", new Runnable() {
            @Override
            public void run() {
                showList();
            }
        }));
        LinearLayout content = page(listPage, rowPage);
        showList();
        return content;
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

    @Override
    public void onBackPressed() {
        if (rowPage.getVisibility() == View.VISIBLE) {
            showList();
        } else {
            super.onBackPressed();
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        status.setText(statusText("denied"));
    }

    private void ask() {
        if (isAllowed()) {
            status.setText(statusText(""));
        } else {
            requestPermissions(new String[] {permission()}, ASKED);
        }
    }

    private String statusText(String otherwise) {
        return "Permission: " + (isAllowed() ? "allowed" : otherwise);
    }

    private boolean isAllowed() {
        return checkSelfPermission(permission()) == PackageManager.PERMISSION_GRANTED;
    }

    /** One that the device asks about: Android 13 brought the first of these and no longer asks for the second. */
    private static String permission() {
        return Build.VERSION.SDK_INT >= 33
                ? "android.permission.POST_NOTIFICATIONS"
                : "android.permission.READ_EXTERNAL_STORAGE";
    }

    private void openRow(int position) {
        title.setText("Row " + position);
        note.setText("");
        listPage.setVisibility(View.GONE);
        rowPage.setVisibility(View.VISIBLE);
    }

    private void showList() {
        rowPage.setVisibility(View.GONE);
        listPage.setVisibility(View.VISIBLE);
    }

    private LinearLayout page(View... children) {
        LinearLayout page = new LinearLayout(this);
        page.setOrientation(LinearLayout.VERTICAL);
        for (View child : children) {
            page.addView(child);
        }
        return page;
    }

    private TextView text(int id, String content) {
        TextView text = new TextView(this);
        text.setId(id);
        text.setText(content);
        return text;
    }

    private EditText field(int id, String hint) {
        EditText field = new EditText(this);
        field.setId(id);
        field.setHint(hint);
        field.setSingleLine();
        return field;
    }

    private Button button(int id, String label, final Runnable action) {
        Button button = new Button(this);
        button.setId(id);
        button.setText(label);
        button.setAllCaps(false);
        button.setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                action.run();
            }
        });
        return button;
    }
}
