/* A heap shaped like ART's: named spaces, each between two guard pages, so that no two can merge into one VMA. */
#include "app.h"

#include <sys/mman.h>

struct space spaces[SPACES] = {
    [SPACE_MAIN] = {.name = "dalvik-main space (region space)", .bytes = 256 * MIB},
    [SPACE_NON_MOVING] = {.name = "dalvik-non moving space", .bytes = 32 * MIB},
    [SPACE_LARGE] = {.name = "dalvik-free list large object space", .bytes = 64 * MIB},
};
struct space jit_cache = {.name = "dalvik-jit-code-cache", .bytes = 4 * MIB};
pthread_mutex_t mutator_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t cursor, allocated, trigger = SIZE_MAX; /* under mutator_lock */

static void create_space(struct space *space) {
    char *base = mem_map(ROLE_OTHER, space->bytes + 2 * PAGE, PROT_NONE, NULL);
    space->start = base + PAGE;
    mem_protect(ROLE_OTHER, space->start, space->bytes, PROT_READ | PROT_WRITE);
    mem_name(space->start, space->bytes, space->name);
    /* ART's heap has no huge pages; with them an 8 MiB range is four pages and frees in no time. */
    mem_advise(ROLE_OTHER, space->start, space->bytes, MADV_NOHUGEPAGE);
}

void heap_create(void) {
    for (int i = 0; i < SPACES; i++) create_space(&spaces[i]);
    create_space(&jit_cache);
}

/* Takes one page of the main space away from writing and gives it back, as ART and libc do with code and thread stacks: each call
 * splits or merges the VMA, so it has to lock the very VMA that the collector frees from. */
void heap_protect_tail(void) {
    struct space *space = &spaces[SPACE_MAIN];
    char *page = space->start + space->bytes - HEAP_TAIL / 2;
    mem_touch(page, PAGE, 5);
    mem_protect(ROLE_UI, page, PAGE, PROT_READ);
    mem_protect(ROLE_UI, page, PAGE, PROT_READ | PROT_WRITE);
}

void heap_set_trigger(size_t bytes) {
    pthread_mutex_lock(&mutator_lock);
    trigger = bytes;
    allocated = 0;
    pthread_mutex_unlock(&mutator_lock);
}

void heap_collected(void) {
    pthread_mutex_lock(&mutator_lock);
    allocated = 0;
    pthread_mutex_unlock(&mutator_lock);
}

size_t heap_allocated(void) { return __atomic_load_n(&allocated, __ATOMIC_RELAXED); }

/* Under mutator_lock. True: the next collection is due. */
static bool count(size_t bytes) {
    bool before = allocated < trigger;
    allocated += bytes;
    return before && allocated >= trigger;
}

/* Bump allocation through the region space, as ART's CC collector does; the pages are faulted in outside the lock. */
void heap_allocate(size_t bytes) {
    struct space *space = &spaces[SPACE_MAIN];
    pthread_mutex_lock(&mutator_lock);
    if (cursor + bytes > space->bytes) cursor = 0;
    char *object = space->start + cursor;
    cursor += bytes;
    bool collect = count(bytes);
    pthread_mutex_unlock(&mutator_lock);
    mem_touch(object, bytes, 1);
    if (collect) gc_request();
}

void heap_count(size_t bytes) {
    pthread_mutex_lock(&mutator_lock);
    bool collect = count(bytes);
    pthread_mutex_unlock(&mutator_lock);
    if (collect) gc_request();
}
