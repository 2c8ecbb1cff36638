/* UiScrollable: a list is scrolled by swipes inside of it until it shows what is looked for. */
#include "uia.h"

#define FLING_STEPS 5
#define SCROLL_STEPS 55
#define MOST_SWIPES 30 /* UiScrollable's own limit of a search */

/* One swipe along the list, a tenth away from its edges; whether it moved. */
static bool swipe_once(const struct json *selector, bool vertical, bool forward, int steps, bool *moved, struct failure *failure) {
    static _Thread_local struct tree tree;
    int which;
    if (!require_node(selector, &tree, &which, failure)) return false;
    struct box b = tree.nodes[which].box;
    int width = b.right - b.left, height = b.bottom - b.top, x = b.left + width / 2, y = b.top + height / 2;
    char *before = NULL, *after = NULL;
    size_t bytes;
    FILE *out = open_memstream(&before, &bytes);
    tree_write_xml(&tree, out, NODES);
    fclose(out);
    tree_free(&tree);
    int low = vertical ? b.top + height / 10 : b.left + width / 10, high = vertical ? b.bottom - height / 10 : b.right - width / 10;
    int from = forward ? high : low, to = forward ? low : high;
    if (vertical)
        input_swipe(x, from, x, to, steps);
    else
        input_swipe(from, y, to, y, steps);
    tree_read_still(&tree);
    out = open_memstream(&after, &bytes);
    tree_write_xml(&tree, out, NODES);
    fclose(out);
    tree_free(&tree);
    *moved = strcmp(before, after) != 0;
    free(before);
    free(after);
    return true;
}

static bool is_shown(const struct json *selector) {
    static _Thread_local struct tree tree;
    int found[NODES];
    tree_read_still(&tree);
    bool shown = select_nodes(&tree, selector, found) > 0;
    tree_free(&tree);
    return shown;
}

static bool scroll_to(const struct json *selector, const struct json *wanted, bool vertical, bool *found, struct failure *failure) {
    bool moved = true;
    for (int i = 0; i < MOST_SWIPES && moved && !(*found = is_shown(wanted)); i++)
        if (!swipe_once(selector, vertical, false, SCROLL_STEPS, &moved, failure)) return false;
    moved = true;
    for (int i = 0; i < MOST_SWIPES && moved && !*found; i++) {
        if (!swipe_once(selector, vertical, true, SCROLL_STEPS, &moved, failure)) return false;
        *found = is_shown(wanted);
    }
    return true;
}

bool scroll_call(const char *method, const struct json *params, FILE *out, struct failure *failure) {
    const struct json *selector = json_at(params, 0);
    bool fling = strncmp(method, "fling", 5) == 0, moved = true, found = false;
    if (strcmp(method, "scrollTo") == 0) {
        if (!scroll_to(selector, json_at(params, 1), json_at(params, 2) ? json_true(json_at(params, 2)) : true, &found, failure)) return false;
        fputs(found ? "true" : "false", out);
        return true;
    }
    bool vertical = json_true(json_at(params, 1)), to_edge = strstr(method, "ToBeginning") || strstr(method, "ToEnd");
    bool forward = strstr(method, "Forward") || strstr(method, "ToEnd");
    int swipes = to_edge ? (int)json_number(json_at(params, 2), MOST_SWIPES) : 1;
    int steps = fling ? FLING_STEPS : (int)json_number(json_at(params, to_edge ? 3 : 2), SCROLL_STEPS);
    for (int i = 0; i < swipes && moved; i++)
        if (!swipe_once(selector, vertical, forward, steps, &moved, failure)) return false;
    fputs(to_edge || moved ? "true" : "false", out);
    return true;
}
