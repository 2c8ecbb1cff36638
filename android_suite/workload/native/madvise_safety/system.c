/* What the whole system must show: no page leaked, and a clean kernel log. Results are printed here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "safety.h"

/* What is summed up from /proc/vmstat, in pages. Each stays the same unless pages are lost. */
static const struct counter {
	const char *name;
	const char *plus, *minus; /* names of /proc/vmstat, each with a space behind it */
	long slack; /* pages that lists of each CPU and other processes may hold */
} COUNTERS[] = {
	{"mapped anonymous pages (nr_anon_pages)", "nr_anon_pages ", "", 512},
	{"page tables (nr_page_table_pages)", "nr_page_table_pages ", "", 256},
	{"anonymous pages on the LRU that nobody maps", "nr_active_anon nr_inactive_anon nr_isolated_anon ",
	 "nr_anon_pages nr_shmem nr_swapcached ", 512},
	{"pages that are neither free nor accounted for", "",
	 "nr_free_pages nr_active_anon nr_inactive_anon nr_active_file nr_inactive_file nr_unevictable nr_isolated_anon "
	 "nr_isolated_file nr_slab_reclaimable nr_slab_unreclaimable nr_page_table_pages ", 4096},
};
enum { COUNTER_COUNT = sizeof(COUNTERS) / sizeof(*COUNTERS), UNACCOUNTED = COUNTER_COUNT - 1 };
/* Looks at the counters, 50 ms apart. RCU callbacks may free page tables as late as 10 s afterwards (CONFIG_RCU_LAZY, which
   Android's kernels have), so a leak is known only after that; LATEST is for a busy device. */
enum { LOOKS = 20, LATEST = 300 };
/* What a kernel prints when something is wrong with memory or its locks. */
static const char *const FAULTS[] = {
	"BUG:", "WARNING:", "Oops", "Bad rss-counter", "Bad page", "bad page", "KASAN", "KFENCE", "UBSAN",
	"possible circular locking", "possible recursive locking", "inconsistent lock state", "held lock freed",
	"blocked for more than", "soft lockup", "rcu_sched detected", "rcu_preempt detected", "self-detected stall",
	"Unable to handle kernel", "general protection fault", "lock held when returning to user space", "bad unlock balance",
};

static long before[COUNTER_COUNT];
static bool readable, lists_readable;
static int log_fd = -1;
static char log_refused[120];

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

void print_result(const char *race, const char *check, const char *cpus, const char *result, const char *why, long tried)
{
	printf("{\"check\": \"%s/%s\", \"cpus\": %s, \"result\": \"%s\", \"tried\": %ld, \"reason\": ", race, check, cpus,
	       result, tried);
	print_text(why);
	puts("}");
	fflush(stdout);
}

static bool is_in(const char *names, const char *line, size_t length)
{
	const char *at = names;

	while ((at = strstr(at, line)))
		if ((at == names || at[-1] == ' ') && at[length] == ' ')
			return true;
		else
			at++;
	return false;
}

/* Free pages that each CPU keeps in lists of its own, which nr_free_pages leaves out: with transparent huge pages some
   tens of MiB. -1: /proc/zoneinfo cannot be read. */
static long read_cpu_lists(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	char line[128];
	long pages = 0, count;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	fclose(f);
	return pages;
}

static bool read_counters(long *values)
{
	FILE *f;
	char line[128];
	int refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	bool any = false;

	if (refresh >= 0) { /* adds up what each CPU keeps for itself; needs root */
		if (write(refresh, "1", 1) < 0)
			errno = 0;
		close(refresh);
	}
	f = fopen("/proc/vmstat", "re");
	if (!f)
		return false;
	memset(values, 0, COUNTER_COUNT * sizeof(*values));
	while (fgets(line, sizeof(line), f)) {
		size_t length = strcspn(line, " ");
		long value = atol(line + length);

		line[length] = 0;
		for (int i = 0; i < COUNTER_COUNT; i++) {
			values[i] += is_in(COUNTERS[i].plus, line, length) ? value : 0;
			values[i] -= is_in(COUNTERS[i].minus, line, length) ? value : 0;
		}
		any = true;
	}
	fclose(f);
	long kept = read_cpu_lists();

	lists_readable = kept >= 0;
	values[UNACCOUNTED] -= lists_readable ? kept : 0;
	return any;
}

static bool is_kept(const long *values)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		if (values[i] - before[i] > COUNTERS[i].slack)
			return false;
	return true;
}

static void wait_for_next_look(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

void remember_counters(void)
{
	readable = read_counters(before);
}

void report_counters(const char *cpus)
{
	long now[COUNTER_COUNT], low[COUNTER_COUNT], high[COUNTER_COUNT];
	char why[200] = "";
	const char *result = "passed";

	if (!readable) {
		print_result("system", "pages", cpus, "unsupported", "/proc/vmstat cannot be read here", 0);
		return;
	}
	for (int look = 0; look < LATEST && read_counters(now) && !is_kept(now); look++)
		wait_for_next_look();
	/* Others use memory, too: a leak is what is there at every look. */
	for (int look = 0; look < LOOKS; look++) {
		read_counters(now);
		for (int i = 0; i < COUNTER_COUNT; i++) {
			low[i] = look && low[i] < now[i] ? low[i] : now[i];
			high[i] = look && high[i] > now[i] ? high[i] : now[i];
		}
		wait_for_next_look();
	}
	for (int i = 0; i < COUNTER_COUNT && strcmp(result, "failed"); i++) {
		long more = low[i] - before[i];

		if (more <= COUNTERS[i].slack)
			continue;
		/* Without the races, too, it moves this much: nothing can be said. */
		bool moves = 8 * (high[i] - low[i]) > more, blind = i == UNACCOUNTED && !lists_readable;

		result = moves || blind ? "unsupported" : "failed";
		snprintf(why, sizeof(why), "%s: %ld more than before%s", COUNTERS[i].name, more,
			 moves ? ", but other processes use memory at the same time" :
			 blind ? ", but /proc/zoneinfo, which has the free pages that each CPU keeps, cannot be read" : "");
	}
	print_result("system", "pages", cpus, result, why, COUNTER_COUNT);
}

void open_log(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0)
		snprintf(log_refused, sizeof(log_refused), "/dev/kmsg: %s%s", strerror(errno),
			 errno == EPERM || errno == EACCES ? " (the kernel's log needs root)" : "");
	else
		lseek(log_fd, 0, SEEK_END);
}

void report_log(const char *cpus)
{
	char record[8192], why[200] = "";
	long lines = 0;
	ssize_t length;

	if (log_fd < 0) {
		print_result("system", "kernel_log", cpus, "unsupported", log_refused, 0);
		return;
	}
	for (;;) {
		length = read(log_fd, record, sizeof(record) - 1);
		if (length < 0 && errno == EPIPE && !why[0]) /* lines were overwritten before they were read */
			snprintf(why, sizeof(why), "the kernel printed more than its log holds");
		if (length < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (length <= 0)
			break;
		record[length] = 0;
		lines++;
		char *text = strchr(record, ';');

		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = 0;
		for (size_t i = 0; i < sizeof(FAULTS) / sizeof(*FAULTS) && !why[0]; i++)
			if (strstr(text, FAULTS[i]))
				snprintf(why, sizeof(why), "%.190s", text);
	}
	print_result("system", "kernel_log", cpus, why[0] ? "failed" : "passed", why, lines);
}
