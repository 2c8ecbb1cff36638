/* Android's atrace format: "B|pid|name", "E|pid", "C|pid|name|value", one write() a record. */
#include "app.h"

static int marker = -1;
static int pid;

void atrace_open(void) {
    pid = getpid();
    marker = open("/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC);
}

static void put(const char *text, int length) {
    /* Fails with EBADF while tracing is off, as it does on a phone: nothing to do about it. */
    if (marker >= 0 && write(marker, text, (size_t)length) < 0) return;
}

void atrace_begin(const char *format, ...) {
    char text[160];
    int n = snprintf(text, sizeof text, "B|%d|", pid);
    va_list args;
    va_start(args, format);
    n += vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    put(text, n < (int)sizeof text ? n : (int)sizeof text - 1);
}

void atrace_end(void) {
    char text[32];
    put(text, snprintf(text, sizeof text, "E|%d", pid));
}

void atrace_counter(const char *name, long long value) {
    char text[128];
    put(text, snprintf(text, sizeof text, "C|%d|%s|%lld", pid, name, value));
}
