/* Planted calls, each kind switchable and counted here: three that must fall back to mmap_lock, and two that need not. */
#include "app.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define AREA_BYTES (64 * KIB)
static char *two_vmas, *armed, *remote_target, *own_target;
static int to_helper = -1, from_helper = -1;
static pid_t helper;

static void prepare_userfaultfd(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API};
    armed = mem_map(ROLE_OTHER, AREA_BYTES, PROT_READ | PROT_WRITE, "dalvik-planted userfaultfd");
    /* Missing mode; nobody touches the range, so no fault ever waits for a reader. The descriptor stays open: it is the arming. */
    struct uffdio_register reg = {.range = {(uintptr_t)armed, AREA_BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    planted_unsupported[PLANT_USERFAULTFD] = fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg);
}

static void prepare_helper(void) {
    int down[2], up[2];
    char arguments[5][24];
    remote_target = mem_map(ROLE_OTHER, AREA_BYTES, PROT_READ | PROT_WRITE, "dalvik-planted remote");
    mem_touch(remote_target, AREA_BYTES, 1);
    if (pipe2(down, 0) || pipe2(up, 0)) return;
    snprintf(arguments[0], 24, "%d", getpid());
    snprintf(arguments[1], 24, "%lu", (unsigned long)(uintptr_t)remote_target);
    snprintf(arguments[2], 24, "%lu", AREA_BYTES);
    snprintf(arguments[3], 24, "%d", down[0]);
    snprintf(arguments[4], 24, "%d", up[1]);
    char *argv[] = {HELPER_PACKAGE, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], NULL};
    fcntl(down[1], F_SETFD, FD_CLOEXEC);
    fcntl(up[0], F_SETFD, FD_CLOEXEC);
    extern char **environ;
    if (posix_spawn(&helper, "/proc/self/exe", NULL, NULL, argv, environ)) helper = 0;
    close(down[0]);
    close(up[1]);
    to_helper = down[1];
    from_helper = up[0];
}

void planted_prepare(const struct parameters *p) {
    memset(planted_unsupported, 0, sizeof planted_unsupported);
    if (p->planted[PLANT_SPANS_VMAS] && !two_vmas) {
        two_vmas = mem_map(ROLE_OTHER, AREA_BYTES, PROT_READ | PROT_WRITE, "dalvik-planted two vmas");
        mem_protect(ROLE_OTHER, two_vmas + AREA_BYTES / 2, AREA_BYTES / 2, PROT_READ); /* the permissions split it */
    }
    if (p->planted[PLANT_USERFAULTFD] && !armed) prepare_userfaultfd();
    if (p->planted[PLANT_REMOTE]) prepare_helper();
    if (!own_target) own_target = mem_map(ROLE_OTHER, AREA_BYTES, PROT_READ | PROT_WRITE, "dalvik-planted own");
}

static void advise(enum planted kind, char *address, size_t bytes) {
    mem_advise(ROLE_GC, address, bytes, MADV_DONTNEED);
    planted_calls[kind]++;
}

static void advise_tagged(void) {
#ifdef __aarch64__
    /* Per thread, hence here and not at start. The kernel strips the tag and must still find the VMA without mmap_lock. */
    if (prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) == 0) {
        advise(PLANT_TAGGED, (char *)((uintptr_t)own_target | 0x2aULL << 56), AREA_BYTES);
        return;
    }
#endif
    planted_unsupported[PLANT_TAGGED] = true;
}

static void advise_self(void) {
    static int self = -1;
    struct iovec range = {own_target, AREA_BYTES};
    if (self < 0) self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (syscall(SYS_process_madvise, self, &range, 1UL, MADV_DONTNEED, 0) == (long)AREA_BYTES)
        planted_calls[PLANT_SELF]++;
    else
        planted_unsupported[PLANT_SELF] = true; /* older kernels refuse DONTNEED through process_madvise even on oneself */
}

static void advise_remote(uint64_t calls) {
    uint64_t done = 0;
    if (write(to_helper, &calls, sizeof calls) != sizeof calls || read(from_helper, &done, sizeof done) != sizeof done || !done)
        planted_unsupported[PLANT_REMOTE] = true;
    planted_calls[PLANT_REMOTE] += done;
}

void planted_run(const struct parameters *p) {
    uint64_t n = p->planted_per_cycle;
    for (uint64_t i = 0; i < n; i++) {
        if (p->planted[PLANT_SPANS_VMAS]) advise(PLANT_SPANS_VMAS, two_vmas, AREA_BYTES);
        if (p->planted[PLANT_USERFAULTFD] && !planted_unsupported[PLANT_USERFAULTFD]) advise(PLANT_USERFAULTFD, armed, AREA_BYTES);
        if (p->planted[PLANT_SELF]) advise_self();
        if (p->planted[PLANT_TAGGED]) advise_tagged();
    }
    if (p->planted[PLANT_REMOTE]) advise_remote(n);
}

void planted_finish(const struct parameters *p) {
    if (!p->planted[PLANT_REMOTE]) return;
    close(to_helper); /* the helper ends at end of file */
    close(from_helper);
    if (helper) waitpid(helper, NULL, 0);
    helper = 0;
}

/* argv: app's pid, address, bytes, request pipe, reply pipe. Answers each request with the number of calls that succeeded. */
int planted_helper_main(char **argv) {
    become(HELPER_COMM, 0);
    int app = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    struct iovec range = {(void *)strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10)};
    int in = atoi(argv[4]), out = atoi(argv[5]);
    uint64_t wanted, done;
    while (read(in, &wanted, sizeof wanted) == sizeof wanted) {
        done = 0;
        for (uint64_t i = 0; i < wanted; i++) /* of another process only advice that loses no data is allowed */
            if (syscall(SYS_process_madvise, app, &range, 1UL, i % 2 ? MADV_PAGEOUT : MADV_COLD, 0) > 0) done++;
        if (write(out, &done, sizeof done) != sizeof done) return 1;
    }
    return 0;
}
