/* The app's own account of what it did, one logcat line: the truth that a trace of the same window must agree with. */
#include "app.h"

#include <sys/mman.h>

static const struct {
    int advice;
    const char *name;
} advice_names[] = {{MADV_DONTNEED, "dontneed"}, {MADV_NOHUGEPAGE, "nohugepage"}};
static const char *const role_names[ROLES] = {"ui", "render", "gc", "binder", "jit", "other"};

static int put_counts(char *at, size_t room) {
    int n = snprintf(at, room, "\"madvise\":{");
    for (int role = 0, first = 1; role < ROLES; role++)
        for (size_t i = 0; i < sizeof advice_names / sizeof *advice_names; i++) {
            uint64_t calls = counts[role].madvise[advice_names[i].advice];
            if (!calls) continue;
            n += snprintf(at + n, room - (size_t)n, "%s\"%s.%s\":%llu", first ? "" : ",", role_names[role], advice_names[i].name,
                          (unsigned long long)calls);
            first = 0;
        }
    uint64_t maps = 0, unmaps = 0, protects = 0, failed = 0;
    for (int role = 0; role < ROLES; role++) {
        maps += counts[role].mmap;
        unmaps += counts[role].munmap;
        protects += counts[role].mprotect;
        failed += counts[role].madvise_failed;
    }
    n += snprintf(at + n, room - (size_t)n,
                  "},\"madvise_failed\":%llu,\"gc_advised_bytes\":%llu,\"mmap\":%llu,\"munmap\":%llu,\"mprotect\":%llu",
                  (unsigned long long)failed, (unsigned long long)counts[ROLE_GC].advised_bytes, (unsigned long long)maps,
                  (unsigned long long)unmaps, (unsigned long long)protects);
    return n;
}

static int put_planted(char *at, size_t room, const struct parameters *p) {
    int n = snprintf(at, room, ",\"planted\":{");
    for (int i = 0, first = 1; i < PLANTS; i++) {
        if (!p->planted[i]) continue;
        if (planted_unsupported[i]) /* null: this kernel or architecture cannot */
            n += snprintf(at + n, room - (size_t)n, "%s\"%s\":null", first ? "" : ",", planted_names[i]);
        else
            n += snprintf(at + n, room - (size_t)n, "%s\"%s\":%llu", first ? "" : ",", planted_names[i],
                          (unsigned long long)planted_calls[i]);
        first = 0;
    }
    return n + snprintf(at + n, room - (size_t)n, "}");
}

void write_result(const struct parameters *p, bool complete) {
    char json[3400], token[64 * 6 + 1];
    int t = 0;
    for (const char *c = p->token; *c; c++) /* the token is the caller's text: escape it */
        t += snprintf(token + t, sizeof token - (size_t)t, *c == '"' || *c == '\\' ? "\\%c" : (unsigned char)*c < 32 ? "\\u%04x" : "%c",
                      (unsigned char)*c);
    token[t] = 0;
    int n = snprintf(json, sizeof json,
                     "{\"token\":\"%s\",\"scenario\":\"%s\",\"complete\":%s,\"seed\":%llu,\"duration_ms\":%lld,\"pid\":%d,\"frames\":%llu,"
                     "\"late\":%llu,\"overrun_max_ns\":%lld,\"gc_cycles\":%llu,\"gc_freed_bytes\":%llu,",
                     token, scenario_names[p->scenario], complete ? "true" : "false",
                     (unsigned long long)p->seed, (long long)p->duration_ms, getpid(), (unsigned long long)frame_totals.frames,
                     (unsigned long long)frame_totals.late, (long long)frame_totals.overrun_max_ns, (unsigned long long)gc_cycles,
                     (unsigned long long)gc_freed_bytes);
    if (p->scenario == SCENARIO_GC_STRESS) /* as Stress tells it on a JVM and on ART */
        n += snprintf(json + n, sizeof json - (size_t)n, "\"allocations\":%llu,\"allocated_bytes\":%llu,\"digest\":\"%llx\",",
                      (unsigned long long)stress_allocations, (unsigned long long)stress_bytes, (unsigned long long)stress_digest);
    n += put_counts(json + n, sizeof json - (size_t)n);
    n += put_planted(json + n, sizeof json - (size_t)n, p);
    if (p->gc_uffd) n += uffd_tell(json + n, sizeof json - (size_t)n);
    snprintf(json + n, sizeof json - (size_t)n, "}");
    log_write("main", 'I', "AndroidSuite", "result %s", json);
}
