/* A heap shaped like ART's: small objects in regions of 256 KiB, large ones page by page in a space of their own. What is freed and
 * how much of it is resident follows from what was allocated, as with ART; nothing is drawn. Each space lies between two guard pages,
 * so that no two can merge into one VMA. */
#include "app.h"

#include <sys/mman.h>

struct space spaces[SPACES] = {
    [SPACE_MAIN] = {.name = "dalvik-main space (region space)", .bytes = 256 * MIB},
    [SPACE_NON_MOVING] = {.name = "dalvik-non moving space", .bytes = 32 * MIB},
    [SPACE_LARGE] = {.name = "dalvik-free list large object space", .bytes = 512 * MIB},
    [SPACE_MARK_STACK] = {.name = "dalvik-gc mark stack", .bytes = 8 * MIB},
    [SPACE_ALLOCATION_STACK] = {.name = "dalvik-allocation stack", .bytes = 8 * MIB + PAGE},
    [SPACE_BITMAPS] = {.name = "dalvik-live-bitmap region space", .bytes = 12 * MIB},
};
struct space jit_cache = {.name = "dalvik-jit-code-cache", .bytes = 4 * MIB};
pthread_mutex_t mutator_lock = PTHREAD_MUTEX_INITIALIZER;

/* Under mutator_lock. */
#define ROOM 7 /* the heap holds a seventh more than what starts a collection */
#define REGION (256 * KIB)
#define REGIONS 1024
enum region { FREE, USED, FROM }; /* FROM: to be freed once what lives has been copied */
static uint8_t regions[REGIONS];
static size_t region_top, region_end; /* the free part of the region that is being filled, as offsets into the space */
static size_t allocated, flipped; /* bytes that the next collection may free, and those that this one does */
static size_t asked = SIZE_MAX, trigger = SIZE_MAX; /* when a collection starts: about, and the next one */

/* Under large_lock, which the collector holds in each of its calls, as ART's free list does. */
#define BUFFER_BYTES (16 * KIB)
#define LARGE_LEAST (12 * KIB) /* from here on an object is large */
#define LARGE_PAGES (512 * MIB / PAGE)
#define LARGE_MOST 32768 /* objects at a time */
static pthread_mutex_t large_lock = PTHREAD_MUTEX_INITIALIZER;
static struct large {
    uint32_t page, pages;
    int slot; /* that holds it; -1 none: it is garbage when the next collection starts */
} larges[LARGE_MOST];
static size_t large_count, large_old; /* those below large_old were there when the collection started */
static bool large_used[LARGE_PAGES];
static size_t large_next;
static int slots[SLOTS]; /* which large object each holds; -1 none, or a small one */

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
    for (int i = 0; i < SLOTS; i++) slots[i] = -1;
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
    asked = trigger = bytes;
    allocated = 0;
    pthread_mutex_unlock(&mutator_lock);
}

void heap_draw_trigger(uint64_t random) {
    pthread_mutex_lock(&mutator_lock);
    if (asked != SIZE_MAX) trigger = asked - asked / 8 + random % (asked / 16 * 3);
    pthread_mutex_unlock(&mutator_lock);
}

size_t heap_allocated(void) { return __atomic_load_n(&allocated, __ATOMIC_RELAXED); }

/* Counts the bytes. A collection starts in time for the heap not to fill up meanwhile; if it does, whoever allocates waits for its end. */
static void account(size_t bytes) {
    pthread_mutex_lock(&mutator_lock);
    bool before = allocated < trigger;
    allocated += bytes;
    bool collect = before && allocated >= trigger, full = allocated >= asked && allocated - asked >= asked / ROOM;
    pthread_mutex_unlock(&mutator_lock);
    if (full)
        gc_wait();
    else if (collect)
        gc_request();
}

/* Room in the lowest free region, as ART takes them; NULL if there is none. Under mutator_lock. */
static char *take_small(size_t bytes) {
    if (region_top + bytes > region_end) {
        size_t i = 0, last = REGIONS - (HEAP_TAIL + REGION - 1) / REGION;
        while (i < last && regions[i] != FREE) i++;
        if (i == last) return NULL;
        regions[i] = USED;
        region_top = i * REGION;
        region_end = region_top + REGION;
    }
    char *object = spaces[SPACE_MAIN].start + region_top;
    region_top += bytes;
    return object;
}

