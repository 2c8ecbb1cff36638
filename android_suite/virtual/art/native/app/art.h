/* What the files of the app on ART share beside app.h. */
#ifndef ART_H
#define ART_H
#include "app.h"

extern char stress_arguments[256]; /* scenario.c: for Stress, from the last intent */
extern char stress_members[256];   /* heap.c: members of the result line, from the last stress; empty before */
bool stress_refused(const char *arguments, char *error, size_t error_bytes);
/* heap_options.c: fills `options`, which live for ever; returns their number */
#define HEAP_OPTIONS 6
int heap_options(const char *options[HEAP_OPTIONS]);
void vmas_prepare(const struct parameters *p); /* vmas.c: before the first heap_protect_tail; on the main thread */
/* collector.c */
#define COLLECTOR_CMC "-Xgc:CMC"
#define COLLECTOR_OPTIONS 2
void collector_choose(int argc, char **argv); /* may start the program again */
int collector_options(const char *const *options, int count, const char **more); /* writes up to COLLECTOR_OPTIONS to `more` */
int dalvikvm_main(int argc, char **argv);
#endif
