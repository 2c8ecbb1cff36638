/* The tree of what is on the screen: the app's own account of it, or the home screen where no app is in front. */
#include "uia.h"

#define IDLE_MS 3000 /* nothing that moves by a finger moves longer */

static char *unescape(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    unsigned code;
    for (; copy && *text; text++) {
        if (*text == '%' && text[1] && text[2] && sscanf(text + 1, "%2x", &code) == 1) {
            *to++ = (char)code;
            text += 2;
        } else
            *to++ = *text;
    }
    if (copy) *to = 0;
    return copy;
}

static void add_node(struct tree *tree, char *line) {
    char *part[10], *rest = line;
    int n = 0;
    while (n < 9 && (part[n] = strsep(&rest, "\t"))) n++;
    if (n < 9 || !rest || tree->count == NODES) return;
    struct node *node = &tree->nodes[tree->count];
    int depth = atoi(part[0]), parent = tree->count - 1;
    while (parent >= 0 && tree->nodes[parent].depth >= depth) parent = tree->nodes[parent].parent;
    *node = (struct node){.parent = parent, .depth = depth, .box = {atoi(part[4]), atoi(part[5]), atoi(part[6]), atoi(part[7])}};
    node->index = parent >= 0 ? tree->nodes[parent].children++ : 0;
    snprintf(node->class, sizeof node->class, "%s", part[1]);
    snprintf(node->flags, sizeof node->flags, "%s", part[3]);
    snprintf(node->package, sizeof node->package, "%s", part[8]);
    if (*part[2]) snprintf(node->resource, sizeof node->resource, "%.60s:id/%.60s", part[8], part[2]);
    if ((node->text = unescape(rest))) tree->count++;
}

static char *read_all(int fd) {
    size_t bytes = 0, room = 16384;
    char *text = malloc(room);
    for (ssize_t n; text && (n = read(fd, text + bytes, room - bytes - 1)) > 0;) {
        bytes += (size_t)n;
        if (bytes + 1 < room) continue;
        char *larger = realloc(text, room *= 2);
        if (!larger) break;
        text = larger;
    }
    if (text) text[bytes] = 0;
    return text;
}

static void add_home(struct tree *tree) {
    char nodes[][128] = {
        "0\tandroid.widget.FrameLayout\t\t\t0\t0\t1080\t1920\t" HOME_PACKAGE "\t",
        "1\tandroid.widget.GridLayout\tworkspace\t\t0\t0\t1080\t1920\t" HOME_PACKAGE "\t",
        "2\tandroid.widget.TextView\ticon\tkf\t90\t720\t990\t880\t" HOME_PACKAGE "\t" APP_LABEL,
        "2\tandroid.widget.TextView\ticon\tkf\t90\t920\t990\t1080\t" HOME_PACKAGE "\t" BACKGROUND_LABEL,
    };
    for (int i = 0; i < 4; i++) add_node(tree, nodes[i]);
    strcpy(tree->package, HOME_PACKAGE);
    strcpy(tree->activity, HOME_ACTIVITY);
}

bool tree_read(struct tree *tree) {
    int fd = app_connect_front();
    char *text = fd >= 0 && app_send(fd, "tree\t\t0\t\n") ? read_all(fd) : NULL, *rest = text;
    if (fd >= 0) close(fd);
    tree->count = 0;
    tree->moving = false;
    char *line = rest ? strsep(&rest, "\n") : NULL, *state = line ? strsep(&line, "\t") : NULL, *package = strsep(&line, "\t"), *activity = line;
    bool app = activity != NULL;
    if (app) {
        tree->moving = strcmp(state, "moving") == 0;
        for (char *node; (node = strsep(&rest, "\n"));) add_node(tree, node);
        snprintf(tree->package, sizeof tree->package, "%s", package);
        snprintf(tree->activity, sizeof tree->activity, "%s%.90s", *activity == '.' ? package : "", activity);
    } else
        add_home(tree);
    free(text);
    return app;
}

void tree_read_still(struct tree *tree) {
    int64_t until = clock_ns(CLOCK_MONOTONIC) + IDLE_MS * INT64_C(1000000);
    struct timespec pause = {0, 30000000};
    for (tree_read(tree); tree->moving && clock_ns(CLOCK_MONOTONIC) < until; tree_read(tree)) {
        tree_free(tree);
        nanosleep(&pause, NULL);
    }
}

void tree_free(struct tree *tree) {
    for (int i = 0; i < tree->count; i++) free(tree->nodes[i].text);
    tree->count = 0;
}

bool node_has(const struct node *node, char flag) { return strchr(node->flags, flag) != NULL; }


static void put_attribute(FILE *out, const char *name, const char *text) {
    fprintf(out, " %s=\"", name);
    for (; *text; text++) {
        if (*text == '&' || *text == '<' || *text == '>' || *text == '"' || (unsigned char)*text < 32)
            fprintf(out, "&#%d;", *text == '\t' || *text == '\n' || *text == '\r' || *text >= 32 ? *text : 0xfffd);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void put_flag(FILE *out, const char *name, bool set) { fprintf(out, " %s=\"%s\"", name, set ? "true" : "false"); }

static void put_node(const struct tree *tree, int which, FILE *out, int max_depth) {
    const struct node *n = &tree->nodes[which];
    fprintf(out, "<node index=\"%d\"", n->index);
    put_attribute(out, "text", n->text);
    put_attribute(out, "resource-id", n->resource);
    put_attribute(out, "class", n->class);
    put_attribute(out, "package", n->package);
    put_attribute(out, "content-desc", "");
    put_flag(out, "checkable", false);
    put_flag(out, "checked", false);
    put_flag(out, "clickable", node_has(n, 'k'));
    put_flag(out, "enabled", true);
    put_flag(out, "focusable", node_has(n, 'f'));
    put_flag(out, "focused", node_has(n, 'F'));
    put_flag(out, "scrollable", node_has(n, 's'));
    put_flag(out, "long-clickable", node_has(n, 'l'));
    put_flag(out, "password", false);
    put_flag(out, "selected", false);
    put_flag(out, "visible-to-user", true);
    fprintf(out, " bounds=\"[%d,%d][%d,%d]\">", n->box.left, n->box.top, n->box.right, n->box.bottom);
    for (int i = which + 1; i < tree->count && tree->nodes[i].depth > n->depth; i++)
        if (tree->nodes[i].parent == which && tree->nodes[i].depth <= max_depth) put_node(tree, i, out, max_depth);
    fputs("</node>", out);
}

void tree_write_xml(const struct tree *tree, FILE *out, int max_depth) {
    fputs("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<hierarchy rotation=\"0\">", out);
    for (int i = 0; i < tree->count; i++)
        if (tree->nodes[i].parent < 0) put_node(tree, i, out, max_depth);
    fputs("</hierarchy>", out);
}
