/* The app's own account, as the APK writes it: what the stress class did and what ART counted, and the app's own memory calls. */
#include "app.h"
#include "art.h"

static uint64_t total(size_t offset) {
    uint64_t sum = 0, one;
    for (int role = 0; role < ROLES; role++) {
        memcpy(&one, (const char *)&counts[role] + offset, sizeof one);
        sum += one;
    }
    return sum;
}

/* The token is the caller's text. */
static void escape(const char *text, char *out) {
    for (; *text; text++)
        out += sprintf(out, *text == '"' || *text == '\\' ? "\\%c" : (unsigned char)*text < 32 ? "\\u%04x" : "%c", (unsigned char)*text);
    *out = 0;
}

void write_result(const struct parameters *p, bool complete) {
    char token[sizeof p->token * 6 + 1];
    escape(p->token, token);
    log_write("main", 'I', "AndroidSuite",
              "result {\"token\":\"%s\",\"scenario\":\"%s\",\"runtime\":\"art\",\"complete\":%s,\"seed\":%llu,\"duration_ms\":%lld,"
              "\"pid\":%d,\"frames\":%llu,\"late\":%llu,\"overrun_max_ns\":%lld,\"gc_cycles\":%llu,\"gc_freed_bytes\":%llu,"
              "\"mmap\":%llu,\"munmap\":%llu,\"mprotect\":%llu%s}",
              token, scenario_names[p->scenario], complete ? "true" : "false",
              (unsigned long long)p->seed, (long long)p->duration_ms, getpid(), (unsigned long long)frame_totals.frames,
              (unsigned long long)frame_totals.late, (long long)frame_totals.overrun_max_ns, (unsigned long long)gc_cycles,
              (unsigned long long)gc_freed_bytes, (unsigned long long)total(offsetof(struct counts, mmap)),
              (unsigned long long)total(offsetof(struct counts, munmap)),
              (unsigned long long)total(offsetof(struct counts, mprotect)), is_stress(p) ? stress_members : "");
}
