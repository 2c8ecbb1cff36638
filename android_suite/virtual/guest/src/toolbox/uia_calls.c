/* The JSON-RPC methods of uiautomator2's server, by name. */
#include "uia.h"

#include <pthread.h>

#define NOT_FOUND "androidx.test.uiautomator.UiObjectNotFoundException"
#define CLICK_MS 50
#define POLL_NS 50000000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char clipboard[TEXT_BYTES * 4];

static bool refuse(struct failure *failure, const char *message, const char *data) {
    failure->code = -32001;
    failure->message = message;
    snprintf(failure->data, sizeof failure->data, "%s", data);
    return false;
}

/* "UiSelector[text=Row 7, className=...]", as the exception says what was not there. */
static void describe(const struct json *selector, char *text, size_t bytes) {
    size_t n = (size_t)snprintf(text, bytes, "UiSelector[");
    for (const struct json *m = selector ? selector->first : NULL; m; m = m->next)
        if (m->type == JSON_TEXT && n < bytes) n += (size_t)snprintf(text + n, bytes - n, "%s%s=%s", text[n - 1] == '[' ? "" : ", ", m->key, m->text);
    if (n < bytes) snprintf(text + n, bytes - n, "]");
}

bool require_node(const struct json *selector, struct tree *tree, int *which, struct failure *failure) {
    int found[NODES];
    tree_read_still(tree);
    if (select_nodes(tree, selector, found) > 0) {
        *which = found[0];
        return true;
    }
    tree_free(tree);
    failure->code = -32002;
    failure->message = NOT_FOUND;
    describe(selector, failure->data, sizeof failure->data);
    return false;
}

static void put_box(FILE *out, const char *name, struct box b) {
    fprintf(out, "\"%s\":{\"left\":%d,\"top\":%d,\"right\":%d,\"bottom\":%d},", name, b.left, b.top, b.right, b.bottom);
}

static void put_info(FILE *out, const struct node *n) {
    static const struct {
        const char *name;
        char flag;
    } flags[] = {{"clickable", 'k'}, {"focusable", 'f'}, {"focused", 'F'}, {"longClickable", 'l'}, {"scrollable", 's'}};
    fputc('{', out);
    put_box(out, "bounds", n->box);
    put_box(out, "visibleBounds", n->box);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) fprintf(out, "\"%s\":%s,", flags[i].name, node_has(n, flags[i].flag) ? "true" : "false");
    fprintf(out, "\"checkable\":false,\"checked\":false,\"enabled\":true,\"selected\":false,\"childCount\":%d,\"contentDescription\":\"\",", n->children);
    fputs("\"className\":", out);
    json_put_text(out, n->class);
    fputs(",\"packageName\":", out);
    json_put_text(out, n->package);
    fputs(",\"resourceName\":", out);
    json_put_text(out, n->resource);
    fputs(",\"text\":", out);
    json_put_text(out, n->text);
    fputc('}', out);
}

static void put_bool(FILE *out, bool value) { fputs(value ? "true" : "false", out); }

static int number_at(const struct json *params, int index) { return (int)json_number(json_at(params, index), 0); }

static int count_of(const struct json *selector, bool still) {
    static _Thread_local struct tree tree;
    int found[NODES];
    if (still)
        tree_read_still(&tree);
    else
        tree_read(&tree);
    int n = select_nodes(&tree, selector, found);
    tree_free(&tree);
    return n;
}

