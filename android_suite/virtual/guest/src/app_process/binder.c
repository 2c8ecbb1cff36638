/* Binder threads: the first answers the control socket (as Android's answers ActivityThread and dumpsys), the others work at each vsync. */
#include "app.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define WORKERS 2
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const struct parameters *work;
static int active;

static void sleep_until(int64_t ns) {
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void work_at_vsync(const struct parameters *p, uint64_t turn) {
    int64_t period = VSYNC_NS * (int64_t)p->binder_every;
    sleep_until((now_ns() / period + 1) * period + (int64_t)p->binder_phase_us * 1000);
    if (turn % 8 == 0 && !p->bench) { /* a parcel's buffer */
        char *parcel = mem_map(ROLE_BINDER, 32 * KIB, PROT_READ | PROT_WRITE, NULL);
        mem_touch(parcel, 32 * KIB, 1);
        mem_unmap(ROLE_BINDER, parcel, 32 * KIB);
    }
    spin(p->binder_spin);
}

static void *worker(void *number) {
    char comm[16];
    snprintf(comm, sizeof comm, "Binder:%d_%lX", getpid(), (unsigned long)(uintptr_t)number);
    become(comm, 0);
    pthread_mutex_lock(&lock);
    for (uint64_t turn = (uintptr_t)number;; turn++) {
        while (!work) pthread_cond_wait(&changed, &lock);
        const struct parameters *p = work;
        active++;
        pthread_mutex_unlock(&lock);
        work_at_vsync(p, turn);
        pthread_mutex_lock(&lock);
        active--;
        if (!work) pthread_cond_broadcast(&changed); /* somebody waits for the end of the work */
    }
    return NULL;
}

void binder_set_work(const struct parameters *p) {
    pthread_mutex_lock(&lock);
    work = p;
    pthread_cond_broadcast(&changed);
    while (!work && active) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Request: one line "verb\tactivity\tmonotonic ns\tkey=value\t...". */
static bool read_request(int fd, struct request *request) {
    char line[REQUEST_BYTES];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof line - 1 && (got = read(fd, line + n, sizeof line - 1 - n)) > 0) {
        n += (size_t)got;
        if (line[n - 1] == '\n') break;
    }
    if (n == 0 || line[n - 1] != '\n') return false;
    line[n - 1] = 0;
    char *rest = line, *verb = strsep(&rest, "\t"), *activity = strsep(&rest, "\t"), *sent = strsep(&rest, "\t");
    memset(request, 0, sizeof *request);
    snprintf(request->verb, sizeof request->verb, "%s", verb);
    snprintf(request->activity, sizeof request->activity, "%s", activity ? activity : "");
    snprintf(request->extras, sizeof request->extras, "%s", rest ? rest : "");
    request->sent_ns = sent ? atoll(sent) : 0;
    request->reply_fd = fd;
    return true;
}

static void dump_graphics(struct request *request) {
    FILE *out = fdopen(request->reply_fd, "w");
    if (!out) return;
    frames_dump(out, strstr(request->activity, "framestats") != NULL);
    if (strstr(request->activity, "reset")) frames_reset();
    fclose(out);
}

static void *control(void *unused) {
    static struct request request;
    char comm[16];
    snprintf(comm, sizeof comm, "Binder:%d_1", getpid());
    become(comm, 0);
    for (;;) {
        int fd = accept4(CONTROL_FD, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        if (!read_request(fd, &request))
            close(fd);
        else if (strcmp(request.verb, "gfxinfo") == 0)
            dump_graphics(&request);
        else
            activity_post(&request); /* the main thread answers and closes */
    }
    return unused;
}

void binder_start_threads(void) {
    start_thread(control, NULL);
    for (uintptr_t i = 2; i < 2 + WORKERS; i++) start_thread(worker, (void *)i);
}
