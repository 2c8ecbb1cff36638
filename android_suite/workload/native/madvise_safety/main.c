/* madvise_safety: does MADV_DONTNEED, MADV_FREE and MADV_GUARD_* keep its promises while others change the memory?
 *
 *     madvise_safety SEED ROUNDS CPUS [PATIENCE_S] [RACE]
 *
 * CPUS is a list such as 1,4: each race runs pinned to one CPU, then to four. Each race is a process of its own with
 * workers, which write, give advice and look at their own pages, and a disturber. One line of JSON for each race and
 * property; one for the pages and one for the kernel's log at the end of each list of races.
 *
 * Nothing here depends on time but the interleaving: what a worker does follows from the seed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "safety.h"

enum { WORKERS = 3, POLL_NS = 10000000 };
static const char *const NAMES[PROPERTIES] = {"zeros", "neighbours", "writes", "calls", "guards"};

struct worker {
	struct world *world;
	unsigned number;
};

void fail(struct world *w, enum property p, const char *format, ...)
{
	va_list arguments;

	atomic_fetch_add(&w->report->failed[p], 1);
	if (atomic_exchange(&w->report->told[p], 1))
		return;
	va_start(arguments, format);
	vsnprintf(w->report->first[p], sizeof(w->report->first[p]), format, arguments);
	va_end(arguments);
}

void unsupported(struct world *w, const char *format, ...)
{
	va_list arguments;

	if (w->report->unsupported[0])
		return;
	va_start(arguments, format);
	vsnprintf(w->report->unsupported, sizeof(w->report->unsupported), format, arguments);
	va_end(arguments);
}

static void *work(void *argument)
{
	struct worker *me = argument;
	struct world *w = me->world;
	uint64_t random = w->seed * 1000003 + me->number, stamp = (uint64_t)(me->number + 1) << 40;

	for (long round = 0; round < w->rounds; round++)
		step(w, me->number, &random, &stamp);
	atomic_fetch_sub(&w->working, 1);
	return NULL;
}

static void *disturb(void *argument)
{
	struct worker *me = argument;
	struct world *w = me->world;
	uint64_t random = w->seed * 1000003 + me->number;

	while (atomic_load(&w->working)) {
		w->disturb(w, &random);
		sched_yield();
	}
	return NULL;
}

/* Asks on a page that stands alone: with a neighbour, a kernel that takes the wrong VMA would look like one without. */
static bool has_guards(struct world *w)
{
	char *room = mmap(NULL, 3 * w->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool has;
	int why;

	if (room == MAP_FAILED)
		return false;
	munmap(room, w->page);
	munmap(room + 2 * w->page, w->page);
	has = !madvise(room + w->page, w->page, MADV_GUARD_INSTALL);
	why = errno;
	munmap(room + w->page, w->page);
	errno = why;
	return has;
}

static void run_race(const struct race *race, struct report *report, uint64_t seed, long rounds)
{
	struct world w = {.page = sysconf(_SC_PAGESIZE), .workers = WORKERS, .seed = seed, .rounds = rounds,
			  .ops = race->ops, .pages = race->pages, .chunk = race->chunk, .report = report, .pidfd = -1,
			  .disturb = race->disturb};
	struct worker members[WORKERS + 1];
	pthread_t threads[WORKERS + 1];

	if (w.pages)
		map_world(&w, w.page);
	if (!report->unsupported[0] && race->prepare)
		race->prepare(&w);
	if (report->unsupported[0])
		return;
	if (w.ops & OP_GUARD && !has_guards(&w)) {
		w.ops &= ~OP_GUARD;
		snprintf(report->note, sizeof(report->note), "MADV_GUARD_INSTALL: %s (Linux has it since 6.13)", strerror(errno));
	}
	if (race->alone) {
		race->alone(&w);
		return;
	}
	atomic_store(&w.working, WORKERS);
	for (unsigned i = 0; i <= WORKERS; i++) {
		members[i] = (struct worker){&w, i};
		if (pthread_create(&threads[i], NULL, i < WORKERS ? work : disturb, &members[i])) {
			unsupported(&w, "no thread: %s", strerror(errno));
			_exit(0);
		}
	}
	for (unsigned i = 0; i <= WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < w.pages; i++)
		if (!w.hit_disturber || i / w.chunk % (WORKERS + 1) != WORKERS)
			verify(&w, i, i + 1, WRITES, "at the end");
	if (race->end)
		race->end(&w);
}

/* Adds where the threads of a process that hangs sleep in the kernel, for who has to find out why. */
static void name_places(pid_t child, char *text, size_t size)
{
	char path[80], place[64];
	DIR *tasks;
	struct dirent *task;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)child);
	tasks = opendir(path);
	while (tasks && (task = readdir(tasks))) {
		size_t at = strlen(text);
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%.12s/wchan", (int)child, task->d_name);
		f = task->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		if (fgets(place, sizeof(place), f) && strcmp(place, "0") && !strstr(text, place))
			snprintf(text + at, size - at, "%s%s", strstr(text, " in ") ? ", " : " in ", place);
		fclose(f);
	}
	if (tasks)
		closedir(tasks);
}

