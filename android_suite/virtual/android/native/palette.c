/* libartpalette-system.so: what ART asks of the system it runs on. Sections and counters go into the trace, and the priorities of
 * Java have Android's nice values. ART asks for the functions by name and does without the others. Without a C library. */
#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))
#define OK 0
#define INVALID 2
#define CHECK_ERRNO 1
#define AT_FDCWD -100
#define O_WRONLY 1
#define O_CLOEXEC 02000000
#define LINE_BYTES 512

static long call(long number, long a, long b, long c, long d) {
#if defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#elif defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    long result = number;
    __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
#endif
}

static int marker = -2; /* -2: not yet opened */

static bool trace_is_open(void) {
    if (marker == -2) marker = (int)call(__NR_openat, AT_FDCWD, (long)"/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC, 0);
    return marker >= 0;
}

static size_t put_text(char *line, size_t at, const char *text) {
    while (*text && at < LINE_BYTES - 32) line[at++] = *text++;
    return at;
}

static size_t put_number(char *line, size_t at, long value) {
    char digits[24];
    int n = 0;
    unsigned long rest = value < 0 ? 0UL - (unsigned long)value : (unsigned long)value;
    if (value < 0) line[at++] = '-';
    do digits[n++] = (char)('0' + rest % 10);
    while (rest /= 10);
    while (n) line[at++] = digits[--n];
    return at;
}

static void write_line(char kind, const char *text, const int32_t *value) {
    char line[LINE_BYTES];
    if (!trace_is_open()) return;
    size_t at = 0;
    line[at++] = kind;
    line[at++] = '|';
    at = put_number(line, at, call(__NR_getpid, 0, 0, 0, 0));
    if (text) line[at++] = '|', at = put_text(line, at, text);
    if (value) line[at++] = '|', at = put_number(line, at, *value);
    call(__NR_write, marker, (long)line, (long)at, 0);
}

EXPORTED int32_t PaletteTraceEnabled(bool *enabled) {
    *enabled = trace_is_open();
    return OK;
}

EXPORTED int32_t PaletteTraceBegin(const char *name) {
    write_line('B', name, NULL);
    return OK;
}

EXPORTED int32_t PaletteTraceEnd(void) {
    write_line('E', NULL, NULL);
    return OK;
}

EXPORTED int32_t PaletteTraceIntegerValue(const char *name, int32_t value) {
    write_line('C', name, &value);
    return OK;
}

/* Of Java's priorities 1 to 10, as libartpalette of a device has them. */
static const signed char nice_values[] = {19, 16, 13, 10, 0, -2, -4, -5, -6, -8};

EXPORTED int32_t PaletteSchedSetPriority(int32_t tid, int32_t priority) {
    if (priority < 1 || priority > 10) return INVALID;
    return call(__NR_setpriority, 0, tid, nice_values[priority - 1], 0) < 0 ? CHECK_ERRNO : OK;
}

EXPORTED int32_t PaletteSchedGetPriority(int32_t tid, int32_t *priority) {
    long value = 20 - call(__NR_getpriority, 0, tid, 0, 0); /* the kernel's is 20 - nice */
    *priority = 1;
    for (int i = 1; i < 10; i++)
        if (value <= nice_values[i]) *priority = i + 1;
    return OK;
}
