/* The pages of a race: who owns them, what must be in them, and one step of a worker. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "safety.h"

uint64_t next_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

char *page_at(struct world *w, size_t index)
{
	return w->base + index * w->page;
}

void map_world(struct world *w, size_t align)
{
	size_t size = w->pages * w->page;
	/* A page without access before and behind: mistakes there are seen as signals. */
	char *area = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		unsupported(w, "no memory for %zu pages: %s", w->pages, strerror(errno));
		return;
	}
	w->base = (char *)(((uintptr_t)area / align + 1) * align);
	if (mprotect(w->base, size, PROT_READ | PROT_WRITE))
		unsupported(w, "mprotect: %s", strerror(errno));
	w->want = calloc(w->pages, sizeof(*w->want));
	w->lazy = calloc(w->pages, sizeof(*w->lazy));
	w->chunks = w->pages / w->chunk;
	if (pipe(w->pipe))
		unsupported(w, "pipe: %s", strerror(errno));
}

void fill(struct world *w, size_t index, uint64_t value)
{
	volatile uint64_t *words = (uint64_t *)page_at(w, index);

	/* A value that is already promised must be there while it is written, too. */
	for (size_t i = 0; i < w->page / sizeof(*words); i++)
		words[i] = value;
	w->want[index] = value;
	w->lazy[index] = false;
	tried(w, WRITES);
}

/* Whether the page is as it must be; else `found` is the first wrong word. */
static bool is_right(struct world *w, size_t index, uint64_t *found)
{
	volatile uint64_t *words = (uint64_t *)page_at(w, index);
	uint64_t want = w->want[index];
	bool zero = false;

	for (size_t i = 0; i < w->page / sizeof(*words); i++) {
		uint64_t word = words[i];

		/* A lazily freed page may become zero at any time, but only once and as a whole. */
		if (word == 0 && w->lazy[index])
			zero = true;
		else if (word != want || zero) {
			*found = word;
			return false;
		}
	}
	if (!zero)
		return true;
	w->want[index] = 0;
	w->lazy[index] = false;
	return is_right(w, index, found);
}

void verify(struct world *w, size_t from, size_t to, enum property p, const char *when)
{
	uint64_t found = 0;

	for (size_t i = from; i < to; i++) {
		tried(w, p);
		if (is_right(w, i, &found))
			continue;
		fail(w, p, "%s: page %zu has %#llx instead of %#llx", when, i, (unsigned long long)found,
		     (unsigned long long)w->want[i]);
		w->want[i] = found; /* told once, not at each later look */
		w->lazy[i] = false;
	}
}

size_t pick_chunk(struct world *w, unsigned owner, uint64_t *random)
{
	size_t groups = w->chunks / (w->workers + 1);

	return (next_random(random) % groups * (w->workers + 1) + owner) * w->chunk;
}

long advise(struct world *w, size_t from, size_t to, int advice)
{
	struct iovec range = {page_at(w, from), (to - from) * w->page};
	long done;

	if (w->pidfd < 0)
		return madvise(range.iov_base, range.iov_len, advice);
	done = syscall(SYS_process_madvise, w->pidfd, &range, 1, advice, 0);
	if (done >= 0 && (size_t)done != range.iov_len) {
		errno = EIO;
		return -1;
	}
	return done < 0 ? -1 : 0;
}

bool can_touch(struct world *w, size_t index)
{
	char byte;

	/* The kernel reads the page for the pipe: a guard gives EFAULT, and no signal. */
	if (write(w->pipe[1], page_at(w, index), 1) != 1)
		return false;
	while (read(w->pipe[0], &byte, 1) < 0 && errno == EINTR)
		;
	return true;
}

static bool must(struct world *w, long status, const char *what)
{
	tried(w, CALLS);
	if (status == 0)
		return true;
	fail(w, CALLS, "%s: %s", what, strerror(errno));
	return false;
}

