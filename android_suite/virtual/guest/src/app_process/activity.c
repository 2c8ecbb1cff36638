/* The main thread: a looper that takes lifecycle requests and vsyncs, and the activity's states. */
#include "app.h"
#include "screen.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define FIRST_FRAME_SPIN 3000000
#define FLING_MS 500        /* a list rolls on after the finger has left it */
#define ROW_SPIN 100000     /* of a row that comes into view: its view is bound again and laid out */
#define ROW_BYTES (48 * KIB)
#define FULLY_DRAWN_FRAME 12 /* the list is there: LaunchActivity reports it */
static enum { ABSENT, STOPPED, RESUMED } state;
static bool bound, running, fully_drawn;
static struct parameters current;
static char component[256], shown_activity[128]; /* the model keeps one activity at a time */
static char task_root[128];                      /* what was asked for: of a trampoline only what it started is left */
static int64_t launched_ns, running_until_ns, animate_until_ns, swiped_until_ns;
static int trim_level; /* the last that was sent; Android takes only higher ones until the process's state changes */
static uint64_t frames_since_launch;

static struct request mailbox;
static bool posted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t taken = PTHREAD_COND_INITIALIZER;
static int wake_fd, vsync_fd;

void activity_post(const struct request *request) {
    uint64_t one = 1;
    pthread_mutex_lock(&lock);
    while (posted) pthread_cond_wait(&taken, &lock);
    mailbox = *request;
    posted = true;
    pthread_mutex_unlock(&lock);
    if (write(wake_fd, &one, sizeof one) < 0) abort();
}

/* Pages of the app's own files: read some percent of them as class loading does, write some as relocation does. */
static void load_file(const char *path, bool relocate, uint64_t percent) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) return;
    char *image = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (image == MAP_FAILED) return;
    uint64_t sum = 0;
    for (off_t i = 0; i < st.st_size * (off_t)percent / 100; i += (off_t)PAGE) sum += (unsigned char)image[i];
    if (relocate) mem_touch(image, (size_t)st.st_size / 2, (char)sum);
}

/* A number from `low` to `high`, drawn from the seed; `low` without one, so that an intent without a seed is always the same. */
static uint64_t varied(uint64_t low, uint64_t high, uint64_t *rng) { return *rng ? low + random_next(rng) % (high - low + 1) : low; }

/* `bytes` of the heap in objects of 16 to 512 KiB, their sizes and order from the seed; in one without it. */
static void allocate_objects(size_t bytes, uint64_t *rng) {
    while (bytes) {
        size_t size = *rng ? varied(4, 128, rng) * PAGE : bytes;
        if (size > bytes) size = bytes;
        heap_allocate(size);
        bytes -= size;
    }
}

static void bind_application(uint64_t *rng) {
    static const char *const files[] = {ODEX_PATH, LIBRARY_PATH, APK_PATH};
    unsigned first = varied(0, 2, rng); /* which file is read first: the page cache and the addresses differ after it */
    atrace_begin("bindApplication");
    if (*rng) mem_map(ROLE_OTHER, varied(1, 64, rng) * PAGE, PROT_NONE, NULL); /* what is mapped later lies elsewhere */
    for (unsigned i = 0; i < 3; i++) load_file(files[(first + i) % 3], (first + i) % 3 < 2, *rng ? varied(70, 100, rng) : 100);
    frames_start_threads();
    spin(varied(2000000, 2800000, rng));
    allocate_objects(2 * MIB, rng);
    atrace_end();
}

static void set_foreground(bool foreground) {
    /* Android raises the top app's main thread and RenderThread; -10 is kernel priority 110. */
    setpriority(PRIO_PROCESS, (id_t)getpid(), foreground ? -10 : 0);
    frames_set_priority(foreground ? -10 : 0);
}

static void format_duration(int64_t ns, char *out, size_t bytes) {
    long long ms = (long long)(ns / 1000000);
    if (ms >= 1000)
        snprintf(out, bytes, "+%llds%lldms", ms / 1000, ms % 1000);
    else
        snprintf(out, bytes, "+%lldms", ms);
}

static void finish_scenario(bool complete) {
    if (!running) return;
    running = false;
    if (is_stress(&current)) {
        gc_end_stress();
        binder_set_work(NULL);
        jit_set_active(false);
        planted_finish(&current);
    }
    frames_wait_idle();
    write_result(&current, complete);
}

static void begin_scenario(const struct parameters *p, bool cold) {
    current = *p;
    if (!cold) reset_counts(); /* a cold start counts from exec on */
    frames_reset();
    frames_since_launch = 0;
    fully_drawn = false;
    running = true;
    running_until_ns = INT64_MAX; /* until the first frame is there */
}

static void start_stress(void) {
    planted_prepare(&current);
    gc_begin_stress(&current);
    frames_reset(); /* the frames of the stress are the scenario's, not the launch's */
    jit_set_active(true);
    binder_set_work(&current);
}

static int64_t next_vsync(void) { return (now_ns() / VSYNC_NS + 1) * VSYNC_NS; }

