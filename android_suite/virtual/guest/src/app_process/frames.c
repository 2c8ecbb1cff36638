/* The frame loop: doFrame on the main thread, DrawFrames on RenderThread, and the last 120 frames kept as hwui keeps them. */
#include "app.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* hwui's FrameInfo in the order of its data. Its header names the 11th and 12th the other way round; see frames_dump. */
enum {
    FLAGS, VSYNC_ID, INTENDED_VSYNC, VSYNC, INPUT_EVENT_ID, HANDLE_INPUT, ANIMATION, TRAVERSALS, DRAW, DEADLINE, FRAME_START,
    FRAME_INTERVAL, SYNC_QUEUED, SYNC_START, ISSUE_DRAW, SWAP, COMPLETED, DEQUEUE, QUEUE, GPU_COMPLETED, SWAP_COMPLETED, PRESENT,
    SUBMITTED, COLUMNS
};
#define RING 120
static const char header[] =
    "Flags,FrameTimelineVsyncId,IntendedVsync,Vsync,InputEventId,HandleInputStart,AnimationStart,PerformTraversalsStart,DrawStart,"
    "FrameDeadline,FrameInterval,FrameStartTime,SyncQueued,SyncStart,IssueDrawCommandsStart,SwapBuffers,FrameCompleted,"
    "DequeueBufferDuration,QueueBufferDuration,GpuCompleted,SwapBuffersCompleted,DisplayPresentTime,CommandSubmissionCompleted,";

struct frame_totals frame_totals;
static int64_t ring[RING][COLUMNS];
static uint64_t ring_count; /* frames ever put in; under `lock` like the rest */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t frame[COLUMNS]; /* the one being drawn */
static uint64_t render_work, gpu_us;
static bool queued, synced;
static pid_t render_tid;
static char *surface;
#define SURFACE_BYTES (256 * KIB)

static void account(void) {
    int64_t duration_ms = (frame[COMPLETED] - frame[INTENDED_VSYNC]) / 1000000, overrun = frame[COMPLETED] - frame[DEADLINE];
    memcpy(ring[ring_count++ % RING], frame, sizeof frame);
    frame_totals.frames++;
    frame_totals.late += overrun > 0;
    frame_totals.slow_ui += frame[SYNC_QUEUED] - frame[FRAME_START] > VSYNC_NS;
    frame_totals.missed_vsync += frame[FRAME_START] - frame[INTENDED_VSYNC] > VSYNC_NS;
    if (frame_totals.frames == 1 || overrun > frame_totals.overrun_max_ns) frame_totals.overrun_max_ns = overrun;
    frame_totals.histogram_ms[duration_ms < 1023 ? duration_ms : 1023]++;
}

static void *render_thread(void *unused) {
    become("RenderThread", 0);
    surface = mem_map(ROLE_RENDER, SURFACE_BYTES, PROT_READ | PROT_WRITE, "surface");
    pthread_mutex_lock(&lock);
    render_tid = (pid_t)syscall(SYS_gettid);
    pthread_cond_broadcast(&changed);
    for (;;) {
        while (!queued) pthread_cond_wait(&changed, &lock);
        atrace_begin("DrawFrames %lld", (long long)frame[VSYNC_ID]);
        frame[SYNC_START] = now_ns();
        synced = true; /* from here the main thread goes on */
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        frame[ISSUE_DRAW] = now_ns();
        spin(render_work);
        frame[SWAP] = now_ns();
        mem_touch(surface, SURFACE_BYTES, 3);
        frame[SWAP_COMPLETED] = frame[SUBMITTED] = now_ns();
        if (gpu_us) nanosleep(&(struct timespec){0, (long)gpu_us * 1000}, NULL); /* the fence of a GPU that is not there */
        frame[GPU_COMPLETED] = frame[COMPLETED] = now_ns();
        pthread_mutex_lock(&lock);
        atrace_end();
        account();
        queued = false;
        pthread_cond_broadcast(&changed);
    }
    return unused;
}

void frames_start_threads(void) { start_thread(render_thread, NULL); }

void frames_set_priority(int nice_value) {
    pthread_mutex_lock(&lock);
    while (!render_tid) pthread_cond_wait(&changed, &lock);
    setpriority(PRIO_PROCESS, (id_t)render_tid, nice_value);
    pthread_mutex_unlock(&lock);
}

