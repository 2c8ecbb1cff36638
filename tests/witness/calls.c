/*
 * An exactly known number of madvise calls, beside threads that fight for the same mmap_lock.
 *
 *   calls TOTAL SEED
 *
 * HeapTaskDaemon  six calls of ten: MADV_DONTNEED, of which one in fifty spans two VMAs and one in fifty lies in a VMA
 *                 that a userfaultfd watches (both have to fall back to mmap_lock on any kernel)
 * advisor         three of ten: advices in turn, for which kernels choose different locks
 * refused         one of ten: calls that end before any lock is taken: empty ranges, unknown advices, unaligned starts
 * mapper          maps, touches, unmaps until the others are done: takes mmap_lock for write
 * toucher         faults pages in beside it: VMA locks and, where these are busy, mmap_lock for read
 *
 * mapper and toucher go on until mapper has slept ENOUGH times in munmap, where nothing but mmap_lock can make it sleep.
 * When the others are done, toucher holds the lock for read over the faults of a thousand pages, again and again.
 *
 * Prints its own account as one line of JSON: per thread the calls by advice, how many were planted, and how often it
 * slept in munmap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, ARENA_PAGES = 8192, KINDS = 16, UNKNOWN_ADVICE = 9999, EVERY = 50, ENOUGH = 20, TRIES = 100000, LARGE = 1024 };

struct count {
    int advice;
    long calls;
};

struct worker {
    const char *name;
    int nice;
    void (*body)(struct worker *);
    long calls;
    pid_t tid;
    uint64_t random;
    struct count counts[KINDS];
    long spans, armed, empty, unaligned, slept;
};

static atomic_int working, wanted = 1; /* threads with calls to make; more waits for mmap_lock */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static char *map(size_t pages)
{
    char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        die("mmap");
    return at;
}

static uint64_t draw(struct worker *me)
{
    uint64_t x = me->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return me->random = x;
}

static void advise(struct worker *me, char *at, size_t bytes, int advice)
{
    syscall(SYS_madvise, at, bytes, advice);
    for (int i = 0; i < KINDS; i++)
        if (me->counts[i].advice == advice || me->counts[i].calls == 0) {
            me->counts[i].advice = advice;
            me->counts[i].calls++;
            return;
        }
    die("more advices than there is room for");
}

/* Two VMAs in one range: the second half may not be written, so the kernel cannot merge them. */
static char *map_pair(void)
{
    char *at = map(16);
    if (mprotect(at + 8 * PAGE, 8 * PAGE, PROT_READ))
        die("mprotect");
    return at;
}

static char *map_armed(void)
{
    char *at = map(16);
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register armed = {
        .range = {.start = (uintptr_t)at, .len = 16 * PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &armed))
        die("userfaultfd");
    return at;
}

static void collect(struct worker *me)
{
    char *arena = map(ARENA_PAGES), *pair = map_pair(), *armed = map_armed();
    for (long i = 0; i < me->calls; i++) {
        if (i % EVERY == 10) {
            advise(me, pair, 16 * PAGE, MADV_DONTNEED);
            me->spans++;
        } else if (i % EVERY == 30) {
            advise(me, armed, 16 * PAGE, MADV_DONTNEED);
            me->armed++;
        } else {
            size_t pages = 1 + draw(me) % 16, first = draw(me) % (ARENA_PAGES - pages);
            for (size_t p = 0; p < pages; p += 4)
                arena[(first + p) * PAGE] = 1;
            advise(me, arena + first * PAGE, pages * PAGE, MADV_DONTNEED);
        }
    }
}

static void give_advice(struct worker *me)
{
    static const int advices[] = {MADV_DONTNEED, MADV_FREE,   MADV_COLD,       24 /* DONTNEED_LOCKED */,
                                  MADV_WILLNEED, MADV_DONTNEED, MADV_SEQUENTIAL, MADV_PAGEOUT};
    char *arena = map(16);
    for (long i = 0; i < me->calls; i++) {
        arena[(i % 16) * PAGE] = 1;
        advise(me, arena, 16 * PAGE, advices[i % (sizeof advices / sizeof *advices)]);
    }
}

