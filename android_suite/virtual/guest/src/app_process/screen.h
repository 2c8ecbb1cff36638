/* What the activity in front shows, and what fingers and keys do to it. On the main thread only. */
#ifndef SCREEN_H
#define SCREEN_H
#include "../include/ui.h"
#include "app.h"

void screen_open(const char *activity);            /* a new activity: everything as at first */
bool screen_moving(void);                          /* the next vsync must draw a frame */
void screen_frame(int64_t vsync_ns);               /* before a frame is drawn: moves what moves by itself */
void screen_leave(void);                           /* the activity goes, and with it the finger */
bool screen_back(void);                            /* BACK closes a dialog or a page before it leaves the activity */
bool screen_take(const struct request *request);   /* answers a touch, a text, a key or a question; false: none of these */
bool screen_done(void);                            /* the button that ends a scenario was pressed; true once for each press */
/* screen_view.c */
struct screen {
    char activity[128];
    bool rows_only, dialog, asked, granted; /* rows_only: an activity that scrolls by itself and takes no input */
    long opened;                            /* the row whose page is open, -1: the list */
    long scroll_px;
    int focus;                              /* of the fields, -1: none */
    char fields[2][TEXT_BYTES];             /* of the list's page and of a row's */
};
enum target { AT_NOTHING, AT_FIELD, AT_ASK, AT_DONE, AT_ROW, AT_CLOSE, AT_ALLOW, AT_DENY };
enum target screen_hit(const struct screen *s, int x, int y, long *row);
bool screen_in_list(const struct screen *s, int x, int y);
void screen_write(const struct screen *s, int fd, bool moving);
#define ROWS 1000000L
#define ROW_HEIGHT 96
#define LIST_HEIGHT_OF(s) ((s)->rows_only ? SCREEN_HEIGHT : SCREEN_HEIGHT - 400)
#endif
