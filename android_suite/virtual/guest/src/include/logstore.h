/* The guest's log: one append-only file a buffer, one record a line, written by a single write() so that writers need no lock.
 * Record: "<realtime ns> <monotonic ns> <pid> <tid> <priority letter> <tag>\t<message>\n". */
#ifndef ANDROID_SUITE_LOGSTORE_H
#define ANDROID_SUITE_LOGSTORE_H
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOG_DIR "/data/misc/logd"
#define LOG_MESSAGE_BYTES 4000 /* Android's payload limit is 4068 bytes, tag included */
#define LOG_ROTATE_BYTES (2 << 20)

static inline int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Appends one record to `buffer` ("main", "system", "events", "crash"); newlines in the message become spaces. */
static inline void log_write(const char *buffer, char priority, const char *tag, const char *format, ...) {
    char path[64], old[72], message[LOG_MESSAGE_BYTES], record[LOG_MESSAGE_BYTES + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    for (char *c = message; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    int n = snprintf(record, sizeof record, "%lld %lld %d %d %c %.80s\t%s\n", (long long)clock_ns(CLOCK_REALTIME),
                     (long long)clock_ns(CLOCK_MONOTONIC), getpid(), (int)syscall(SYS_gettid), priority, tag, message);
    snprintf(path, sizeof path, LOG_DIR "/%s", buffer);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return;
    struct stat st;
    if (write(fd, record, (size_t)n) == n && fstat(fd, &st) == 0 && st.st_size > LOG_ROTATE_BYTES) {
        snprintf(old, sizeof old, "%s.old", path);
        rename(path, old);
    }
    close(fd);
}
#endif