void frames_wait_idle(void) {
    pthread_mutex_lock(&lock);
    while (queued) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

int64_t frames_last_completed_ns(void) {
    pthread_mutex_lock(&lock);
    int64_t ns = ring_count ? ring[(ring_count - 1) % RING][COMPLETED] : 0;
    pthread_mutex_unlock(&lock);
    return ns;
}

void frames_allocate(const struct parameters *p) {
    if (p->ui_alloc_bytes) heap_allocate(p->ui_alloc_bytes);
    if (p->ui_large_bytes) large_allocate(p->ui_large_bytes);
    if (p->native_bytes) native_allocate(p->native_bytes);
}

/* The app's own work of a frame: short-lived buffers (writers of mmap_lock), their page faults, Java allocation, compute. */
static void build_frame(const struct parameters *p) {
    uint64_t parts = p->ui_maps ? p->ui_maps : 1;
    for (uint64_t i = 0; i < parts; i++) {
        char *buffer = NULL;
        if (p->ui_maps) {
            buffer = mem_map(ROLE_UI, p->ui_map_bytes, PROT_READ | PROT_WRITE, NULL);
            mem_touch(buffer, p->ui_map_bytes, 1);
        }
        spin(p->ui_spin / parts);
        if (buffer) mem_unmap(ROLE_UI, buffer, p->ui_map_bytes);
    }
    for (uint64_t i = 0; i < p->ui_protects; i++) heap_protect_tail();
    frames_allocate(p);
}

void frames_draw(int64_t vsync_ns, const struct parameters *p) {
    int64_t next[COLUMNS] = {[VSYNC_ID] = vsync_ns / VSYNC_NS, [INTENDED_VSYNC] = vsync_ns, [VSYNC] = vsync_ns,
                             [DEADLINE] = vsync_ns + VSYNC_NS, [FRAME_INTERVAL] = VSYNC_NS};
    atrace_begin("Choreographer#doFrame %lld", (long long)next[VSYNC_ID]);
    next[FRAME_START] = next[HANDLE_INPUT] = next[ANIMATION] = next[TRAVERSALS] = now_ns();
    if (next[FRAME_START] - vsync_ns > VSYNC_NS) /* late already: Choreographer counts the animation from the last vsync passed */
        next[VSYNC] = next[FRAME_START] / VSYNC_NS * VSYNC_NS;
    build_frame(p);
    next[DRAW] = now_ns();
    pthread_mutex_lock(&lock);
    while (queued) pthread_cond_wait(&changed, &lock); /* RenderThread still draws the frame before */
    next[SYNC_QUEUED] = now_ns();
    memcpy(frame, next, sizeof frame);
    render_work = p->render_spin;
    gpu_us = p->gpu_us;
    queued = true;
    synced = false;
    pthread_cond_broadcast(&changed);
    while (!synced) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    atrace_end();
}

void frames_reset(void) {
    pthread_mutex_lock(&lock);
    memset(&frame_totals, 0, sizeof frame_totals);
    frame_totals.since_ns = now_ns();
    ring_count = 0;
    pthread_mutex_unlock(&lock);
}

static unsigned percentile_ms(unsigned percent) {
    uint64_t seen = 0;
    for (unsigned ms = 0; ms < 1024; ms++) {
        seen += frame_totals.histogram_ms[ms];
        if (seen * 100 >= frame_totals.frames * percent) return ms;
    }
    return 0;
}

/* hwui's buckets: 1 ms wide from 5, 2 from 32, 4 from 53, 50 from 150. */
static void dump_histogram(FILE *out) {
    fputs("HISTOGRAM:", out);
    for (unsigned low = 5, high; low <= 4950; low = high) {
        high = low < 32 ? low + 1 : low < 48 ? low + 2 : low == 48 ? 53 : low < 133 ? low + 4 : low == 133 ? 150 : low + 50;
        uint64_t n = 0;
        for (unsigned ms = low == 5 ? 0 : low; ms < high && ms < 1024; ms++) n += frame_totals.histogram_ms[ms];
        fprintf(out, " %ums=%llu", low, (unsigned long long)n);
    }
    fputc('\n', out);
}

static void dump_totals(FILE *out) {
    static const unsigned percents[] = {50, 90, 95, 99};
    double share = frame_totals.frames ? 100.0 * (double)frame_totals.late / (double)frame_totals.frames : 0;
    fprintf(out, "Stats since: %lldns\nTotal frames rendered: %llu\n", (long long)frame_totals.since_ns,
            (unsigned long long)frame_totals.frames);
    fprintf(out, "Janky frames: %llu (%.2f%%)\nJanky frames (legacy): %llu (%.2f%%)\n", (unsigned long long)frame_totals.late, share,
            (unsigned long long)frame_totals.late, share);
    for (int i = 0; i < 4; i++) fprintf(out, "%uth percentile: %ums\n", percents[i], percentile_ms(percents[i]));
    fprintf(out,
            "Number Missed Vsync: %llu\nNumber High input latency: 0\nNumber Slow UI thread: %llu\nNumber Slow bitmap uploads: 0\n"
            "Number Slow issue draw commands: 0\nNumber Frame deadline missed: %llu\nNumber Frame deadline missed (legacy): %llu\n",
            (unsigned long long)frame_totals.missed_vsync, (unsigned long long)frame_totals.slow_ui,
            (unsigned long long)frame_totals.late, (unsigned long long)frame_totals.late);
    dump_histogram(out);
}

void frames_dump(FILE *out, bool framestats) {
    long long uptime_ms = (long long)(now_ns() / 1000000);
    pthread_mutex_lock(&lock);
    fprintf(out, "Applications Graphics Acceleration Info:\nUptime: %lld Realtime: %lld\n\n** Graphics info for pid %d [%s] **\n\n",
            uptime_ms, uptime_ms, getpid(), process_name);
    dump_totals(out);
    if (framestats) {
        /* hwui's header says FrameInterval, FrameStartTime while its data is FrameStartTime, FrameInterval: kept, as parsers must cope. */
        fprintf(out, "\n---PROFILEDATA---\n%s\n", header);
        for (uint64_t i = ring_count > RING ? ring_count - RING : 0; i < ring_count; i++) {
            for (int c = 0; c < COLUMNS; c++) fprintf(out, "%lld,", (long long)ring[i % RING][c]);
            fputc('\n', out);
        }
        fputs("---PROFILEDATA---\n", out);
    }
    fputc('\n', out);
    pthread_mutex_unlock(&lock);
}
