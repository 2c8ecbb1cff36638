/* Where everything lies on the screen, and its tree as the accessibility service would see it. */
#include "screen.h"

#include <stdlib.h>

struct box {
    int left, top, right, bottom;
};
static const struct box window = {0, 0, SCREEN_WIDTH, SCREEN_HEIGHT}, field_box = {0, 0, 1080, 160}, ask_box = {0, 160, 540, 304},
                        done_box = {540, 160, 1080, 304}, status_box = {0, 304, 1080, 400}, title_box = {0, 160, 1080, 304},
                        close_box = {0, 304, 540, 448}, dialog_box = {60, 680, 1020, 1240}, message_box = {100, 720, 980, 920},
                        allow_box = {100, 940, 980, 1070}, deny_box = {100, 1080, 980, 1210};

static struct box list_box(const struct screen *s) { return (struct box){0, SCREEN_HEIGHT - LIST_HEIGHT_OF(s), 1080, SCREEN_HEIGHT}; }

static bool inside(struct box box, int x, int y) { return x >= box.left && x < box.right && y >= box.top && y < box.bottom; }

bool screen_in_list(const struct screen *s, int x, int y) { return !s->dialog && s->opened < 0 && !s->rows_only && inside(list_box(s), x, y); }

enum target screen_hit(const struct screen *s, int x, int y, long *row) {
    if (s->rows_only) return AT_NOTHING;
    if (s->dialog) return inside(allow_box, x, y) ? AT_ALLOW : inside(deny_box, x, y) ? AT_DENY : AT_NOTHING;
    if (inside(field_box, x, y)) return AT_FIELD;
    if (s->opened >= 0) return inside(close_box, x, y) ? AT_CLOSE : AT_NOTHING;
    if (inside(ask_box, x, y)) return AT_ASK;
    if (inside(done_box, x, y)) return AT_DONE;
    if (!inside(list_box(s), x, y)) return AT_NOTHING;
    *row = (y - list_box(s).top + s->scroll_px) / ROW_HEIGHT;
    return *row < ROWS ? AT_ROW : AT_NOTHING;
}

static void put_text(FILE *out, const char *text) {
    for (; *text; text++) fprintf(out, (unsigned char)*text < 32 || *text == '%' ? "%%%02X" : "%c", (unsigned char)*text);
    fputc('\n', out);
}

/* Flags: k clickable, l long-clickable, f focusable, F focused, s scrollable, h the text is a hint. */
static void node(FILE *out, int depth, const char *class, const char *id, const char *flags, struct box b, const char *text) {
    bool dialog = strncmp(id, "permission_", 11) == 0 || strcmp(id, "dialog") == 0;
    fprintf(out, "%d\tandroid.%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t", depth, class, id, flags, b.left, b.top, b.right, b.bottom,
            dialog ? DIALOG_PACKAGE : package_name);
    put_text(out, text);
}

static void write_field(FILE *out, const struct screen *s, int which, const char *id, const char *hint) {
    char flags[8];
    const char *text = s->fields[which];
    snprintf(flags, sizeof flags, "klf%s%s", s->focus == which ? "F" : "", *text ? "" : "h");
    node(out, 2, "widget.EditText", id, flags, field_box, *text ? text : hint);
}

static void write_dialog(FILE *out) {
    node(out, 0, "widget.FrameLayout", "dialog", "", window, "");
    node(out, 1, "widget.LinearLayout", "dialog", "", dialog_box, "");
    node(out, 2, "widget.TextView", "permission_message", "", message_box, "Allow " APP_LABEL " to send you notifications?");
    node(out, 2, "widget.Button", "permission_allow_button", "kf", allow_box, "Allow");
    node(out, 2, "widget.Button", "permission_deny_button", "kf", deny_box, "Don\xe2\x80\x99t allow");
}

static void write_rows(FILE *out, const struct screen *s) {
    struct box list = list_box(s);
    char text[32];
    node(out, 2, "widget.ListView", "rows", s->rows_only ? "f" : "fs", list, "");
    for (long row = s->scroll_px / ROW_HEIGHT; row < ROWS; row++) {
        int top = list.top + (int)(row * ROW_HEIGHT - s->scroll_px), bottom = top + ROW_HEIGHT;
        if (top >= list.bottom) break;
        struct box box = {0, top > list.top ? top : list.top, 1080, bottom < list.bottom ? bottom : list.bottom};
        snprintf(text, sizeof text, "Row %ld", row);
        node(out, 3, "widget.TextView", "", s->rows_only ? "" : "k", box, text);
    }
}

void screen_write(const struct screen *s, int fd, bool moving) {
    char *text = NULL, title[32];
    size_t bytes = 0, done = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return;
    const char *package = s->dialog ? DIALOG_PACKAGE : package_name, *activity = s->dialog ? DIALOG_ACTIVITY : s->activity;
    fprintf(out, "%s\t%s\t%s\n", moving ? "moving" : "still", package, activity);
    if (s->dialog) {
        write_dialog(out);
    } else {
        node(out, 0, "widget.FrameLayout", "", "", window, "");
        node(out, 1, "widget.LinearLayout", "", "", window, "");
        if (s->opened >= 0) {
            snprintf(title, sizeof title, "Row %ld", s->opened);
            write_field(out, s, 1, "note", "Write a note");
            node(out, 2, "widget.TextView", "title", "", title_box, title);
            node(out, 2, "widget.Button", "close", "kf", close_box, "Close");
        } else {
            if (!s->rows_only) {
                write_field(out, s, 0, "field", "Type here");
                node(out, 2, "widget.Button", "ask", "kf", ask_box, "Ask for permission");
                node(out, 2, "widget.Button", "done", "kf", done_box, "Done");
                node(out, 2, "widget.TextView", "status", "", status_box,
                     s->granted ? "Permission: allowed" : s->asked ? "Permission: denied" : "Permission: not asked");
            }
            write_rows(out, s);
        }
    }
    fclose(out);
    for (ssize_t n; done < bytes && (n = write(fd, text + done, bytes - done)) > 0;) done += (size_t)n;
    free(text);
}
