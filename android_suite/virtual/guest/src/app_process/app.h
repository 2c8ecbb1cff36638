/* The app model: one process with ART's threads. Everything that the threads share is declared here. */
#ifndef APP_H
#define APP_H
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../include/logstore.h"
#include "../include/package.h"

#define KIB 1024UL
#define MIB (1024UL * KIB)
#define PAGE 4096UL
#define VSYNC_NS 16666667LL /* 60 Hz */

/* ---- counts.c: every memory call of the model goes through these, and is counted by thread: the truth the trace is held against */
enum role { ROLE_UI, ROLE_RENDER, ROLE_GC, ROLE_BINDER, ROLE_JIT, ROLE_OTHER, ROLES };
enum planted { PLANT_SPANS_VMAS, PLANT_USERFAULTFD, PLANT_REMOTE, PLANT_SELF, PLANT_TAGGED, PLANTS };
#define ADVICES 32
struct counts {
    uint64_t madvise[ADVICES], madvise_failed, advised_bytes, mmap, munmap, mprotect;
};
extern struct counts counts[ROLES];
extern uint64_t planted_calls[PLANTS];
extern const char *const planted_names[PLANTS];
extern bool planted_unsupported[PLANTS];
void *mem_map(enum role role, size_t bytes, int protection, const char *name);
void mem_name(void *address, size_t bytes, const char *name);
void mem_unmap(enum role role, void *address, size_t bytes);
void mem_protect(enum role role, void *address, size_t bytes, int protection);
int mem_advise(enum role role, void *address, size_t bytes, int advice);
void mem_touch(volatile char *address, size_t bytes, char value);
void reset_counts(void);

/* ---- work.c: time, work and names */
int64_t now_ns(void);
void spin(uint64_t iterations);
uint64_t random_next(uint64_t *state); /* splitmix64 */
void become(const char *comm, int nice_value);
void start_thread(void *(*body)(void *), void *argument);
extern char process_name[96], package_name[96]; /* PACKAGE:p1 is a process of PACKAGE */
#define PACKAGE_COMM COMM_OF(process_name)
bool take_process_name(const char *given); /* false: no name of an app */

/* ---- atrace.c: slices and counters through trace_marker */
void atrace_open(void);
void atrace_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
void atrace_end(void);
void atrace_counter(const char *name, long long value);

/* ---- scenario.c: what an intent asks for */
enum scenario { SCENARIO_NONE, SCENARIO_LAUNCH, SCENARIO_GC_STRESS, SCENARIO_UI };
extern const char *const scenario_names[]; /* in the result line */
struct parameters {
    enum scenario scenario;
    char token[64];
    uint64_t seed;
    int64_t duration_ms;
    bool planted[PLANTS];
    uint64_t ui_spin, ui_maps, ui_map_bytes, ui_alloc_bytes, ui_protects, render_spin;
    uint64_t gpu_us;                                   /* from the last command to the frame's end: RenderThread sleeps */
    uint64_t binder_spin, binder_phase_us, binder_every; /* every so many vsyncs */
    uint64_t alloc_spin; /* work of the allocating thread for each object; 0: there is no such thread */
    uint64_t gc_trigger_bytes, gc_calls, gc_copy_bytes, gc_continuous;
    bool bench; /* amounts vary with the seed; binder threads map nothing */
    uint64_t planted_per_cycle;
    uint64_t ui_large_bytes, native_bytes;             /* by each frame: large objects, native allocations */
    uint64_t gc_uffd;                                  /* the collector works in a heap that is armed with userfaultfd */
    uint64_t background;                               /* goes on without frames when the activity leaves the screen */
    uint64_t processes;                                /* `am` starts so many services beside it */
};
static inline bool is_stress(const struct parameters *p) { return p->scenario == SCENARIO_GC_STRESS || p->scenario == SCENARIO_UI; }
bool parse_parameters(const char *activity, const char *extras, struct parameters *out, char *error, size_t error_bytes);