/* Waits for the race. Returns whether it ended; if not, says why in the report. */
static void supervise(pid_t child, struct report *report, double patience_s)
{
	long seen = -1, quiet_ns = 0;
	int status = 0;
	char *why = report->first[CALLS];

	while (waitpid(child, &status, WNOHANG) != child) {
		long now = atomic_load(&report->progress);

		quiet_ns = now == seen ? quiet_ns + POLL_NS : 0;
		seen = now;
		if (quiet_ns > patience_s * 1e9) {
			report->failed[CALLS]++;
			snprintf(why, sizeof(report->first[CALLS]), "no thread got on for %.0f s", patience_s);
			name_places(child, why, sizeof(report->first[CALLS]));
			kill(child, SIGKILL);
			/* A thread that cannot even be killed is left behind. */
			for (int i = 0; i < 200 && waitpid(child, &status, WNOHANG) != child; i++)
				nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
			return;
		}
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	if (!WIFSIGNALED(status) && WEXITSTATUS(status) == 0)
		return;
	report->failed[CALLS]++;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(report->first[CALLS]), "the race was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(report->first[CALLS]), "the race ended with status %d", WEXITSTATUS(status));
}

static void report_race(const struct race *race, struct report *report, const char *cpus)
{
	bool ended = !report->failed[CALLS];

	for (int p = 0; p < PROPERTIES; p++) {
		const char *why = report->first[p];
		long tried = report->tried[p];

		if (p == GUARDS && !(race->ops & OP_GUARD))
			continue;
		if (report->failed[p])
			print_result(race->name, NAMES[p], cpus, "failed", why, tried);
		else if (report->unsupported[0])
			print_result(race->name, NAMES[p], cpus, "unsupported", report->unsupported, tried);
		else if (tried && (ended || p == CALLS))
			print_result(race->name, NAMES[p], cpus, "passed", p == CALLS ? report->note : "", tried);
		else if (tried)
			print_result(race->name, NAMES[p], cpus, "unsupported", "the race did not end, see calls", tried);
		else
			print_result(race->name, NAMES[p], cpus, "unsupported",
				     report->note[0] ? report->note : "nothing of the kind was tried", 0);
	}
}

static int pin(int cpus)
{
	cpu_set_t have, want;
	int count = 0;

	if (sched_getaffinity(0, sizeof(have), &have))
		return 0;
	CPU_ZERO(&want);
	for (int i = 0; i < CPU_SETSIZE && count < cpus; i++)
		if (CPU_ISSET(i, &have)) {
			CPU_SET(i, &want);
			count++;
		}
	if (count == cpus)
		sched_setaffinity(0, sizeof(want), &want);
	return count;
}

static void run_all(uint64_t seed, long rounds, const char *cpus, double patience_s, const char *only)
{
	static struct report *report;

	if (!report)
		report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	remember_counters();
	for (size_t i = 0; i < race_count; i++) {
		pid_t child;

		if (only && strcmp(only, races[i].name))
			continue;
		memset(report, 0, sizeof(*report));
		fflush(stdout);
		child = fork();
		if (child == 0) {
			int have = pin(atoi(cpus));

			setpgid(0, 0);
			if (have == atoi(cpus))
				run_race(&races[i], report, seed + i, rounds);
			else
				snprintf(report->unsupported, sizeof(report->unsupported), "there is no set of %s CPUs here, only of %d",
					 cpus, have);
			_exit(0);
		}
		if (child < 0)
			snprintf(report->unsupported, sizeof(report->unsupported), "fork: %s", strerror(errno));
		else
			supervise(child, report, patience_s);
		report_race(&races[i], report, cpus);
	}
	report_counters(cpus);
	report_log(cpus);
}

int main(int argc, char **argv)
{
	char *cpus, *rest = argc > 3 ? argv[3] : NULL;
	long rounds = argc > 2 ? atol(argv[2]) : 0;
	double patience_s = argc > 4 ? atof(argv[4]) : 60;

	if (rounds < 1 || patience_s <= 0) {
		fprintf(stderr, "usage: madvise_safety SEED ROUNDS CPUS[,CPUS...] [PATIENCE_S] [RACE]\n");
		return 2;
	}
	open_log();
	while ((cpus = strsep(&rest, ",")))
		run_all(strtoull(argv[1], NULL, 10), rounds, cpus, patience_s, argc > 5 ? argv[5] : NULL);
	puts("{\"end\": true}");
	return 0;
}
