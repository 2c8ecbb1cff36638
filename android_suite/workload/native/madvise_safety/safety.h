/* madvise_safety: races madvise against other work on memory and checks what must hold. See main.c. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of kernels that are newer than the headers of the compiler. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* What must hold. Each race reports on each of them. */
enum property { ZEROS, NEIGHBOURS, WRITES, CALLS, GUARDS, PROPERTIES };

enum op { OP_DONTNEED = 1, OP_FREE = 2, OP_GUARD = 4 };

/* Shared with the supervisor, which is another process. */
struct report {
	atomic_long progress; /* steps of all threads; a race that makes none for a while hangs */
	atomic_long tried[PROPERTIES], failed[PROPERTIES];
	atomic_int told[PROPERTIES];
	char first[PROPERTIES][200]; /* the first failure, in words */
	char unsupported[200]; /* why the race cannot run here; empty if it can */
	char note[200]; /* what could not be done inside a race that ran */
};

/* The memory of a race. Chunk c (a run of `chunk` pages) belongs to worker c % (workers + 1); the last one's are the
 * disturber's. Nobody writes to another's pages, so each owner knows what must be in them. */
struct world {
	char *base;
	size_t page, pages, chunk, chunks;
	unsigned workers;
	uint64_t seed;
	long rounds;
	unsigned ops;
	uint64_t *want; /* of each page: the word that fills it */
	bool *lazy; /* of each page: freed with MADV_FREE since its last write, so it may also be zero */
	struct report *report;
	atomic_int working; /* workers that still run */
	int pidfd; /* of this process; -1: advice is given by madvise, else by process_madvise */
	int pipe[2]; /* to touch a page that may be guarded without a signal */
	void (*disturb)(struct world *, uint64_t *random);
	bool hit_disturber; /* a worker may also free pages of the disturber, which then allows zeros in them */
};

struct race {
	const char *name;
	unsigned ops;
	size_t pages, chunk; /* 0: chosen by prepare */
	void (*prepare)(struct world *); /* may say unsupported */
	void (*disturb)(struct world *, uint64_t *random); /* one step of the disturber; NULL: touches pages */
	void (*alone)(struct world *); /* a race with a course of its own, instead of workers */
	void (*end)(struct world *);
};

extern const struct race races[];
extern const size_t race_count;

uint64_t next_random(uint64_t *state);
void fail(struct world *w, enum property p, const char *format, ...) __attribute__((format(printf, 3, 4)));
void unsupported(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void tried(struct world *w, enum property p)
{
	atomic_fetch_add_explicit(&w->report->tried[p], 1, memory_order_relaxed);
}
static inline void moved_on(struct world *w)
{
	atomic_fetch_add_explicit(&w->report->progress, 1, memory_order_relaxed);
}

/* region.c: pages, their owners and what must be in them */
char *page_at(struct world *w, size_t index);
void fill(struct world *w, size_t index, uint64_t value);
void verify(struct world *w, size_t from, size_t to, enum property p, const char *when);
size_t pick_chunk(struct world *w, unsigned owner, uint64_t *random);
long advise(struct world *w, size_t from, size_t to, int advice);
bool can_touch(struct world *w, size_t index);
void map_world(struct world *w, size_t align);
void step(struct world *w, unsigned worker, uint64_t *random, uint64_t *stamp);

/* userfault.c */
void prepare_userfault(struct world *w);
void disturb_userfault(struct world *w, uint64_t *random);
void end_userfault(struct world *w);
void race_userfault_events(struct world *w);

/* huge.c */
void prepare_thp(struct world *w);
void disturb_thp(struct world *w, uint64_t *random);
void end_thp(struct world *w);
void prepare_collapse(struct world *w);
void disturb_collapse(struct world *w, uint64_t *random);
void end_collapse(struct world *w);

/* process.c */
void disturb_fork(struct world *w, uint64_t *random);
void prepare_process(struct world *w);
void disturb_process(struct world *w, uint64_t *random);
void end_process(struct world *w);

/* system.c: counters and the log of the kernel, before and after everything */
void open_log(void);
void report_log(const char *cpus);
void remember_counters(void);
void report_counters(const char *cpus);
void print_result(const char *race, const char *check, const char *cpus, const char *result, const char *why, long tried);