static void be_refused(struct worker *me)
{
    char *arena = map(4);
    for (long i = 0; i < me->calls; i++) {
        if (i % 3 == 0) {
            advise(me, arena, 0, MADV_DONTNEED);
            me->empty++;
        } else if (i % 3 == 1) {
            advise(me, arena, PAGE, UNKNOWN_ADVICE);
        } else {
            advise(me, arena + 1, PAGE, MADV_FREE);
            me->unaligned++;
        }
    }
}

static long count_sleeps(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_THREAD, &used))
        die("getrusage");
    return used.ru_nvcsw;
}

static void map_and_unmap(struct worker *me)
{
    for (long tries = 0; atomic_load(&working) || (me->slept < ENOUGH && tries < TRIES); tries++) {
        char *at = map(16);
        for (int p = 0; p < 16; p += 4)
            at[p * PAGE] = 1;
        long before = count_sleeps();
        munmap(at, 16 * PAGE);
        me->slept += count_sleeps() > before;
        usleep(1000 + draw(me) % 2000);
    }
    atomic_store(&wanted, 0);
}

static void touch(struct worker *me)
{
    char *arena = map(256);
    while (atomic_load(&working)) {
        for (int p = 0; p < 256; p += 32)
            arena[p * PAGE] = 1;
        /* MAP_FIXED over the old mapping gives fresh pages without a madvise call. */
        if (mmap(arena, 256 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            die("mmap");
        usleep(2000 + draw(me) % 2000);
    }
    while (atomic_load(&wanted)) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
        char *large = mmap(NULL, LARGE * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (large == MAP_FAILED)
            die("mmap");
        munmap(large, LARGE * PAGE);
    }
}

static void *run(void *argument)
{
    struct worker *me = argument;
    me->tid = gettid();
    prctl(PR_SET_NAME, me->name);
    setpriority(PRIO_PROCESS, me->tid, me->nice);
    me->body(me);
    if (me->calls)
        atomic_fetch_sub(&working, 1);
    return NULL;
}

static void print_account(const struct worker *workers, size_t n)
{
    printf("{\"pid\": %d, \"threads\": [", getpid());
    for (const struct worker *w = workers; w < workers + n; w++) {
        printf("%s{\"name\": \"%s\", \"tid\": %d, \"spans\": %ld, \"armed\": %ld, \"empty\": %ld, \"unaligned\": %ld, "
               "\"slept\": %ld, \"calls\": {",
               w == workers ? "" : ", ", w->name, w->tid, w->spans, w->armed, w->empty, w->unaligned, w->slept);
        for (int i = 0; i < KINDS && w->counts[i].calls; i++)
            printf("%s\"%d\": %ld", i ? ", " : "", w->counts[i].advice, w->counts[i].calls);
        printf("}}");
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: calls TOTAL SEED\n");
        return 2;
    }
    long total = atol(argv[1]);
    uint64_t seed = strtoull(argv[2], NULL, 10);
    struct worker workers[] = {
        {.name = "HeapTaskDaemon", .nice = 4, .body = collect, .calls = total * 6 / 10},
        {.name = "advisor", .body = give_advice, .calls = total * 3 / 10},
        {.name = "refused", .body = be_refused, .calls = total - total * 6 / 10 - total * 3 / 10},
        {.name = "mapper", .nice = -10, .body = map_and_unmap},
        {.name = "toucher", .body = touch},
    };
    enum { N = sizeof workers / sizeof *workers };
    pthread_t threads[N];
    atomic_store(&working, 3);
    for (int i = 0; i < N; i++) {
        workers[i].random = (seed + 1) * 0x9e3779b97f4a7c15u + i;
        if (pthread_create(&threads[i], NULL, run, &workers[i]))
            die("pthread_create");
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    print_account(workers, N);
    return 0;
}
