/* Memory calls, counted by role. A slot is written by the threads of its role only; readers wait until those are idle. */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

struct counts counts[ROLES];
uint64_t planted_calls[PLANTS];
bool planted_unsupported[PLANTS];
const char *const planted_names[PLANTS] = {"spans_vmas", "userfaultfd", "remote", "process_madvise_self", "tagged"};

static void add(uint64_t *counter, uint64_t amount) { __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED); }

void *mem_map(enum role role, size_t bytes, int protection, const char *name) {
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    add(&counts[role].mmap, 1);
    if (p == MAP_FAILED) {
        log_write("crash", 'F', "libc", "mmap of %zu bytes failed: %s", bytes, strerror(errno));
        abort();
    }
    if (name) mem_name(p, bytes, name);
    return p;
}

/* ART names its mappings; a kernel without CONFIG_ANON_VMA_NAME refuses, and the name is then simply not shown. */
void mem_name(void *address, size_t bytes, const char *name) {
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, bytes, name);
}

void mem_unmap(enum role role, void *address, size_t bytes) {
    munmap(address, bytes);
    add(&counts[role].munmap, 1);
}

void mem_protect(enum role role, void *address, size_t bytes, int protection) {
    mprotect(address, bytes, protection);
    add(&counts[role].mprotect, 1);
}

int mem_advise(enum role role, void *address, size_t bytes, int advice) {
    int rc = madvise(address, bytes, advice);
    add(&counts[role].madvise[advice < ADVICES ? advice : ADVICES - 1], 1);
    add(&counts[role].advised_bytes, bytes);
    if (rc) add(&counts[role].madvise_failed, 1);
    return rc;
}

void mem_touch(volatile char *address, size_t bytes, char value) {
    for (size_t i = 0; i < bytes; i += PAGE) address[i] = value;
}

void reset_counts(void) {
    memset(counts, 0, sizeof counts);
    memset(planted_calls, 0, sizeof planted_calls);
}
