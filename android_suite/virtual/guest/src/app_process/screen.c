/* The state of the screen: a list that a finger scrolls, with fields, a page for a row and a permission dialog. */
#include "screen.h"

#include <stdlib.h>

#define SLOP_PX 24           /* a finger that moved less has clicked */
#define FLING_PX_S 131       /* slower than this at the end is no fling (50 dp) */
#define FLING_MOST_PX_S 21000
#define FRICTION_PX_S2 8000   /* as far as OverScroller goes with the same speeds, to a third */
#define TRACKED_NS 100000000 /* of the last moves the velocity is taken */
#define MOVES 16
#define LONG_PRESS_NS 500000000

static struct screen shown = {.opened = -1, .focus = -1};
static bool dirty, ended, down, dragging;
static int down_x, down_y, last_y;
static int64_t down_ns, last_frame_ns;
static double velocity_px_s, rest_px; /* rest: what is left of a pixel */
static int moved_fd = -1;             /* who moved the finger, and waits until the frame after it */
static struct {
    int y;
    int64_t ns;
} moves[MOVES];
static unsigned move_count;

void screen_open(const char *activity) {
    shown = (struct screen){.opened = -1, .focus = -1, .rows_only = strcmp(activity, UI_ACTIVITY) != 0};
    snprintf(shown.activity, sizeof shown.activity, "%s", activity);
    shown.granted = access(GRANTED_FILE, F_OK) == 0;
    dirty = ended = down = dragging = false;
    velocity_px_s = 0;
}

bool screen_moving(void) { return dirty || velocity_px_s != 0; }

bool screen_done(void) {
    bool was = ended;
    ended = false;
    return was;
}

static void scroll_by(long pixels) {
    long most = ROWS * ROW_HEIGHT - LIST_HEIGHT_OF(&shown), to = shown.scroll_px + pixels;
    shown.scroll_px = to < 0 ? 0 : to > most ? most : to;
    if (to < 0 || to > most) velocity_px_s = 0; /* at the edge */
    dirty = true;
}

static void answer_move(void) {
    if (moved_fd < 0) return;
    dprintf(moved_fd, "ok\n");
    close(moved_fd);
    moved_fd = -1;
}

void screen_leave(void) {
    answer_move();
    down = false;
    velocity_px_s = 0;
}

/* A fling slows down by time, so that a slow device draws fewer frames and not longer. */
void screen_frame(int64_t vsync_ns) {
    answer_move();
    int64_t passed_ns = vsync_ns - last_frame_ns;
    last_frame_ns = vsync_ns;
    dirty = false;
    if (shown.rows_only) shown.scroll_px += 17; /* ROW_STEP_PX of the APK's activities */
    if (velocity_px_s == 0) return;
    for (int64_t ns = passed_ns < 50000000 ? passed_ns : 50000000; ns > 0; ns -= 1000000) {
        rest_px += velocity_px_s * 0.001;
        double slower = FRICTION_PX_S2 * 0.001;
        velocity_px_s = velocity_px_s > slower ? velocity_px_s - slower : velocity_px_s < -slower ? velocity_px_s + slower : 0;
    }
    long whole = (long)rest_px;
    rest_px -= (double)whole;
    scroll_by(whole);
    dirty = false;
}

