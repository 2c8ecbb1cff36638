/* A monitor's reading of another process: proc_reader PID NICE FILE...
 *
 * Reads each /proc/PID/FILE once from its beginning to its end, as memory profilers do, and prints for each
 *
 *     did read FILE WALL_NS CPU_NS BYTES CALLS
 *
 * CPU_NS is what the thread itself took: other threads that ran in between do not count. CALLS are the reads that gave
 * something; the kernel takes the locks of the process's memory anew in each. 4 KiB is what cat and stdio ask for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static char buffer[4096];
	int failed = 0;

	if (argc < 4) {
		fprintf(stderr, "usage: proc_reader PID NICE FILE...\n");
		return 2;
	}
	prctl(PR_SET_NAME, "proc_reader");
	if (setpriority(PRIO_PROCESS, 0, atoi(argv[2])) != 0) {
		perror("proc_reader: setpriority");
		return 1;
	}
	for (int at = 3; at < argc; at++) {
		char path[256];
		long long wall, cpu, bytes = 0;
		long calls = 0;
		ssize_t got;
		int file;

		snprintf(path, sizeof path, "/proc/%s/%s", argv[1], argv[at]);
		wall = now_ns(CLOCK_MONOTONIC);
		cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0) {
			fprintf(stderr, "proc_reader: %s: %s\n", path, strerror(errno));
			failed = 1;
			continue;
		}
		while ((got = read(file, buffer, sizeof buffer)) > 0) {
			bytes += got;
			calls++;
		}
		cpu = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
		wall = now_ns(CLOCK_MONOTONIC) - wall;
		close(file);
		if (got < 0 || calls == 0) { /* a process that has ended reads as empty */
			fprintf(stderr, "proc_reader: %s: %s\n", path, got < 0 ? strerror(errno) : "it is empty");
			failed = 1;
			continue;
		}
		printf("did read %s %lld %lld %lld %ld\n", argv[at], wall, cpu, bytes, calls);
	}
	return failed;
}