static void try_guard(struct world *w, size_t start, size_t from, size_t to)
{
	if (!must(w, advise(w, from, to, MADV_GUARD_INSTALL), "MADV_GUARD_INSTALL"))
		return;
	for (size_t i = from; i < to; i++) {
		tried(w, GUARDS);
		if (can_touch(w, i))
			fail(w, GUARDS, "page %zu can be read although MADV_GUARD_INSTALL returned", i);
	}
	verify(w, start, from, NEIGHBOURS, "beside MADV_GUARD_INSTALL");
	verify(w, to, start + w->chunk, NEIGHBOURS, "beside MADV_GUARD_INSTALL");
	if (!must(w, advise(w, from, to, MADV_GUARD_REMOVE), "MADV_GUARD_REMOVE"))
		return;
	for (size_t i = from; i < to; i++) {
		w->want[i] = 0;
		w->lazy[i] = false;
	}
	verify(w, from, to, ZEROS, "after MADV_GUARD_REMOVE");
}

static void try_dontneed(struct world *w, size_t start, size_t from, size_t to)
{
	if (!must(w, advise(w, from, to, MADV_DONTNEED), "MADV_DONTNEED"))
		return;
	for (size_t i = from; i < to; i++) {
		w->want[i] = 0;
		w->lazy[i] = false;
	}
	verify(w, from, to, ZEROS, "after MADV_DONTNEED");
	verify(w, start, from, NEIGHBOURS, "below MADV_DONTNEED");
	verify(w, to, start + w->chunk, NEIGHBOURS, "above MADV_DONTNEED");
}

static void try_free(struct world *w, size_t start, size_t from, size_t to, bool write, uint64_t *stamp)
{
	if (!must(w, advise(w, from, to, MADV_FREE), "MADV_FREE"))
		return;
	for (size_t i = from; i < to; i++)
		w->lazy[i] = w->want[i] != 0;
	if (write)
		for (size_t i = from; i < to; i++)
			fill(w, i, ++*stamp);
	/* Reclaims what is lazily freed and clean; what was written since must stay. Kernels may refuse it. */
	madvise(page_at(w, from), (to - from) * w->page, MADV_PAGEOUT);
	verify(w, from, to, WRITES, write ? "written after MADV_FREE" : "after MADV_FREE, neither old nor zero");
	verify(w, start, from, NEIGHBOURS, "below MADV_FREE");
	verify(w, to, start + w->chunk, NEIGHBOURS, "above MADV_FREE");
}

void step(struct world *w, unsigned worker, uint64_t *random, uint64_t *stamp)
{
	size_t start = pick_chunk(w, worker, random);
	size_t from = start + next_random(random) % w->chunk;
	size_t to = from + 1 + next_random(random) % (start + w->chunk - from);
	/* In large chunks most calls are small; some free all of it, so that a huge page can come again. */
	bool whole = next_random(random) % 8 == 0;
	unsigned op = next_random(random) % 8;

	if (whole) {
		from = start;
		to = start + w->chunk;
	} else if (to - from > 16) {
		to = from + 16;
	}
	verify(w, start, start + w->chunk, WRITES, "before a call");
	for (size_t i = from; i < to; i++)
		if (next_random(random) % 4)
			fill(w, i, ++*stamp);
	if (op < 2 && w->ops & OP_FREE)
		try_free(w, start, from, to, op == 0, stamp);
	else if (op < 4 && w->ops & OP_GUARD)
		try_guard(w, start, from, to);
	else
		try_dontneed(w, start, from, to);
	if (w->hit_disturber && next_random(random) % 2) {
		/* This range may be moved or unmapped at the moment; then the call says ENOMEM. */
		size_t theirs = pick_chunk(w, w->workers, random);

		tried(w, CALLS);
		if (madvise(page_at(w, theirs), w->chunk * w->page, MADV_DONTNEED) && errno != ENOMEM)
			fail(w, CALLS, "MADV_DONTNEED of a range in motion: %s", strerror(errno));
	}
	if (next_random(random) % 4 == 0)
		sched_yield();
	moved_on(w);
}