static void draw_first_frame(const char *launch_state, uint64_t *rng) {
    struct parameters heavy = current;
    heavy.ui_spin = strcmp(launch_state, "HOT") ? varied(FIRST_FRAME_SPIN, FIRST_FRAME_SPIN * 4 / 3, rng) : current.ui_spin;
    heavy.ui_alloc_bytes = strcmp(launch_state, "HOT") ? 1 * MIB : 0;
    frames_draw(now_ns() / VSYNC_NS * VSYNC_NS, &heavy);
    frames_wait_idle();
}

static void leave_activity(bool destroy) {
    trim_level = 0;
    screen_leave();
    if (state == RESUMED) {
        atrace_begin("activityPause");
        spin(50000);
        atrace_end();
        atrace_begin("activityStop");
        spin(100000);
        atrace_end();
        set_foreground(false);
        state = STOPPED;
    }
    if (destroy && state == STOPPED) {
        atrace_begin("activityDestroy");
        finish_scenario(false);
        spin(200000);
        atrace_end();
        state = ABSENT;
    }
}

static void start_activity(const struct request *request) {
    char error[160], shown[32];
    struct parameters p;
    bool clear_task = strcmp(request->verb, "start-clear") == 0;
    if (!parse_parameters(request->activity, request->extras, &p, error, sizeof error)) {
        log_write("main", 'E', "AndroidSuite", "refused: %s", error);
        dprintf(request->reply_fd, "error\t%s\n", error);
        return;
    }
    uint64_t rng = p.scenario == SCENARIO_LAUNCH ? p.seed : 0;
    /* Who comes back to the activity that fingers drive, with nothing new to do, goes on with it. */
    bool again = p.scenario == SCENARIO_UI && current.scenario == SCENARIO_UI && running && !p.token[0] && !clear_task;
    if (!again) finish_scenario(false);
    /* Another activity, or the flag: the one that is there is destroyed, and a new one created in the process that lives on. */
    bool trampoline = strcmp(request->activity, TRAMPOLINE_ACTIVITY) == 0;
    if (clear_task || strcmp(task_root, request->activity)) leave_activity(true);
    const char *launch_state = !bound ? "COLD" : state == ABSENT ? "WARM" : state == STOPPED ? "HOT" : "UNKNOWN";
    const char *how = state == ABSENT ? "new" : state == STOPPED ? "front" : "top";
    if (!again) begin_scenario(&p, !bound);
    launched_ns = request->sent_ns;
    snprintf(task_root, sizeof task_root, "%s", request->activity);
    snprintf(shown_activity, sizeof shown_activity, "%s", trampoline ? LAUNCHER_ACTIVITY : request->activity);
    snprintf(component, sizeof component, "%s/%s", package_name, shown_activity);
    if (!bound) bind_application(&rng);
    bound = true;
    set_foreground(true);
    if (state == ABSENT && trampoline) {
        atrace_begin("activityStart");
        atrace_begin("performCreate:%s%s", package_name, TRAMPOLINE_ACTIVITY);
        spin(varied(200000, 300000, &rng)); /* no layout: it decides where to go and finishes */
        atrace_end();
        atrace_end();
    }
    if (state == ABSENT) {
        screen_open(shown_activity);
        atrace_begin("activityStart");
        gc_request(); /* start-up garbage */
        atrace_begin("performCreate:%s%s", package_name, shown_activity);
        spin(varied(3000000, 4200000, &rng)); /* inflating the layout */
        allocate_objects(varied(16, 24, &rng) * MIB / 4, &rng);
        atrace_end();
        atrace_end();
    }
    atrace_begin("activityResume");
    spin(varied(300000, 700000, &rng));
    atrace_end();
    bool warned = state == RESUMED;
    state = RESUMED;
    draw_first_frame(launch_state, &rng);
    int64_t first = frames_last_completed_ns();
    format_duration(first - launched_ns, shown, sizeof shown);
    if (!warned) log_write("system", 'I', "ActivityTaskManager", "Displayed %s for user 0: %s", component, shown);
    dprintf(request->reply_fd, "ok\t%s\t%lld\t%s\t%s\n", launch_state, (long long)first, how, shown_activity);
    if (again) return;
    if (is_stress(&p)) start_stress();
    running_until_ns = animate_until_ns = now_ns() + p.duration_ms * 1000000;
}

/* A service's process: the stress without any frame, until it is killed or its time is over. Its result is nobody's. */
static void start_service(const struct request *request) {
    char error[160];
    struct parameters p;
    if (!parse_parameters(STRESS_ACTIVITY, request->extras, &p, error, sizeof error)) {
        dprintf(request->reply_fd, "error\t%s\n", error);
        return;
    }
    finish_scenario(false);
    p.token[0] = 0;
    p.background = 1;
    begin_scenario(&p, true);
    bound = true;
    start_stress();
    running_until_ns = now_ns() + p.duration_ms * 1000000;
    dprintf(request->reply_fd, "ok\n");
}

