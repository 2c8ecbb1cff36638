/* The screen as a picture: boxes and texts of the tree's nodes, in a palette's colours. */
#include "uia.h"

enum colour { WHITE, BLACK, GREY, PALE, BLUE, DARK, LINE };
const unsigned char picture_palette[][3] = {{255, 255, 255}, {33, 33, 33}, {140, 140, 140}, {232, 234, 240}, {26, 115, 232}, {24, 32, 56}, {218, 220, 224}};
const int picture_colours = sizeof picture_palette / sizeof *picture_palette;
#define SCALE 6 /* dots of the screen a dot of the font, unless the text would not fit */
#define MARGIN 36

static void fill(unsigned char *pixels, struct box b, enum colour colour) {
    for (int y = b.top < 0 ? 0 : b.top; y < b.bottom && y < SCREEN_HEIGHT; y++)
        if (b.right > b.left) memset(pixels + y * SCREEN_WIDTH + b.left, colour, (size_t)(b.right - b.left));
}

static void put_glyph(unsigned char *pixels, unsigned character, int x, int y, int scale, struct box clip, enum colour colour) {
    unsigned glyph = character >= 32 && character < 127 ? character - 32 : 95;
    const char *const *band = picture_font + glyph / 16 * FONT_HEIGHT;
    for (int row = 0; row < FONT_HEIGHT; row++)
        for (int column = 0; column < FONT_WIDTH; column++) {
            struct box dot = {x + column * scale, y + row * scale, x + (column + 1) * scale, y + (row + 1) * scale};
            if (band[row][glyph % 16 * (FONT_WIDTH + 1) + (unsigned)column] != '#' || dot.left < clip.left || dot.right > clip.right) continue;
            if (dot.top < clip.top) dot.top = clip.top;
            if (dot.bottom > clip.bottom) dot.bottom = clip.bottom;
            fill(pixels, dot, colour);
        }
}

/* The next character of UTF-8; a typographic apostrophe is drawn as the plain one. */
static unsigned next_character(const char **text) {
    unsigned char first = (unsigned char)*(*text)++;
    if (first < 0x80) return first;
    unsigned code = first & (first >= 0xf0 ? 7 : first >= 0xe0 ? 15 : 31);
    while (((unsigned char)**text & 0xc0) == 0x80) code = code << 6 | ((unsigned char)*(*text)++ & 63);
    return code == 0x2019 ? '\'' : code;
}

static int count_characters(const char *text) {
    int n = 0;
    for (; *text; n++) next_character(&text);
    return n;
}

static void put_text(unsigned char *pixels, const char *text, struct box box, bool centred, enum colour colour) {
    int n = count_characters(text), room = box.right - box.left - 2 * MARGIN, scale = SCALE;
    while (scale > 3 && n * (FONT_WIDTH + 1) * scale > room) scale--;
    int width = n * (FONT_WIDTH + 1) * scale, x = centred && width < room ? (box.left + box.right - width) / 2 : box.left + MARGIN;
    int y = (box.top + box.bottom - FONT_HEIGHT * scale) / 2;
    for (; *text; x += (FONT_WIDTH + 1) * scale) put_glyph(pixels, next_character(&text), x, y, scale, box, colour);
}

static void put_node(unsigned char *pixels, const struct tree *tree, const struct node *n) {
    bool home = strcmp(n->package, HOME_PACKAGE) == 0, window = n->parent < 0;
    struct box b = n->box;
    if (window) {
        fill(pixels, b, home ? DARK : strcmp(n->package, DIALOG_PACKAGE) == 0 ? GREY : WHITE);
    } else if (strcmp(n->class, "android.widget.Button") == 0) {
        fill(pixels, (struct box){b.left + 12, b.top + 12, b.right - 12, b.bottom - 12}, BLUE);
        put_text(pixels, n->text, b, true, WHITE);
    } else if (strcmp(n->class, "android.widget.EditText") == 0) {
        fill(pixels, b, PALE);
        fill(pixels, (struct box){b.left + MARGIN, b.bottom - 12, b.right - MARGIN, b.bottom - 6}, node_has(n, 'F') ? BLUE : GREY);
        put_text(pixels, n->text, b, false, node_has(n, 'h') ? GREY : BLACK);
    } else if (strcmp(n->class, "android.widget.TextView") == 0) {
        bool row = strcmp(tree->nodes[n->parent].class, "android.widget.ListView") == 0;
        struct box whole = b; /* a row at the list's edge is cut off, its text is not moved */
        if (row && b.bottom - b.top < 96) {
            if (b.bottom == tree->nodes[n->parent].box.bottom)
                whole.bottom = b.top + 96;
            else
                whole.top = b.bottom - 96;
        }
        if (row) fill(pixels, (struct box){b.left, b.bottom - 2, b.right, b.bottom}, LINE);
        int y = (whole.top + whole.bottom - FONT_HEIGHT * SCALE) / 2;
        if (row)
            for (const char *c = n->text; *c; c++)
                put_glyph(pixels, (unsigned char)*c, MARGIN + (int)(c - n->text) * (FONT_WIDTH + 1) * SCALE, y, SCALE, b, BLACK);
        else
            put_text(pixels, n->text, b, home, home ? WHITE : BLACK);
    } else if (strcmp(n->class, "android.widget.LinearLayout") == 0)
        fill(pixels, b, WHITE);
}

unsigned char *picture_draw(const struct tree *tree) {
    unsigned char *pixels = calloc(SCREEN_HEIGHT, SCREEN_WIDTH);
    for (int i = 0; pixels && i < tree->count; i++) put_node(pixels, tree, &tree->nodes[i]);
    return pixels;
}

bool screen_capture(FILE *out) {
    static _Thread_local struct tree tree;
    tree_read(&tree);
    unsigned char *pixels = picture_draw(&tree);
    tree_free(&tree);
    if (pixels) png_write(out, pixels, SCREEN_WIDTH, SCREEN_HEIGHT);
    free(pixels);
    return pixels != NULL;
}
