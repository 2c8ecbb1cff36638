/* usage: drain_rings DIRECTORY   after the measured window: each CPU's trace_pipe_raw to DIRECTORY/cpuN.raw, whole
 * ring-buffer pages, and its counters to DIRECTORY/stats/cpuN.txt (which must exist). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing/per_cpu"
static char page[65536];

static int copy(const char *from, const char *to, size_t chunk) {
    int in = open(from, O_RDONLY | O_NONBLOCK), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t n = -1;
    if (in < 0 || out < 0) return fprintf(stderr, "drain_rings: %s -> %s: %s\n", from, to, strerror(errno)), -1;
    while ((n = read(in, page, chunk)) > 0)
        if (write(out, page, (size_t)n) != n) return perror(to), -1;
    if (n < 0 && errno != EAGAIN) return perror(from), -1; /* EAGAIN: empty */
    close(in);
    close(out);
    return 0;
}

int main(int argc, char **argv) {
    char from[128], to[512];
    int failed = 0;
    if (argc != 2) return fputs("usage: drain_rings DIRECTORY\n", stderr), 2;
    for (int cpu = 0; cpu < 1024; cpu++) {
        snprintf(from, sizeof from, TRACING "/cpu%d", cpu);
        if (access(from, F_OK)) break;
        snprintf(from, sizeof from, TRACING "/cpu%d/stats", cpu);
        snprintf(to, sizeof to, "%s/stats/cpu%d.txt", argv[1], cpu);
        failed |= copy(from, to, sizeof page); /* first: what is still in the ring shows here */
        snprintf(from, sizeof from, TRACING "/cpu%d/trace_pipe_raw", cpu);
        snprintf(to, sizeof to, "%s/cpu%d.raw", argv[1], cpu);
        failed |= copy(from, to, (size_t)sysconf(_SC_PAGESIZE)); /* one sub-buffer a read */
    }
    return failed != 0;
}