/* The levels and the refusals of ActivityManagerService. A request's argument is where an intent has its activity. */
static void trim_memory(const struct request *request) {
    int level = atoi(request->activity);
    const char *refusal = trim_level >= level ? "Unable to set a higher trim level than current level"
                          : level >= 20 && state == RESUMED ? "Unable to set a background trim level on a foreground process" : NULL;
    if (refusal) {
        dprintf(request->reply_fd, "error\t%s\n", refusal);
        return;
    }
    dprintf(request->reply_fd, "ok\n"); /* it is sent, not done */
    trim_level = level;
    native_trim(level);
}

static void take_swipe(const struct request *request) {
    if (state != RESUMED) return;
    swiped_until_ns = now_ns() + (atoi(request->activity) + FLING_MS) * 1000000LL;
    if (swiped_until_ns > animate_until_ns) animate_until_ns = swiped_until_ns;
}

static void take_request(void) {
    static struct request request; /* large: not on the stack */
    pthread_mutex_lock(&lock);
    bool got = posted;
    request = mailbox;
    posted = false;
    pthread_cond_broadcast(&taken);
    pthread_mutex_unlock(&lock);
    if (!got) return;
    bool back = strcmp(request.verb, "back") == 0, home = strcmp(request.verb, "home") == 0;
    if (strcmp(request.verb, "front") == 0) { /* from the home screen: the task that is there, or a new one */
        snprintf(request.verb, sizeof request.verb, "start");
        snprintf(request.activity, sizeof request.activity, "%s", state == ABSENT ? LAUNCHER_ACTIVITY : task_root);
    }
    if (strncmp(request.verb, "start", 5) == 0)
        start_activity(&request);
    else if (strcmp(request.verb, "serve") == 0)
        start_service(&request);
    else if (strcmp(request.verb, "trim") == 0)
        trim_memory(&request);
    else if (strcmp(request.verb, "swipe") == 0) {
        take_swipe(&request);
        dprintf(request.reply_fd, "ok\n");
    } else if (!back && !home) {
        if (state != RESUMED || !screen_take(&request)) dprintf(request.reply_fd, "stopped\n");
    } else if (back && state == RESUMED && screen_back())
        dprintf(request.reply_fd, "ok\n");
    else {
        /* From Android 12 on BACK moves a launcher's root activity to the back; any other is finished. */
        leave_activity(back && strcmp(shown_activity, LAUNCHER_ACTIVITY));
        dprintf(request.reply_fd, "ok\n");
    }
    close(request.reply_fd);
}

static void report_fully_drawn(void) {
    char shown[32];
    fully_drawn = true;
    frames_wait_idle();
    atrace_begin("reportFullyDrawn() for ComponentInfo{%s}", component);
    format_duration(now_ns() - launched_ns, shown, sizeof shown);
    atrace_end();
    log_write("system", 'I', "ActivityTaskManager", "Fully drawn %s: %s", component, shown);
}

static void arm(int64_t ns) {
    struct itimerspec t = {.it_value = {ns / 1000000000, ns % 1000000000}};
    timerfd_settime(vsync_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* A time that has not come, or content of a launch that is still to be drawn however slow the device is. */
static bool still_before(int64_t ns) {
    return now_ns() < ns || (running && current.scenario == SCENARIO_LAUNCH && state == RESUMED && !fully_drawn);
}

static void draw(int64_t vsync_ns) {
    struct parameters frame = current;
    if (vsync_ns < swiped_until_ns) {
        frame.ui_spin += ROW_SPIN;
        frame.ui_alloc_bytes += ROW_BYTES;
    }
    frames_draw(vsync_ns, &frame);
}

void activity_loop(void) {
    uint64_t ignored;
    wake_fd = eventfd(0, EFD_CLOEXEC);
    vsync_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    binder_start_threads(); /* from here on requests come */
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = vsync_fd, .events = POLLIN}};
    for (;;) {
        int64_t vsync = 0;
        bool behind = running && current.background && current.scenario == SCENARIO_GC_STRESS && state != RESUMED;
        bool driven = current.scenario == SCENARIO_UI, pressed = screen_done();
        if (running && (pressed || !still_before(running_until_ns))) finish_scenario(pressed || !driven);
        if (behind || (state == RESUMED && (driven ? screen_moving() : still_before(animate_until_ns))))
            arm(vsync = next_vsync());
        else
            arm(running ? running_until_ns : 0); /* 0 disarms */
        if (poll(fds, 2, -1) < 0) continue;
        /* A finger sends more than one request a frame: its frames must not wait until it is gone. */
        if (fds[0].revents && !(driven && fds[1].revents) && read(wake_fd, &ignored, sizeof ignored) > 0) {
            take_request();
            continue;
        }
        if (!fds[1].revents || read(vsync_fd, &ignored, sizeof ignored) < 0 || !vsync) continue;
        if (behind) {
            frames_allocate(&current);
            continue;
        }
        screen_frame(vsync);
        draw(vsync);
        if (++frames_since_launch == FULLY_DRAWN_FRAME && current.scenario == SCENARIO_LAUNCH && !fully_drawn) report_fully_drawn();
    }
}
