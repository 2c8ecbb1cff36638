/* HeapTaskDaemon: the cycles of a concurrent copying collector, and the daemons after it. */
#include "app.h"

#include <sys/mman.h>

uint64_t gc_cycles, gc_freed_bytes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool requested, busy;
static uint64_t completed;
static uint64_t cleared_references; /* cycles that ReferenceQueueDaemon has not seen yet */
static const struct parameters *stress;
static uint64_t rng;

/* CPU of a collection beside its calls, as measured on ART 14 (docs/guest.md): before they start, and for each large object. */
#define MARK_SPIN 850000
#define SWEEP_SPIN 250
#define MARK_STACK_RESETS 7

/* A pause: mutators that allocate wait at the lock while the roots are visited. Returns its length. */
static int64_t pause_mutators(uint64_t work, void (*within)(void)) {
    pthread_mutex_lock(&mutator_lock);
    int64_t start = now_ns();
    spin(work);
    if (within) within();
    int64_t end = now_ns();
    pthread_mutex_unlock(&mutator_lock);
    return end - start;
}

/* Gives back memory that the collector keeps its books in; little of it is resident. */
static void reset(int space, size_t bytes) {
    mem_touch(spaces[space].start, PAGE, 1);
    mem_advise(ROLE_GC, spaces[space].start, bytes, MADV_DONTNEED);
}

/* The calls of ART's concurrent copying collector, in its order. */
static void copy_and_free(const struct parameters *p) {
    static const size_t bitmaps[] = {764 * KIB, 1 * MIB, 128 * KIB, 2 * MIB};
    reset(SPACE_BITMAPS, spaces[SPACE_BITMAPS].bytes);
    spin(MARK_SPIN);
    heap_copy(p->gc_copy_bytes);
    for (int i = 0; i < MARK_STACK_RESETS; i++) reset(SPACE_MARK_STACK, spaces[SPACE_MARK_STACK].bytes);
    reset(SPACE_ALLOCATION_STACK, spaces[SPACE_ALLOCATION_STACK].bytes);
    bool armed = uffd_arm(p);
    heap_free_garbage(SWEEP_SPIN);
    if (armed) uffd_disarm();
    for (size_t i = 0; i < sizeof bitmaps / sizeof *bitmaps; i++) reset(SPACE_BITMAPS, bitmaps[i]);
}

/* The bench of the VMA lock: ranges of about 16 MiB, fully populated and freed at once, all the time. */
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
              "Background concurrent copying GC freed %zuKB AllocSpace bytes, 0(0B) LOS objects, 0%% free, %zuKB/%zuKB, "
              "paused %lldus,%lldus total %lld.%03lldms",
              before / KIB, heap_allocated() / KIB, before / KIB, (long long)pause1_ns / 1000, (long long)pause2_ns / 1000,
              (long long)total_ns / 1000000, (long long)total_ns / 1000 % 1000);
}

static void collect(const struct parameters *p) {
    int64_t start = now_ns();
    size_t before = heap_allocated();
    uint64_t advised = counts[ROLE_GC].advised_bytes;
    atrace_begin("Background concurrent copying GC");
    int64_t pause1_ns = pause_mutators(20000, heap_flip);
    if (p->gc_continuous) {
        free_large_ranges(p);
        heap_free_garbage(0);
    } else {
        copy_and_free(p);
    }
    heap_draw_trigger(random_next(&rng));
    planted_run(p);
    int64_t pause2_ns = pause_mutators(10000, NULL);
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
    static const struct parameters idle = {.gc_copy_bytes = 512 * KIB}; /* the collection of a starting app */
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
        completed++;
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
    stress_start_thread();
}

void gc_request(void) {
    pthread_mutex_lock(&lock);
    requested = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void gc_wait(void) {
    pthread_mutex_lock(&lock);
    uint64_t until = completed + 1; /* the one that runs will do */
    if (!busy) requested = true;
    pthread_cond_broadcast(&changed);
    while (completed < until) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void gc_begin_stress(const struct parameters *p) {
    pthread_mutex_lock(&lock);
    while (busy || requested) pthread_cond_wait(&changed, &lock);
    rng = p->seed ^ 0x4845415054534b44ULL;
    gc_cycles = gc_freed_bytes = 0;
    uffd_reset();
    large_begin(p->seed);
    heap_set_trigger(p->gc_trigger_bytes);
    heap_draw_trigger(random_next(&rng));
    stress = p;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    stress_set_work(p);
}

void gc_end_stress(void) {
    stress_set_work(NULL);
    heap_set_trigger(SIZE_MAX);
    pthread_mutex_lock(&lock);
    requested = false;
    stress = NULL;
    while (busy) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