/* The next free run of that many pages after the last one; NULL if there is none. Under large_lock. */
static char *take_large(size_t pages, int slot) {
    size_t at = large_next, run = 0;
    for (size_t looked = 0; run < pages && looked < LARGE_PAGES + pages; looked++) {
        if (at == LARGE_PAGES) at = run = 0; /* a run does not go round the end */
        run = large_used[at++] ? 0 : run + 1;
    }
    if (run < pages || large_count == LARGE_MOST) return NULL;
    memset(large_used + at - pages, true, pages);
    large_next = at;
    larges[large_count++] = (struct large){(uint32_t)(at - pages), (uint32_t)pages, slot};
    return spaces[SPACE_LARGE].start + (at - pages) * PAGE;
}

static void hold_in(int slot, int object) {
    if (slot < 0) return;
    if (slots[slot] >= 0) larges[slots[slot]].slot = -1;
    slots[slot] = object;
}

/* An object as Java's new makes it: memory comes zeroed from the kernel, so of a large array only header and last byte are written. */
char *heap_object(size_t bytes, int slot) {
    bool large = bytes >= LARGE_LEAST;
    size_t whole = large ? (bytes + OBJECT_HEADER + PAGE - 1) & ~(PAGE - 1) : (bytes + OBJECT_HEADER + 7) & ~7UL;
    char *object;
    for (;;) {
        pthread_mutex_t *lock = large ? &large_lock : &mutator_lock;
        pthread_mutex_lock(lock);
        object = large ? take_large(whole / PAGE, slot) : take_small(whole);
        if (object && large) hold_in(slot, (int)large_count - 1);
        pthread_mutex_unlock(lock);
        if (object) break;
        gc_wait();
    }
    if (!large && slot >= 0) {
        pthread_mutex_lock(&large_lock);
        hold_in(slot, -1);
        pthread_mutex_unlock(&large_lock);
    }
    if (large)
        object[0] = object[bytes + OBJECT_HEADER - 1] = 1;
    else
        mem_touch(object, whole, 1);
    account(whole);
    return object;
}

void heap_allocate(size_t bytes) {
    for (size_t each; bytes; bytes -= each) {
        each = bytes < BUFFER_BYTES ? bytes : BUFFER_BYTES;
        heap_object(each, -1);
    }
}

void heap_flip(void) {
    flipped = allocated;
    for (size_t i = 0; i < REGIONS; i++)
        if (regions[i] == USED) regions[i] = FROM;
    region_top = region_end = 0;
    pthread_mutex_lock(&large_lock);
    large_old = large_count;
    pthread_mutex_unlock(&large_lock);
}

void heap_copy(size_t bytes) {
    for (size_t each; bytes; bytes -= each) {
        each = bytes < 4 * PAGE ? bytes : 4 * PAGE;
        pthread_mutex_lock(&mutator_lock);
        char *to = take_small(each);
        pthread_mutex_unlock(&mutator_lock);
        if (!to) return; /* no room: less survives */
        mem_touch(to, each, 2);
    }
}

/* Neighbouring regions go in one call. */
static void free_regions(void) {
    for (size_t i = 0, end; i < REGIONS; i = end + 1) {
        for (end = i; end < REGIONS && regions[end] == FROM;) end++;
        if (end == i) continue;
        mem_advise(ROLE_GC, spaces[SPACE_MAIN].start + i * REGION, (end - i) * REGION, MADV_DONTNEED);
        pthread_mutex_lock(&mutator_lock);
        memset(regions + i, FREE, end - i);
        pthread_mutex_unlock(&mutator_lock);
    }
}

/* Each dead object is a call of its own. Those that live move down in the list. */
static void free_large(uint64_t work_each) {
    size_t kept = 0, i = 0;
    for (;; i++) {
        pthread_mutex_lock(&large_lock);
        if (i == large_old) break; /* with the lock */
        struct large one = larges[i];
        if (one.slot < 0) {
            mem_advise(ROLE_GC, spaces[SPACE_LARGE].start + one.page * PAGE, one.pages * PAGE, MADV_DONTNEED);
            memset(large_used + one.page, false, one.pages);
        } else {
            slots[one.slot] = (int)kept;
            larges[kept++] = one;
        }
        pthread_mutex_unlock(&large_lock);
        spin(work_each);
    }
    for (; i < large_count; i++) {
        if (larges[i].slot >= 0) slots[larges[i].slot] = (int)kept;
        larges[kept++] = larges[i];
    }
    large_count = kept;
    pthread_mutex_unlock(&large_lock);
}

void heap_free_garbage(uint64_t work_each) {
    free_large(work_each);
    free_regions();
    pthread_mutex_lock(&mutator_lock);
    allocated -= flipped < allocated ? flipped : allocated;
    pthread_mutex_unlock(&mutator_lock);
}