static void answer_dialog(bool allowed) {
    shown.dialog = false;
    shown.asked = true;
    shown.granted = allowed;
    if (allowed) close(open(GRANTED_FILE, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static void click(int x, int y) {
    long row = 0;
    switch (screen_hit(&shown, x, y, &row)) {
    case AT_FIELD: shown.focus = shown.opened >= 0; break;
    case AT_ASK: shown.dialog = !shown.granted; break;
    case AT_DONE: ended = true; break;
    case AT_ROW:
        shown.opened = row;
        shown.focus = -1;
        shown.fields[1][0] = 0;
        break;
    case AT_CLOSE: screen_back(); break;
    case AT_ALLOW: answer_dialog(true); break;
    case AT_DENY: answer_dialog(false); break;
    case AT_NOTHING: return;
    }
    dirty = true;
}

bool screen_back(void) {
    bool open = shown.dialog || shown.opened >= 0;
    if (shown.dialog)
        answer_dialog(false); /* leaving the dialog is no consent */
    else
        shown.opened = -1;
    shown.focus = -1;
    dirty = dirty || open;
    return open;
}

static double measure_velocity(int64_t now) {
    unsigned first = move_count > MOVES ? move_count - MOVES : 0;
    while (first < move_count && moves[first % MOVES].ns < now - TRACKED_NS) first++;
    if (move_count < first + 2) return 0;
    int64_t ns = moves[(move_count - 1) % MOVES].ns - moves[first % MOVES].ns;
    double v = ns > 0 ? (double)(moves[first % MOVES].y - moves[(move_count - 1) % MOVES].y) * 1e9 / (double)ns : 0;
    if (v > FLING_MOST_PX_S) v = FLING_MOST_PX_S;
    if (v < -FLING_MOST_PX_S) v = -FLING_MOST_PX_S;
    return v > FLING_PX_S || v < -FLING_PX_S ? v : 0;
}

static void touch(int action, int x, int y, int64_t ns) {
    if (action == TOUCH_DOWN) {
        down = true;
        dragging = false;
        velocity_px_s = 0;
        down_x = x;
        down_y = last_y = y;
        down_ns = ns;
        move_count = 0;
    }
    if (!down) return;
    moves[move_count % MOVES].y = y;
    moves[move_count++ % MOVES].ns = ns;
    if (!dragging && abs(y - down_y) > SLOP_PX) dragging = true;
    if (dragging && screen_in_list(&shown, down_x, down_y) && y != last_y) scroll_by(last_y - y);
    last_y = y;
    if (action != TOUCH_UP) return;
    down = false;
    if (!dragging && abs(x - down_x) <= SLOP_PX) {
        if (ns - down_ns < LONG_PRESS_NS) click(x, y);
    } else if (dragging && screen_in_list(&shown, down_x, down_y)) {
        velocity_px_s = measure_velocity(ns);
        last_frame_ns = ns;
        rest_px = 0;
    }
}

static bool type_text(const char *text) {
    if (shown.focus < 0 || shown.dialog) return false;
    char *field = shown.fields[shown.focus];
    size_t n = strlen(field), room = sizeof shown.fields[0] - 1 - n, bytes = strlen(text);
    if (bytes > room) bytes = room;
    while (bytes && bytes < strlen(text) && ((unsigned char)text[bytes] & 0xc0) == 0x80) bytes--; /* no half of a character */
    memcpy(field + n, text, bytes);
    field[n + bytes] = 0;
    return dirty = true;
}

static bool erase(bool all) {
    if (shown.focus < 0) return false;
    char *field = shown.fields[shown.focus];
    size_t n = strlen(field);
    if (all) n = 0;
    while (n && ((unsigned char)field[--n] & 0xc0) == 0x80) {}
    field[n] = 0;
    return dirty = true;
}

/* "%25" in what was sent is '%', "%09" a tab: the request's own separators cannot be in it. */
static void unescape(char *text) {
    char *to = text;
    for (const char *c = text; *c; c++) {
        unsigned code;
        if (*c == '%' && sscanf(c + 1, "%2x", &code) == 1 && c[1] && c[2]) {
            *to++ = (char)code;
            c += 2;
        } else
            *to++ = *c;
    }
    *to = 0;
}

bool screen_take(const struct request *request) {
    int action, x, y;
    bool done = true, move = false;
    if (strcmp(request->verb, "tree") == 0) {
        screen_write(&shown, request->reply_fd, screen_moving() && !shown.rows_only);
        return true;
    }
    atrace_begin("deliverInputEvent src=0x%x", strcmp(request->verb, "touch") ? 0x101 : 0x1002);
    if (strcmp(request->verb, "touch") == 0 && sscanf(request->extras, "%d %d %d", &action, &x, &y) == 3) {
        if (shown.rows_only)
            done = false;
        else
            touch(action, x, y, request->sent_ns);
        move = !shown.rows_only && action == TOUCH_MOVE;
    } else if (strcmp(request->verb, "text") == 0) {
        char text[REQUEST_BYTES];
        snprintf(text, sizeof text, "%s", request->extras);
        unescape(text);
        done = type_text(text);
    } else if (strcmp(request->verb, "erase") == 0)
        done = erase(strcmp(request->extras, "all") == 0);
    else {
        atrace_end();
        return false;
    }
    atrace_end();
    answer_move();
    /* Android hands an app the moves of a finger once a frame, and whoever injected one waits for that. */
    if (move && dirty && (moved_fd = dup(request->reply_fd)) >= 0) return true;
    dprintf(request->reply_fd, done ? "ok\n" : "no\n");
    return true;
}
