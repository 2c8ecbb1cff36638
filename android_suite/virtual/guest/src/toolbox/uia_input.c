/* Fingers, keys and text, to whatever is in front: the app, or the home screen. */
#include "uia.h"

#include <ctype.h>
#include <pthread.h>

#define STEP_NS 5000000 /* UiAutomator's pause between two moves */

static pthread_mutex_t gesture = PTHREAD_MUTEX_INITIALIZER; /* one finger at a time */

/* Asks the app. `stopped` is set if it has nothing on the screen. */
static bool ask(bool *stopped, const char *verb, int64_t at, const char *extras) {
    char reply[64] = "";
    int fd = app_connect_front();
    bool sent = fd >= 0 && app_send(fd, "%s\t\t%lld\t%s\n", verb, (long long)at, extras) && app_reply(fd, reply, sizeof reply, 10000);
    if (fd >= 0) close(fd);
    *stopped = !sent || strcmp(reply, "stopped") == 0;
    return strcmp(reply, "ok") == 0;
}

bool home_launch(const char *package) {
    char reply[256];
    app_set_front(package);
    int fd = process_connect(package);
    if (fd < 0) fd = process_spawn(package);
    bool started = fd >= 0 && app_send(fd, "front\t\t%lld\n", (long long)clock_ns(CLOCK_MONOTONIC)) && app_reply(fd, reply, sizeof reply, 20000);
    if (fd >= 0) close(fd);
    return started && strncmp(reply, "ok", 2) == 0;
}

/* The app whose icon is there, NULL for none. */
static const char *find_icon(int x, int y) {
    static struct tree home;
    const char *package = NULL;
    if (!tree_read(&home))
        for (int i = 0; i < home.count; i++) {
            const struct node *n = &home.nodes[i];
            if (node_has(n, 'k') && x >= n->box.left && x < n->box.right && y >= n->box.top && y < n->box.bottom)
                package = strcmp(n->text, APP_LABEL) == 0 ? PACKAGE : BACKGROUND_PACKAGE;
        }
    tree_free(&home);
    return package;
}

static bool touch(enum touch action, int x, int y) {
    static int home_x, home_y;
    char extras[64];
    bool stopped;
    snprintf(extras, sizeof extras, "%d %d %d", action, x, y);
    bool done = ask(&stopped, "touch", clock_ns(CLOCK_MONOTONIC), extras);
    if (!stopped) return done;
    if (action == TOUCH_DOWN) {
        home_x = x;
        home_y = y;
    } else if (action == TOUCH_UP) {
        const char *package = find_icon(x, y);
        if (package && find_icon(home_x, home_y) == package) return home_launch(package);
    }
    return true;
}

bool input_touch(enum touch action, int x, int y) {
    pthread_mutex_lock(&gesture);
    bool done = touch(action, x, y);
    pthread_mutex_unlock(&gesture);
    return done;
}

static void pause_until(int64_t ns) {
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

bool input_click(int x, int y, int hold_ms) {
    pthread_mutex_lock(&gesture);
    bool done = touch(TOUCH_DOWN, x, y);
    pause_until(clock_ns(CLOCK_MONOTONIC) + hold_ms * INT64_C(1000000));
    done &= touch(TOUCH_UP, x, y);
    pthread_mutex_unlock(&gesture);
    return done;
}

bool input_path(const int *points, int count, int steps) {
    pthread_mutex_lock(&gesture);
    int64_t at = clock_ns(CLOCK_MONOTONIC);
    bool done = count > 0 && touch(TOUCH_DOWN, points[0], points[1]);
    for (int i = 1; i < count && done; i++) {
        const int *from = points + 2 * (i - 1), *to = points + 2 * i;
        for (int s = 1; s <= steps && done; s++) {
            pause_until(at += STEP_NS);
            done = touch(TOUCH_MOVE, from[0] + (to[0] - from[0]) * s / steps, from[1] + (to[1] - from[1]) * s / steps);
        }
    }
    if (count > 0) done &= touch(TOUCH_UP, points[2 * (count - 1)], points[2 * (count - 1) + 1]);
    pthread_mutex_unlock(&gesture);
    return done;
}

bool input_swipe(int x1, int y1, int x2, int y2, int steps) {
    int points[] = {x1, y1, x2, y2};
    if (input_path(points, 2, steps > 0 ? steps : 1)) return true;
    /* An activity that scrolls by itself takes a finger as so much more to draw, for as long as it is there. */
    char front[128], length_ms[16], reply[128];
    snprintf(length_ms, sizeof length_ms, "%d", steps * 5);
    if (!app_in_front(front, sizeof front) || process_request(front, "swipe", length_ms, reply, sizeof reply)) return false;
    pause_until(clock_ns(CLOCK_MONOTONIC) + steps * INT64_C(5000000));
    return true;
}

bool input_text(const char *text) {
    char escaped[REQUEST_BYTES - 64], *to = escaped;
    bool stopped;
    for (; *text && to < escaped + sizeof escaped - 4; text++)
        to += sprintf(to, (unsigned char)*text < 32 || *text == '%' ? "%%%02X" : "%c", (unsigned char)*text);
    *to = 0;
    return ask(&stopped, "text", clock_ns(CLOCK_MONOTONIC), escaped);
}

bool input_erase(bool all) {
    bool stopped;
    return ask(&stopped, "erase", clock_ns(CLOCK_MONOTONIC), all ? "all" : "one");
}

int key_code(const char *name) {
    static const struct {
        const char *name;
        int code;
    } keys[] = {{"home", KEY_HOME},  {"back", KEY_BACK},   {"dpad_up", 19},  {"up", 19},           {"dpad_down", 20},  {"down", 20},
                {"dpad_left", 21},   {"left", 21},         {"dpad_right", 22}, {"right", 22},      {"dpad_center", 23}, {"center", 23},
                {"volume_up", 24},   {"volume_down", 25},  {"power", 26},    {"camera", 27},       {"enter", KEY_ENTER}, {"del", KEY_DEL},
                {"delete", KEY_DEL}, {"menu", 82},         {"search", 84},   {"volume_mute", 164}, {"app_switch", 187}, {"recent", 187},
                {"sleep", 223},      {"wakeup", 224}};
    if (strncasecmp(name, "KEYCODE_", 8) == 0) name += 8;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcasecmp(name, keys[i].name) == 0) return keys[i].code;
    return isdigit((unsigned char)*name) ? atoi(name) : -1;
}

bool input_key(int code) {
    char reply[128];
    if (code == KEY_HOME || code == KEY_BACK) app_request(code == KEY_HOME ? "home" : "back", reply, sizeof reply);
    if (code == KEY_DEL) input_erase(false);
    return code > 0; /* any other key reaches nobody here, as a key that no window handles does on a phone */
}
