/* The thread that allocates: the same objects in the same order as the Java class Stress makes of the same seed (sizes "mixed"), so
 * that the model's heap gets the garbage that ART's gets. */
#include "app.h"

uint64_t stress_allocations, stress_bytes, stress_digest;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const struct parameters *work;
static bool active;
static uint64_t state;

/* Mostly small, some buffers, now and then a large object. */
static size_t choose_size(uint64_t random) {
    unsigned kind = random >> 33 & 15, fine = (unsigned)(random >> 40);
    return kind < 12 ? 16 + (fine & 0xfff) : kind < 15 ? 16384 + (fine & 0x7fff) : 262144;
}

static void step(uint64_t work_each) {
    uint64_t random = random_next(&state);
    size_t size = choose_size(random);
    int slot = (random & 7) == 0 ? (int)(random >> 3 & (SLOTS - 1)) : -1;
    spin(work_each);
    heap_object(size, slot);
    stress_allocations++;
    stress_bytes += size;
    stress_digest = stress_digest * 31 + size * 257 + (uint64_t)(int64_t)slot;
}

static void *allocate(void *unused) {
    become("stress-0", 0);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!work) pthread_cond_wait(&changed, &lock);
        uint64_t work_each = work->alloc_spin;
        active = true;
        pthread_mutex_unlock(&lock);
        while (__atomic_load_n(&work, __ATOMIC_RELAXED)) step(work_each);
        pthread_mutex_lock(&lock);
        active = false;
        pthread_cond_broadcast(&changed);
    }
    return unused;
}

void stress_start_thread(void) { start_thread(allocate, NULL); }

void stress_set_work(const struct parameters *p) {
    pthread_mutex_lock(&lock);
    if (p) {
        state = p->seed;
        stress_allocations = stress_bytes = stress_digest = 0;
    }
    work = p && p->alloc_spin ? p : NULL;
    pthread_cond_broadcast(&changed);
    while (!p && active) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
