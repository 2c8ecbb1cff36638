// SPDX-License-Identifier: Apache-2.0
// Drains the kernel's per-CPU trace buffers while a scenario runs.
//
//   ftrace_drain TRACEFS PAGE_BYTES PERIOD_MS           frames [u32 cpu][u32 length][bytes] on standard output
//   ftrace_drain TRACEFS PAGE_BYTES PERIOD_MS -m TOKEN  the same; after each pass a numbered mark in the trace, so that
//                                                       its reader finds out if somebody switched it off meanwhile
//   ftrace_drain TRACEFS PAGE_BYTES PERIOD_MS -o DIR    DIR/cpuN.raw instead
//
// The first frame is [u32 0xffffffff][u32 cpus]: every buffer is open. Byte order is the device's. With -m, the first
// line on its standard input says that tracing is on: mark 0 is written and [u32 0xfffffffe][u32 1] answers, so every
// recording, however short, has a mark. Marks are numbered from then on, whether or not the kernel takes them.
//
// It ends at the end of its standard input, or at SIGTERM: the caller has switched tracing off by then, so one more
// pass over all CPUs takes the rest, the half-filled pages included. Status 0 means that nothing was left behind.
//
// Why it polls: a blocking read of trace_pipe_raw wakes its reader at every event, which would trace mostly ourselves.
// With 200 ms between passes it costs a few reads per CPU and second.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_CPUS = 1024, PAGES_A_WRITE = 64 };

#define READY UINT32_MAX
#define COUNTING (UINT32_MAX - 1)

static volatile sig_atomic_t stopping;
static size_t page_bytes;
static char *pages;

static void on_term(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "ftrace_drain: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_all(int out, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t done = write(out, data, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			die("write");
		data += done;
		length -= (size_t)done;
	}
}

// The frame's header lies right before the pages, so that a frame is one write.
static void emit(int out, int framed, uint32_t cpu, size_t length)
{
	uint32_t header[2] = {cpu, (uint32_t)length};

	if (!framed) {
		write_all(out, pages, length);
		return;
	}
	memcpy(pages - sizeof(header), header, sizeof(header));
	write_all(out, pages - sizeof(header), sizeof(header) + length);
}

// Takes all that a CPU has. A read gives one page or, where the buffer is empty, EAGAIN.
static void drain_cpu(int in, int out, int framed, uint32_t cpu)
{
	size_t filled = 0;

	for (;;) {
		ssize_t got = read(in, pages + filled, page_bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno != EAGAIN)
			die("read of trace_pipe_raw");
		if (got <= 0)
			break;
		// readers find pages by their size: what the kernel did not fill is zero
		memset(pages + filled + got, 0, page_bytes - (size_t)got);
		filled += page_bytes;
		if (filled == PAGES_A_WRITE * page_bytes) {
			emit(out, framed, cpu, filled);
			filled = 0;
		}
	}
	if (filled > 0)
		emit(out, framed, cpu, filled);
}

// Marks the trace. The write fails while tracing is off: the number is then missing in the trace, and its reader finds
// out.
static void mark(int marker, const char *token, unsigned int number)
{
	char text[128];
	int length = snprintf(text, sizeof(text), "android_suite: beat %u %s\n", number, token);

	if (write(marker, text, (size_t)length) < 0)
		return;
}

// Tells the host something that is not a page.
static void announce(uint32_t what, uint32_t number)
{
	uint32_t frame[2] = {what, number};

	write_all(STDOUT_FILENO, (const char *)frame, sizeof(frame));
}

int main(int argc, char **argv)
{
	static int in[MAX_CPUS], out[MAX_CPUS];
	uint32_t cpus = 0;
	int framed, period_ms, counting = 0, marker = -1;
	unsigned int beats = 0;
	char path[4096];

	if (argc != 4 && !(argc == 6 && (strcmp(argv[4], "-o") == 0 || strcmp(argv[4], "-m") == 0))) {
		fprintf(stderr, "usage: ftrace_drain TRACEFS PAGE_BYTES PERIOD_MS [-o DIR | -m TOKEN]\n");
		return 2;
	}
	page_bytes = strtoul(argv[2], NULL, 10);
	period_ms = atoi(argv[3]);
	framed = argc == 4 || strcmp(argv[4], "-m") == 0;
	if (page_bytes < 4096 || page_bytes > 1 << 20 || period_ms < 1) {
		fprintf(stderr, "ftrace_drain: page size or period out of range\n");
		return 2;
	}
	char *block = malloc(sizeof(uint32_t[2]) + PAGES_A_WRITE * page_bytes);
	if (!block)
		die("malloc");
	pages = block + sizeof(uint32_t[2]);
	signal(SIGTERM, on_term);

	for (; cpus < MAX_CPUS; cpus++) {
		snprintf(path, sizeof(path), "%s/per_cpu/cpu%u/trace_pipe_raw", argv[1], cpus);
		in[cpus] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (in[cpus] < 0 && errno == ENOENT)
			break;
		if (in[cpus] < 0)
			die(path);
		out[cpus] = STDOUT_FILENO;
		if (framed)
			continue;
		snprintf(path, sizeof(path), "%s/cpu%u.raw", argv[5], cpus);
		out[cpus] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (out[cpus] < 0)
			die(path);
	}
	if (cpus == 0)
		die(path);
	if (framed && argc == 6) {
		snprintf(path, sizeof(path), "%s/trace_marker", argv[1]);
		marker = open(path, O_WRONLY | O_CLOEXEC);
		if (marker < 0)
			die(path);
	}
	if (framed)
		announce(READY, cpus);

	while (!stopping) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		char ignored[256];

		if (poll(&input, 1, period_ms) > 0) {
			if (read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
				stopping = 1;
			else if (marker >= 0 && !counting) {
				counting = 1;
				mark(marker, argv[5], beats++);
				announce(COUNTING, 1);
			}
		}
		for (uint32_t cpu = 0; cpu < cpus; cpu++)
			drain_cpu(in[cpu], out[cpu], framed, cpu);
		// After the pass: the mark lies in the buffer until the next one, and whoever empties the buffer takes it.
		if (counting && !stopping)
			mark(marker, argv[5], beats++);
	}
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		drain_cpu(in[cpu], out[cpu], framed, cpu);
	return 0;
}
