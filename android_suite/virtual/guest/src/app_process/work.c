/* Time, compute and thread names. */
#include "app.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

char process_name[96] = PACKAGE, package_name[96] = PACKAGE;

bool take_process_name(const char *given) {
    static const char *const packages[] = {PACKAGE, BACKGROUND_PACKAGE};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(packages[i]);
        if (strncmp(given, packages[i], n) || (given[n] && given[n] != ':')) continue;
        snprintf(process_name, sizeof process_name, "%s", given);
        snprintf(package_name, sizeof package_name, "%s", packages[i]);
        return true;
    }
    return false;
}

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Integer work the compiler cannot remove: a fixed count, so a slower host or a tracer shows as time and not as less work. */
void spin(uint64_t iterations) {
    uint64_t x = 1;
    for (uint64_t i = 0; i < iterations; i++) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        __asm__ volatile("" : "+r"(x));
    }
}

uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* As on Android a thread is renamed after clone, so ftrace's saved names can still hold the parent's. */
void become(const char *comm, int nice_value) {
    prctl(PR_SET_NAME, comm);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice_value);
}

void start_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * KIB);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, body, argument)) {
        log_write("crash", 'F', "libc", "pthread_create failed");
        abort();
    }
    pthread_attr_destroy(&attributes);
}