static bool wait_for(const struct json *selector, bool present, int ms) {
    struct timespec pause = {0, POLL_NS};
    int64_t until = clock_ns(CLOCK_MONOTONIC) + ms * INT64_C(1000000);
    while ((count_of(selector, false) > 0) != present) {
        if (clock_ns(CLOCK_MONOTONIC) >= until) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static void put_device(FILE *out) {
    static _Thread_local struct tree tree;
    tree_read(&tree);
    fputs("{\"currentPackageName\":", out);
    json_put_text(out, tree.package);
    tree_free(&tree);
    fprintf(out,
            ",\"displayWidth\":%d,\"displayHeight\":%d,\"displayRotation\":0,\"displaySizeDpX\":411,\"displaySizeDpY\":731,"
            "\"productName\":\"vdev\",\"screenOn\":true,\"sdkInt\":34,\"naturalOrientation\":true}",
            SCREEN_WIDTH, SCREEN_HEIGHT);
}

static bool object_call(const char *method, const struct json *params, FILE *out, struct failure *failure) {
    static _Thread_local struct tree tree;
    const struct json *selector = json_at(params, 0);
    int which;
    if (strcmp(method, "objInfoOfAllInstances") == 0) {
        int found[NODES];
        tree_read_still(&tree);
        int n = select_nodes(&tree, selector, found);
        fputc('[', out);
        for (int i = 0; i < n; i++) {
            if (i) fputc(',', out);
            put_info(out, &tree.nodes[found[i]]);
        }
        fputc(']', out);
        tree_free(&tree);
        return true;
    }
    if (!require_node(selector, &tree, &which, failure)) return false;
    struct node node = tree.nodes[which];
    int x = (node.box.left + node.box.right) / 2, y = (node.box.top + node.box.bottom) / 2;
    if (strcmp(method, "objInfo") == 0)
        put_info(out, &node);
    else if (strcmp(method, "getText") == 0)
        json_put_text(out, node.text);
    else if (strcmp(method, "setText") == 0 || strcmp(method, "clearTextField") == 0) {
        const char *text = *method == 's' ? json_text(json_at(params, 1)) : "";
        bool field = strcmp(node.class, "android.widget.EditText") == 0;
        put_bool(out, field && input_click(x, y, CLICK_MS) && input_erase(true) && (!*text || input_text(text)));
    } else if (strcmp(method, "click") == 0)
        put_bool(out, input_click(x, y, CLICK_MS));
    else { /* dragTo: to a point, or to another node */
        int to_x = number_at(params, 1), to_y = number_at(params, 2), steps = number_at(params, 3);
        const struct json *target = json_at(params, 1);
        tree_free(&tree);
        if (target && target->type == JSON_OBJECT) {
            if (!require_node(target, &tree, &which, failure)) return false;
            to_x = (tree.nodes[which].box.left + tree.nodes[which].box.right) / 2;
            to_y = (tree.nodes[which].box.top + tree.nodes[which].box.bottom) / 2;
            steps = number_at(params, 2);
        }
        put_bool(out, input_swipe(x, y, to_x, to_y, steps));
    }
    tree_free(&tree);
    return true;
}

static void dump(const struct json *params, FILE *out) {
    static _Thread_local struct tree tree;
    char *xml = NULL;
    size_t bytes;
    FILE *text = open_memstream(&xml, &bytes);
    tree_read_still(&tree);
    tree_write_xml(&tree, text, json_at(params, 1) ? number_at(params, 1) : NODES);
    tree_free(&tree);
    fclose(text);
    json_put_text(out, xml);
    free(xml);
}

static void put_screenshot(FILE *out) {
    char *png = NULL;
    size_t bytes;
    FILE *picture = open_memstream(&png, &bytes);
    bool drawn = screen_capture(picture);
    fclose(picture);
    if (drawn) {
        fputc('"', out);
        base64_write(out, (const unsigned char *)png, bytes);
        fputc('"', out);
    } else
        fputs("null", out);
    free(png);
}

static bool swipe_points(const struct json *params) {
    int points[64], n = 0;
    for (const struct json *p; n < 64 && (p = json_at(json_at(params, 0), n)); n++) points[n] = (int)json_number(p, 0);
    int steps = number_at(params, 1);
    return input_path(points, n / 2, steps > 0 ? steps : 1);
}

static void use_clipboard(const char *method, const struct json *params, FILE *out) {
    pthread_mutex_lock(&lock);
    if (*method == 's') {
        snprintf(clipboard, sizeof clipboard, "%s", json_text(json_at(params, 1)));
        fputs("null", out);
    } else if (*method == 'g')
        json_put_text(out, clipboard);
    else
        put_bool(out, input_text(clipboard));
    pthread_mutex_unlock(&lock);
}

static bool is_one_of(const char *method, const char *const *names) {
    for (; *names; names++)
        if (strcmp(method, *names) == 0) return true;
    return false;
}

bool call_method(const char *method, const struct json *params, FILE *out, struct failure *failure) {
    static const char *const objects[] = {"objInfo", "objInfoOfAllInstances", "getText", "setText", "clearTextField", "dragTo", NULL};
    static const char *const scrolls[] = {"scrollForward", "scrollBackward", "scrollToBeginning", "scrollToEnd", "scrollTo", "flingForward",
                                          "flingBackward", "flingToBeginning", "flingToEnd", NULL};
    static const char *const clips[] = {"setClipboard", "getClipboard", "pasteClipboard", NULL};
    /* What this device has not: no shade to open, no toast, nothing that traverses a text, a screen that is always on and never turns. */
    static const char *const absent[] = {"openNotification", "openQuickSettings", "pinchIn", "pinchOut", "gesture", NULL};
    static const char *const silent[] = {"getLastToast", "clearLastToast", "getLastTraversedText", "clearLastTraversedText", "wakeUp", "makeToast",
                                         "freezeRotation", NULL};
    const struct json *first = json_at(params, 0);
    bool on_object = first && first->type == JSON_OBJECT;
    if (is_one_of(method, objects) || (strcmp(method, "click") == 0 && on_object)) return object_call(method, params, out, failure);
    if (is_one_of(method, scrolls)) return scroll_call(method, params, out, failure);
    if (is_one_of(method, clips))
        use_clipboard(method, params, out);
    else if (is_one_of(method, absent))
        fputs("false", out);
    else if (is_one_of(method, silent))
        fputs("null", out);
    else if (strcmp(method, "deviceInfo") == 0)
        put_device(out);
    else if (strcmp(method, "dumpWindowHierarchy") == 0)
        dump(params, out);
    else if (strcmp(method, "takeScreenshot") == 0)
        put_screenshot(out);
    else if (strcmp(method, "exist") == 0)
        put_bool(out, count_of(first, true) > 0);
    else if (strcmp(method, "count") == 0)
        fprintf(out, "%d", count_of(first, true));
    else if (strcmp(method, "waitForExists") == 0 || strcmp(method, "waitUntilGone") == 0)
        put_bool(out, wait_for(first, strcmp(method, "waitForExists") == 0, number_at(params, 1)));
    else if (strcmp(method, "click") == 0)
        put_bool(out, input_click(number_at(params, 0), number_at(params, 1), json_at(params, 2) ? number_at(params, 2) : CLICK_MS));
    else if (strcmp(method, "swipe") == 0 || strcmp(method, "drag") == 0)
        put_bool(out, input_swipe(number_at(params, 0), number_at(params, 1), number_at(params, 2), number_at(params, 3), number_at(params, 4)));
    else if (strcmp(method, "swipePoints") == 0)
        put_bool(out, swipe_points(params));
    else if (strcmp(method, "injectInputEvent") == 0)
        put_bool(out, input_touch((enum touch)number_at(params, 0), number_at(params, 1), number_at(params, 2)));
    else if (strcmp(method, "pressKey") == 0)
        put_bool(out, input_key(key_code(json_text(first))));
    else if (strcmp(method, "pressKeyCode") == 0)
        put_bool(out, input_key(number_at(params, 0)));
    else if (strcmp(method, "clearInputText") == 0)
        put_bool(out, input_erase(true));
    else if (strcmp(method, "setOrientation") == 0 || strcmp(method, "sleep") == 0)
        return refuse(failure, "java.lang.IllegalStateException", "this device's screen does not turn and is always on");
    else {
        refuse(failure, "Method not found", method);
        failure->code = -32601;
        return false;
    }
    return true;
}
