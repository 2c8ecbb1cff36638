/* The native heap, as scudo keeps it: freed blocks stay resident until the allocator is told to purge. And what trimming memory does. */
#include "app.h"

#include <stdlib.h>
#include <sys/mman.h>

#define NATIVE_BYTES (64 * MIB)
#define RUN_BYTES (64 * KIB) /* a purge gives back free runs, one madvise each */
static char *primary;
static size_t cursor, dirty;

/* Blocks that live for a frame, on the main thread: the next frame's come after them, and start over at the end. */
void native_allocate(size_t bytes) {
    if (!primary) primary = mem_map(ROLE_UI, NATIVE_BYTES, PROT_READ | PROT_WRITE, "scudo:primary");
    if (cursor + bytes > NATIVE_BYTES) cursor = 0;
    mem_touch(primary + cursor, bytes, 7);
    cursor += bytes;
    if (cursor > dirty) dirty = cursor;
}

/* mallopt(M_PURGE) */
static void purge(void) {
    for (size_t at = 0; at < dirty; at += RUN_BYTES)
        mem_advise(ROLE_UI, primary + at, dirty - at < RUN_BYTES ? (dirty - at + PAGE - 1) & ~(PAGE - 1) : RUN_BYTES, MADV_DONTNEED);
    cursor = dirty = 0;
}

static int property(const char *name) {
    char path[128], text[32] = "";
    snprintf(path, sizeof path, "/dev/__properties__/%s", name);
    FILE *file = fopen(path, "r");
    if (!file) return INT32_MAX;
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    return text[0] ? atoi(text) : INT32_MAX;
}

/* ActivityThread's handleTrimMemory: from which level on the allocator purges and the collector runs is a matter of two properties. */
void native_trim(int level) {
    atrace_begin("trimMemory: %d", level);
    spin(20000); /* the app's own callbacks */
    if (property("debug.am.run_gc_trim_level") <= level) gc_request();
    if (property("debug.am.run_mallopt_trim_level") <= level) purge();
    atrace_end();
}
