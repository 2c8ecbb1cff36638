/* The races and what the disturber of each does. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "safety.h"

static void must(struct world *w, bool good, const char *what)
{
	tried(w, CALLS);
	if (!good)
		fail(w, CALLS, "%s: %s", what, strerror(errno));
}

/* The disturber's own pages are written and looked at, too: they are the neighbours of everybody. */
static size_t own_chunk(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random);

	if (!w->hit_disturber)
		verify(w, start, start + w->chunk, NEIGHBOURS, "a page that nobody frees");
	for (size_t i = start; i < start + w->chunk; i++) {
		fill(w, i, (next_random(random) | 1) & 0x7fffffff);
		w->lazy[i] = w->hit_disturber; /* somebody may free it at any time */
	}
	return start;
}

static void disturb_faults(struct world *w, uint64_t *random)
{
	for (int i = 0; i < 32; i++)
		can_touch(w, next_random(random) % w->pages);
	own_chunk(w, random);
}

static void disturb_mprotect(struct world *w, uint64_t *random)
{
	size_t start = own_chunk(w, random), from = next_random(random) % w->pages;
	size_t to = from + 1 + next_random(random) % (w->pages - from);

	/* The VMA of everybody is split and merged; a dump flag changes the VMA and not what may be done with it. */
	must(w, !mprotect(page_at(w, start), w->chunk * w->page, PROT_READ), "mprotect");
	must(w, !madvise(page_at(w, from), (to - from) * w->page, MADV_DONTDUMP), "MADV_DONTDUMP");
	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that only mprotect touched");
	must(w, !mprotect(page_at(w, start), w->chunk * w->page, PROT_READ | PROT_WRITE), "mprotect");
	must(w, !madvise(page_at(w, from), (to - from) * w->page, MADV_DODUMP), "MADV_DODUMP");
}

static void disturb_mremap(struct world *w, uint64_t *random)
{
	size_t start = own_chunk(w, random), size = w->chunk * w->page;
	char *here = page_at(w, start);
	char *there = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(w, there != MAP_FAILED, "mmap");
	must(w, mremap(here, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there, "mremap");
	must(w, mremap(there, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, here) == here, "mremap back");
	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that moved there and back");
}

static void disturb_munmap(struct world *w, uint64_t *random)
{
	size_t start = own_chunk(w, random), size = w->chunk * w->page;
	char *here = page_at(w, start);

	must(w, !munmap(here, size), "munmap");
	must(w, mmap(here, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == here, "mmap");
	for (size_t i = start; i < start + w->chunk; i++) {
		w->want[i] = 0;
		w->lazy[i] = false;
	}
	verify(w, start, start + w->chunk, ZEROS, "a page that is mapped anew");
}

/* Below, in and above: three VMAs, of which the outer ones are read-only. `to` and `from` say what is freed. */
static void free_and_look(struct world *w, size_t start, size_t end, size_t from, size_t to, const char *what)
{
	must(w, !advise(w, from, to, MADV_DONTNEED), what);
	for (size_t i = from; i < to; i++)
		w->want[i] = 0;
	verify(w, from, to, ZEROS, what);
	verify(w, start, from, NEIGHBOURS, "below the range");
	verify(w, to, end, NEIGHBOURS, "above the range");
}

/* A locked VMA must not be freed, and one beside a locked VMA must: so it matters which of them the kernel looks at. */
static void lock_and_free(struct world *w, size_t start, size_t mine, size_t third, bool above)
{
	char *locked = page_at(w, above ? mine + third : mine);

	if (mlock(locked, third * w->page)) {
		if (!w->report->note[0])
			strcpy(w->report->note, "mlock is not permitted here, so no locked VMA was tried");
		return;
	}
	if (above) {
		free_and_look(w, start, start + 3 * third, mine, mine + third, "MADV_DONTNEED beside a locked VMA");
	} else {
		tried(w, CALLS);
		if (!advise(w, mine, mine + third, MADV_DONTNEED) || errno != EINVAL)
			fail(w, CALLS, "MADV_DONTNEED of a locked VMA was not refused");
		verify(w, start, start + 3 * third, NEIGHBOURS, "a locked page");
	}
	must(w, !munlock(locked, third * w->page), "munlock");
}

/* Ranges that begin and end exactly where a VMA does, and ranges across several. */
static void race_borders(struct world *w)
{
	uint64_t random = w->seed, stamp = 1;
	const size_t third = 8;

	for (long round = 0; round < w->rounds; round++, moved_on(w)) {
		size_t start = next_random(&random) % (w->pages / (3 * third)) * 3 * third, mine = start + third;
		size_t size = third * w->page, some = 1 + next_random(&random) % (third - 1), end = start + 3 * third;

		for (size_t i = start; i < end; i++)
			fill(w, i, stamp++);
		must(w, !mprotect(page_at(w, start), size, PROT_READ), "mprotect below");
		must(w, !mprotect(page_at(w, mine + third), size, PROT_READ), "mprotect above");
		switch (next_random(&random) % 6) {
		case 0:
			free_and_look(w, start, end, mine, mine + third, "MADV_DONTNEED of a whole VMA");
			break;
		case 1:
			free_and_look(w, start, end, mine, mine + some, "MADV_DONTNEED from the start of a VMA");
			break;
		case 2:
			free_and_look(w, start, end, mine + some, mine + third, "MADV_DONTNEED to the end of a VMA");
			break;
		case 3:
			free_and_look(w, start, end, mine - some, mine + third + some, "MADV_DONTNEED over three VMAs");
			break;
		default:
			lock_and_free(w, start, mine, third, next_random(&random) % 2);
		}
		must(w, !mprotect(page_at(w, start), 3 * size, PROT_READ | PROT_WRITE), "mprotect back");
		for (size_t i = start; i < end; i++)
			fill(w, i, stamp++);
		verify(w, start, end, WRITES, "written after the call");
	}
}

static void prepare_motion(struct world *w)
{
	w->hit_disturber = true;
}

#define ALL (OP_DONTNEED | OP_FREE | OP_GUARD)
const struct race races[] = {
	{"borders", OP_DONTNEED, 96, 8, NULL, NULL, race_borders, NULL},
	{"faults", ALL, 256, 8, NULL, disturb_faults, NULL, NULL},
	{"mprotect", ALL, 256, 8, NULL, disturb_mprotect, NULL, NULL},
	{"mremap", ALL, 256, 8, prepare_motion, disturb_mremap, NULL, NULL},
	{"munmap", ALL, 256, 8, prepare_motion, disturb_munmap, NULL, NULL},
	{"fork", ALL, 256, 8, NULL, disturb_fork, NULL, NULL},
	{"thp", ALL, 0, 0, prepare_thp, disturb_thp, NULL, end_thp},
	{"collapse", ALL, 0, 0, prepare_collapse, disturb_collapse, NULL, end_collapse},
	{"userfaultfd", OP_DONTNEED | OP_FREE, 256, 8, prepare_userfault, disturb_userfault, NULL, end_userfault},
	{"userfaultfd_events", OP_DONTNEED, 64, 8, NULL, NULL, race_userfault_events, NULL},
	{"process_madvise", ALL, 256, 8, prepare_process, disturb_process, NULL, end_process},
};
const size_t race_count = sizeof(races) / sizeof(*races);
