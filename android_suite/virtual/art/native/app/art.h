/* What the files of the app on ART share beside app.h. */
#ifndef ART_H
#define ART_H
#include <stdbool.h>
#include <stddef.h>

extern char stress_arguments[256]; /* scenario.c: for Stress, from the last intent */
extern char stress_members[256];   /* heap.c: members of the result line, from the last stress; empty before */
bool stress_refused(const char *arguments, char *error, size_t error_bytes);
int dalvikvm_main(int argc, char **argv);
#endif
