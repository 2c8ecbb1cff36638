/* HeapTaskDaemon: collection cycles whose madvise calls have the size mix measured on ART 14 (docs/guest.md), and the daemons after it. */
#include "app.h"

#include <sys/mman.h>

uint64_t gc_cycles, gc_freed_bytes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool requested, busy;
static uint64_t cleared_references; /* cycles that ReferenceQueueDaemon has not seen yet */
static const struct parameters *stress;
static uint64_t rng;

/* Percent of calls by range size; what is left of 100 is the long tail. */
static const struct {
    unsigned percent;
    size_t bytes;
} size_mix[] = {{15, 4 * KIB}, {15, 8 * MIB}, {14, 256 * KIB}, {5, 16 * KIB}, {3, 1 * MIB},
                {3, 8 * KIB},  {3, 512 * KIB}, {3, 2 * MIB},   {2, 128 * KIB}};

static size_t draw_range_bytes(void) {
    unsigned roll = (unsigned)(random_next(&rng) % 100);
    for (size_t i = 0; i < sizeof size_mix / sizeof *size_mix; i++) {
        if (roll < size_mix[i].percent) return size_mix[i].bytes;
        roll -= size_mix[i].percent;
    }
    size_t scale = 3 * PAGE << (random_next(&rng) % 9); /* the tail: 12 KiB to 6 MiB, even over the logarithm */
    return scale + random_next(&rng) % (scale / PAGE) * PAGE;
}

static void advise_one(void) {
    size_t bytes = draw_range_bytes();
    unsigned roll = (unsigned)(random_next(&rng) % 16);
    struct space *space = &spaces[roll == 0 ? SPACE_NON_MOVING : roll < 3 ? SPACE_LARGE : SPACE_MAIN];
    size_t align = bytes >= 256 * KIB && space == &spaces[SPACE_MAIN] ? 256 * KIB : PAGE; /* region space: whole regions */
    size_t slots = (space->bytes - bytes) / align + 1;
    mem_advise(ROLE_GC, space->start + random_next(&rng) % slots * align, bytes, MADV_DONTNEED);
}

/* A pause: mutators that allocate wait at the lock while the roots are visited. Returns its length. */
static int64_t pause_mutators(uint64_t work) {
    pthread_mutex_lock(&mutator_lock);
    int64_t start = now_ns();
    spin(work);
    int64_t end = now_ns();
    pthread_mutex_unlock(&mutator_lock);
    return end - start;
}

static void copy_survivors(size_t bytes) {
    struct space *space = &spaces[SPACE_MAIN];
    for (size_t done = 0; done < bytes; done += 64 * KIB) {
        size_t offset = random_next(&rng) % (space->bytes / (64 * KIB)) * 64 * KIB;
        mem_touch(space->start + offset, 64 * KIB, 2);
    }
}

/* The inversion bench: ranges of about 16 MiB, fully populated and freed at once, all the time. */
static void free_large_ranges(const struct parameters *p) {
    struct space *space = &spaces[SPACE_MAIN];
    size_t offset = 0, room = space->bytes - (p->ui_protects ? HEAP_TAIL : 0);
    for (uint64_t i = 0; i < p->gc_calls; i++) {
        size_t bytes = (p->gc_copy_bytes + random_next(&rng) % (p->gc_copy_bytes / 2) - p->gc_copy_bytes / 4) & ~(PAGE - 1);
        if (bytes > room) bytes = room;
        if (offset + bytes > room) offset = 0;
        mem_touch(space->start + offset, bytes, 1);
        bool armed = uffd_arm(p);
        mem_advise(ROLE_GC, space->start + offset, bytes, MADV_DONTNEED);
        if (armed) uffd_disarm();
        offset += bytes;
    }
}