/* ---- heap.c */
struct space {
    const char *name;
    char *start;
    size_t bytes;
};
enum { SPACE_MAIN, SPACE_NON_MOVING, SPACE_LARGE, SPACE_MARK_STACK, SPACE_ALLOCATION_STACK, SPACE_BITMAPS, SPACES };
extern struct space spaces[SPACES];
extern struct space jit_cache;
extern pthread_mutex_t mutator_lock; /* held by the collector during its pauses */
void heap_create(void);
#define HEAP_TAIL MIB /* end of the main space that the collector leaves alone when the UI thread writes to its VMA */
void heap_protect_tail(void); /* on the UI thread */
void heap_set_trigger(size_t bytes);
void heap_draw_trigger(uint64_t random); /* of the next collection: up to an eighth less or a sixteenth more, as ART estimates it */
#define SLOTS 256
#define OBJECT_HEADER 16UL /* of a Java array */
char *heap_object(size_t bytes, int slot); /* garbage at once with slot -1, else when another takes the slot; may wait out a pause */
void heap_allocate(size_t bytes);          /* garbage, in objects of 16 KiB */
size_t heap_allocated(void);
void heap_flip(void); /* by the collector, in its first pause: what is garbage now is what it will free */
void heap_copy(size_t bytes);
void heap_free_garbage(uint64_t work_each); /* the calls; and work for each large object */

/* ---- stress.c */
void stress_start_thread(void);
void stress_set_work(const struct parameters *p); /* NULL: returns when it rests */
extern uint64_t stress_allocations, stress_bytes, stress_digest;

/* ---- gc.c: HeapTaskDaemon and the daemons that follow it */
void gc_start_threads(void);
void gc_request(void);
void gc_wait(void); /* for the end of a collection: there is no room */
void gc_begin_stress(const struct parameters *p);
void gc_end_stress(void); /* returns when HeapTaskDaemon is idle */
extern uint64_t gc_cycles, gc_freed_bytes;

/* ---- large.c: large objects that are written in full */
void large_allocate(size_t bytes); /* on the main thread */
void large_begin(uint64_t seed);

/* ---- native.c: the native heap and memory that is trimmed */
void native_allocate(size_t bytes);
void native_trim(int level); /* on the main thread */

/* ---- uffd.c: a heap under userfaultfd, as ART's collector has it while it compacts */
bool uffd_arm(const struct parameters *p); /* false: not asked for, or this kernel cannot */
void uffd_disarm(void);
void uffd_reset(void);
int uffd_tell(char *at, size_t room); /* a member of the result line */

/* ---- planted.c: calls that must fall back to mmap_lock, and one kind that must not */
void planted_prepare(const struct parameters *p);
void planted_run(const struct parameters *p); /* on HeapTaskDaemon, once a cycle */
void planted_finish(const struct parameters *p);
int planted_helper_main(char **argv); /* the other process */

/* ---- frames.c */
struct frame_totals {
    uint64_t frames, late, slow_ui, missed_vsync, histogram_ms[1024];
    int64_t since_ns, overrun_max_ns;
};
extern struct frame_totals frame_totals;
void frames_start_threads(void);
void frames_draw(int64_t vsync_ns, const struct parameters *p); /* one doFrame on the calling (main) thread */
void frames_allocate(const struct parameters *p); /* what a frame allocates, also without one */
void frames_wait_idle(void); /* until RenderThread has finished what it was given */
void frames_set_priority(int nice_value); /* of RenderThread */
int64_t frames_last_completed_ns(void);
void frames_dump(FILE *out, bool framestats);
void frames_reset(void);

/* ---- binder.c, jit.c */
void binder_start_threads(void);
void binder_set_work(const struct parameters *p);
void jit_start_thread(void);
void jit_set_active(bool active);

/* ---- activity.c: the main thread */
struct request {
    char verb[16], activity[128], extras[REQUEST_BYTES];
    int64_t sent_ns;
    int reply_fd;
};
void activity_post(const struct request *request); /* from a binder thread */
void activity_loop(void);                          /* never returns */

/* ---- result.c */
void write_result(const struct parameters *p, bool complete);
#endif
