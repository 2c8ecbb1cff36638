/* The model's heap with one thread in place of the app: 40,000 objects, a collection after each 4,000. Prints JSON. */
#include "app.h"
#include "heap.c"
#include "stress.c"
#include "work.c"

#include <sys/mman.h>

static size_t freed;

void gc_request(void) {}
void gc_wait(void) { abort(); } /* there is room */
void *mem_map(enum role role, size_t bytes, int protection, const char *name) {
    (void)role, (void)name;
    return mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}
void mem_name(void *address, size_t bytes, const char *name) { (void)address, (void)bytes, (void)name; }
void mem_protect(enum role role, void *address, size_t bytes, int protection) {
    (void)role;
    mprotect(address, bytes, protection);
}
int mem_advise(enum role role, void *address, size_t bytes, int advice) {
    char *at = address;
    int space = 0;
    while (space < SPACES && (at < spaces[space].start || at >= spaces[space].start + spaces[space].bytes)) space++;
    if (role == ROLE_GC) printf("%s[%d, %zu]", freed++ ? ", " : "", space, bytes);
    return madvise(address, bytes, advice);
}
void mem_touch(volatile char *address, size_t bytes, char value) {
    for (size_t i = 0; i < bytes; i += PAGE) address[i] = value;
}

int main(void) {
    size_t held = 0, lost = 0, used = 0;
    heap_create();
    printf("{\"freed\": [");
    state = 1;
    for (int i = 1; i <= 40000; i++) {
        step(0);
        if (i % 4000) continue;
        heap_flip();
        heap_copy(512 * KIB);
        heap_free_garbage(0);
        for (int slot = 0; slot < SLOTS; slot++) {
            if (slots[slot] < 0) continue;
            struct large *one = &larges[slots[slot]];
            held++;
            lost += one->slot != slot || !large_used[one->page] || spaces[SPACE_LARGE].start[one->page * PAGE] != 1;
        }
    }
    for (size_t i = 0; i < LARGE_PAGES; i++) used += large_used[i];
    printf("], \"digest\": \"%llx\", \"held\": %zu, \"lost\": %zu, \"objects\": %zu, \"pages\": %zu}\n",
           (unsigned long long)stress_digest, held, lost, large_count, used);
}