static void log_slow_collection(int64_t total_ns, int64_t pause1_ns, int64_t pause2_ns, size_t before) {
    log_write("main", 'I', PACKAGE_COMM, /* ART's tag is the process's name as the kernel keeps it */
              "Background young concurrent copying GC freed %zuKB AllocSpace bytes, 0(0B) LOS objects, 0%% free, %zuKB/%zuKB, "
              "paused %lldus,%lldus total %lld.%03lldms",
              before / KIB, heap_allocated() / KIB, before / KIB, (long long)pause1_ns / 1000, (long long)pause2_ns / 1000,
              (long long)total_ns / 1000000, (long long)total_ns / 1000 % 1000);
}

static void collect(const struct parameters *p) {
    int64_t start = now_ns();
    size_t before = heap_allocated();
    uint64_t advised = counts[ROLE_GC].advised_bytes;
    atrace_begin("Background young concurrent copying GC");
    int64_t pause1_ns = pause_mutators(20000);
    heap_collected();
    if (p->gc_continuous) {
        free_large_ranges(p);
    } else {
        copy_survivors(p->gc_copy_bytes);
        bool armed = uffd_arm(p);
        for (uint64_t i = 0; i < p->gc_calls; i++) advise_one();
        if (armed) uffd_disarm();
    }
    large_sweep();
    planted_run(p);
    int64_t pause2_ns = pause_mutators(10000);
    atrace_end();
    atrace_counter("Heap size (KB)", (long long)(heap_allocated() / KIB));
    gc_cycles++;
    gc_freed_bytes += counts[ROLE_GC].advised_bytes - advised;
    int64_t total_ns = now_ns() - start;
    /* ART logs a collection only when it took over 100 ms or a pause took over 5 ms: the log is censored here as there. */
    if (total_ns > 100000000 || pause1_ns > 5000000 || pause2_ns > 5000000)
        log_slow_collection(total_ns, pause1_ns, pause2_ns, before);
}

static void *heap_task_daemon(void *unused) {
    static const struct parameters idle = {.gc_calls = 400, .gc_copy_bytes = 2 * MIB}; /* the collection of a starting app */
    become("HeapTaskDaemon", 4);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!requested && !(stress && stress->gc_continuous)) pthread_cond_wait(&changed, &lock);
        const struct parameters *p = stress ? stress : &idle;
        requested = false;
        busy = true;
        pthread_mutex_unlock(&lock);
        collect(p);
        pthread_mutex_lock(&lock);
        busy = false;
        cleared_references++;
        pthread_cond_broadcast(&changed);
    }
    return unused;
}

static void *reference_queue_daemon(void *unused) {
    become("ReferenceQueueD", 4);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!cleared_references) pthread_cond_wait(&changed, &lock);
        cleared_references = 0;
        pthread_mutex_unlock(&lock);
        spin(5000);
        pthread_mutex_lock(&lock);
    }
    return unused;
}

/* Threads that every app has and that have nothing to do here: they sleep for good. */
static void *sleeping_thread(void *comm) {
    become(comm, strcmp(comm, "Signal Catcher") ? 4 : 0);
    for (;;) pause();
    return NULL;
}

void gc_start_threads(void) {
    start_thread(sleeping_thread, "Signal Catcher");
    start_thread(heap_task_daemon, NULL);
    start_thread(reference_queue_daemon, NULL);
    start_thread(sleeping_thread, "FinalizerDaemon");
    start_thread(sleeping_thread, "FinalizerWatchd");
}

void gc_request(void) {
    pthread_mutex_lock(&lock);
    requested = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void gc_begin_stress(const struct parameters *p) {
    pthread_mutex_lock(&lock);
    while (busy || requested) pthread_cond_wait(&changed, &lock);
    rng = p->seed ^ 0x4845415054534b44ULL;
    gc_cycles = gc_freed_bytes = 0;
    uffd_reset();
    large_begin(p->seed);
    stress = p;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    heap_set_trigger(p->gc_trigger_bytes);
}

void gc_end_stress(void) {
    heap_set_trigger(SIZE_MAX);
    pthread_mutex_lock(&lock);
    requested = false;
    stress = NULL;
    while (busy) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
