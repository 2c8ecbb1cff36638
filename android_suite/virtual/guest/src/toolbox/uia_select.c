/* UiSelector: which nodes of a tree a selector of uiautomator2 means. */
#include "uia.h"

#include <regex.h>

enum how { EQUALS, CONTAINS, MATCHES, STARTS };
enum what { TEXT, CLASS, DESCRIPTION, PACKAGE_NAME, RESOURCE };
static const struct {
    unsigned mask;
    const char *key;
    enum what what;
    enum how how;
} texts[] = {
    {0x01, "text", TEXT, EQUALS},
    {0x02, "textContains", TEXT, CONTAINS},
    {0x04, "textMatches", TEXT, MATCHES},
    {0x08, "textStartsWith", TEXT, STARTS},
    {0x10, "className", CLASS, EQUALS},
    {0x20, "classNameMatches", CLASS, MATCHES},
    {0x40, "description", DESCRIPTION, EQUALS},
    {0x80, "descriptionContains", DESCRIPTION, CONTAINS},
    {0x100, "descriptionMatches", DESCRIPTION, MATCHES},
    {0x200, "descriptionStartsWith", DESCRIPTION, STARTS},
    {0x080000, "packageName", PACKAGE_NAME, EQUALS},
    {0x100000, "packageNameMatches", PACKAGE_NAME, MATCHES},
    {0x200000, "resourceId", RESOURCE, EQUALS},
    {0x400000, "resourceIdMatches", RESOURCE, MATCHES},
};
static const struct {
    unsigned mask;
    const char *key;
    char flag; /* 0: true of no node here; 'e': of every one */
} flags[] = {
    {0x0400, "checkable", 0},    {0x0800, "checked", 0},  {0x1000, "clickable", 'k'},   {0x2000, "longClickable", 'l'}, {0x4000, "scrollable", 's'},
    {0x8000, "enabled", 'e'}, {0x010000, "focusable", 'f'}, {0x020000, "focused", 'F'}, {0x040000, "selected", 0},
};
#define MASK_INDEX 0x800000u
#define MASK_INSTANCE 0x01000000u

/* Java's \d, \w and \s in POSIX's words; the whole text must match, as with Pattern.matches. */
static bool matches(const char *pattern, const char *text) {
    char *posix = malloc(strlen(pattern) * 12 + 8), *to = posix;
    regex_t compiled;
    if (!posix) return false;
    to += sprintf(to, "^(");
    for (const char *c = pattern; *c; c++) {
        const char *class = *c != '\\' ? NULL : c[1] == 'd' ? "[0-9]" : c[1] == 'w' ? "[A-Za-z0-9_]" : c[1] == 's' ? "[ \t\r\n]" : NULL;
        if (class) {
            to += sprintf(to, "%s", class);
            c++;
        } else {
            *to++ = *c;
            if (*c == '\\' && c[1]) *to++ = *++c;
        }
    }
    strcpy(to, ")$");
    bool good = regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB) == 0, found = good && regexec(&compiled, text, 0, NULL, 0) == 0;
    if (good) regfree(&compiled);
    free(posix);
    return found;
}

static const char *part_of(const struct node *node, enum what what) {
    switch (what) {
    case TEXT: return node->text;
    case CLASS: return node->class;
    case PACKAGE_NAME: return node->package;
    case RESOURCE: return node->resource;
    case DESCRIPTION: break;
    }
    return "";
}

static bool fits(const struct node *node, const struct json *selector) {
    unsigned mask = (unsigned)json_number(json_get(selector, "mask"), 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!(mask & texts[i].mask)) continue;
        const char *wanted = json_text(json_get(selector, texts[i].key)), *part = part_of(node, texts[i].what);
        bool good = texts[i].how == EQUALS     ? strcmp(part, wanted) == 0
                    : texts[i].how == CONTAINS ? strcasestr(part, wanted) != NULL
                    : texts[i].how == STARTS   ? strncasecmp(part, wanted, strlen(wanted)) == 0
                                               : matches(wanted, part);
        if (!good) return false;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!(mask & flags[i].mask)) continue;
        bool has = flags[i].flag == 'e' || (flags[i].flag && node_has(node, flags[i].flag));
        if (has != json_true(json_get(selector, flags[i].key))) return false;
    }
    return !(mask & MASK_INDEX) || node->index == (int)json_number(json_get(selector, "index"), 0);
}

static bool is_below(const struct tree *tree, int node, int root) {
    while (node >= 0 && node != root) node = tree->nodes[node].parent;
    return node == root;
}

/* Nodes below `root` (-1: anywhere), itself not, that the selector's own fields fit; one of them if it names an instance. */
static int select_below(const struct tree *tree, const struct json *selector, int root, int found[NODES]) {
    int n = 0;
    for (int i = 0; i < tree->count; i++)
        if (i != root && (root < 0 || is_below(tree, i, root)) && fits(&tree->nodes[i], selector)) found[n++] = i;
    if (!((unsigned)json_number(json_get(selector, "mask"), 0) & MASK_INSTANCE)) return n;
    int instance = (int)json_number(json_get(selector, "instance"), 0);
    if (instance < 0 || instance >= n) return 0;
    found[0] = found[instance];
    return 1;
}

int select_nodes(const struct tree *tree, const struct json *selector, int found[NODES]) {
    const struct json *ways = json_get(selector, "childOrSibling"), *further = json_get(selector, "childOrSiblingSelector");
    int n = select_below(tree, selector, -1, found);
    for (int i = 0; n > 0 && json_at(ways, i) && json_at(further, i); i++) {
        bool sibling = strcmp(json_text(json_at(ways, i)), "sibling") == 0;
        int holders[NODES], count = n;
        memcpy(holders, found, sizeof holders);
        /* The first node that has such a child, as UiAutomator goes on looking when one has none. */
        for (int h = n = 0; h < count && n == 0; h++) {
            int root = sibling ? tree->nodes[holders[h]].parent : holders[h];
            if (!sibling || root >= 0) n = select_below(tree, json_at(further, i), root, found);
        }
    }
    return n;
}
