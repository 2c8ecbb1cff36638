/* Large objects, in ART's free-list space: each is freed by a madvise of its own, which is how that space gives memory back. */
#include "app.h"

#include <sys/mman.h>

#define MOST 4096
static struct {
    size_t offset, bytes;
} made[MOST];
static size_t first, next; /* those since the last sweep, oldest first: made[first % MOST] to the one before made[next % MOST] */
static size_t cursor;
static uint64_t rng;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock: where some bytes fit in the space, which is used in turn, or false until the next sweep. */
static bool find_room(size_t bytes, size_t *offset) {
    size_t end = spaces[SPACE_LARGE].bytes, oldest = made[first % MOST].offset;
    if (next - first == MOST) return false;
    if (next == first) return *offset = 0, true;
    *offset = cursor > oldest && cursor + bytes > end ? 0 : cursor;
    return *offset + bytes <= (*offset > oldest ? end : oldest);
}

static char *place(size_t bytes) {
    size_t offset;
    pthread_mutex_lock(&lock);
    bool fits = find_room(bytes, &offset);
    if (fits) {
        made[next % MOST].offset = offset;
        made[next++ % MOST].bytes = bytes;
        cursor = offset + bytes;
    }
    pthread_mutex_unlock(&lock);
    return fits ? spaces[SPACE_LARGE].start + offset : NULL;
}

void large_begin(uint64_t seed) { rng = seed ^ 0x4c415247454f424aULL; }

/* Objects of 12 KiB, where ART's large ones begin, to 256 KiB. Where the space is full, the app does without the rest. */
void large_allocate(size_t bytes) {
    for (size_t done = 0, size; done < bytes; done += size) {
        size = (3 + random_next(&rng) % 62) * PAGE;
        char *object = place(size);
        if (!object) return gc_request();
        mem_touch(object, size, 6);
        heap_count(size);
    }
}

/* What was there when the sweep began is dead: the frame that made it is over. */
void large_sweep(void) {
    pthread_mutex_lock(&lock);
    for (size_t end = next; first < end; first++) {
        size_t offset = made[first % MOST].offset, bytes = made[first % MOST].bytes;
        pthread_mutex_unlock(&lock);
        mem_advise(ROLE_GC, spaces[SPACE_LARGE].start + offset, bytes, MADV_DONTNEED);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}
