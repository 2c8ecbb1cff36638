/* Large objects of which every page is written: bitmaps and buffers. Sizes are drawn, so that each seed makes others. */
#include "app.h"

static uint64_t rng;

void large_begin(uint64_t seed) { rng = seed ^ 0x4c415247454f424aULL; }

/* Objects of 12 KiB, where ART's large ones begin, to 256 KiB. */
void large_allocate(size_t bytes) {
    for (size_t done = 0, size; done < bytes; done += size) {
        size = (3 + random_next(&rng) % 62) * PAGE - OBJECT_HEADER;
        mem_touch(heap_object(size, -1), size, 6);
    }
}
