/* The screen as a host sees and touches it: for `input`, `screencap`, `dumpsys window`, and the server that uiautomator2 talks to. */
#ifndef UIA_H
#define UIA_H
#include "../include/ui.h"
#include "toolbox.h"

/* uia_json.c: values of a request; freed with its root */
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT };
struct json {
    enum json_type type;
    double number;   /* also 1 or 0 of a boolean */
    char *text;      /* UTF-8 */
    char *key;       /* of a member of an object */
    struct json *first, *next;
};
struct json *json_parse(const char *text);                              /* NULL: it is not JSON */
void json_free(struct json *value);
const struct json *json_get(const struct json *object, const char *key); /* NULL: no such member */
const struct json *json_at(const struct json *list, int index);         /* NULL: shorter */
double json_number(const struct json *value, double otherwise);
const char *json_text(const struct json *value);                        /* "" without one */
bool json_true(const struct json *value);
void json_put_text(FILE *out, const char *text);                        /* quoted */

/* uia_tree.c */
struct box {
    int left, top, right, bottom;
};
struct node {
    int parent, index, depth, children; /* of the tree's nodes; parent -1: a root */
    char class[40], resource[128], package[64], flags[8];
    char *text;
    struct box box;
};
#define NODES 64
struct tree {
    struct node nodes[NODES];
    int count;
    bool moving;
    char package[64], activity[128]; /* in front */
};
bool tree_read(struct tree *tree);        /* the screen as it is */
void tree_read_still(struct tree *tree);  /* once nothing moves any more, as UiAutomator waits for the idle screen */
void tree_free(struct tree *tree);
bool node_has(const struct node *node, char flag);
void tree_write_xml(const struct tree *tree, FILE *out, int max_depth);

/* uia_select.c: the nodes that a selector means, in the tree's order; the number of them */
int select_nodes(const struct tree *tree, const struct json *selector, int found[NODES]);

/* uia_input.c: true if somebody took it */
bool input_touch(enum touch action, int x, int y);
bool input_click(int x, int y, int hold_ms);
bool input_swipe(int x1, int y1, int x2, int y2, int steps); /* a step every 5 ms */
bool input_path(const int *points, int count, int steps);    /* x, y, x, y ...; steps between two points */
bool input_text(const char *text);
bool input_erase(bool all);
bool input_key(int code);
int key_code(const char *name); /* of "home", "KEYCODE_HOME", "HOME" or a number; -1: there is none */
bool home_launch(const char *package); /* what its icon on the home screen does */

/* uia_calls.c: writes the result of a JSON-RPC call, or says why there is none */
struct failure {
    int code;
    const char *message; /* the exception's class, as the server of uiautomator2 says it */
    char data[256];
};
bool call_method(const char *method, const struct json *params, FILE *out, struct failure *failure);
bool scroll_call(const char *method, const struct json *params, FILE *out, struct failure *failure); /* uia_scroll.c */
bool require_node(const struct json *selector, struct tree *tree, int *which, struct failure *failure);

/* picture_font.c */
#define FONT_WIDTH 5 /* and a column between two characters */
#define FONT_HEIGHT 7
#define FONT_BANDS 6
extern const char *const picture_font[FONT_BANDS * FONT_HEIGHT];

/* picture.c, png.c: the screen in colours of a palette, SCREEN_WIDTH * SCREEN_HEIGHT bytes */
unsigned char *picture_draw(const struct tree *tree);
extern const unsigned char picture_palette[][3];
extern const int picture_colours;
void png_write(FILE *out, const unsigned char *pixels, int width, int height);
void base64_write(FILE *out, const unsigned char *data, size_t bytes);
bool screen_capture(FILE *out);
#endif
