/* Races with transparent huge pages, given by faults and by MADV_COLLAPSE. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "safety.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

static long seen_kb, collapsed;

static long read_number(const char *file, const char *key)
{
	FILE *f = fopen(file, "re");
	char line[256];
	long value = -1;

	while (f && fgets(line, sizeof(line), f)) {
		size_t length = strlen(key);

		if (!strncmp(line, key, length))
			value = (value < 0 ? 0 : value) + atol(line + length);
	}
	if (f)
		fclose(f);
	return value;
}

static void map_huge(struct world *w)
{
	long size = read_number(THP "hpage_pmd_size", "");
	FILE *f = fopen(THP "enabled", "re");
	char line[64] = "";

	if (f) {
		if (!fgets(line, sizeof(line), f))
			line[0] = 0;
		fclose(f);
	}
	if (size <= 0 || !line[0]) {
		unsupported(w, "this kernel has no transparent huge pages (no " THP "enabled)");
		return;
	}
	if (size > 8 << 20) {
		unsupported(w, "a huge page has %ld MB here, more than this check uses", size >> 20);
		return;
	}
	w->chunk = size / w->page;
	w->pages = w->chunk * (w->workers + 1);
	map_world(w, size);
	w->rounds = w->rounds / 8 + 1; /* each step looks at a whole huge page */
}

void prepare_thp(struct world *w)
{
	FILE *f = fopen(THP "enabled", "re");
	char line[64] = "";

	if (f && fgets(line, sizeof(line), f) && strstr(line, "[never]"))
		unsupported(w, "transparent huge pages are switched off (" THP "enabled is never)");
	if (f)
		fclose(f);
	if (w->report->unsupported[0])
		return;
	map_huge(w);
	if (!w->report->unsupported[0] && madvise(w->base, w->pages * w->page, MADV_HUGEPAGE))
		unsupported(w, "MADV_HUGEPAGE: %s", strerror(errno));
}

static void look(void)
{
	long kb = read_number("/proc/self/smaps_rollup", "AnonHugePages:");

	if (kb > seen_kb)
		seen_kb = kb;
}

/* The whole huge page is freed and written again, so that the next fault gives another. */
void disturb_thp(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random);

	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that nobody frees");
	tried(w, CALLS);
	if (madvise(page_at(w, start), w->chunk * w->page, MADV_DONTNEED))
		fail(w, CALLS, "MADV_DONTNEED of a huge page: %s", strerror(errno));
	for (size_t i = start; i < start + w->chunk; i++)
		w->want[i] = 0;
	for (int i = 0; i < 16; i++)
		fill(w, start + next_random(random) % w->chunk, next_random(random) | 1);
	look();
}

void end_thp(struct world *w)
{
	if (seen_kb <= 0)
		unsupported(w, "the kernel gave no huge page, so nothing was tried with one");
}

void prepare_collapse(struct world *w)
{
	map_huge(w);
	if (w->report->unsupported[0])
		return;
	for (size_t i = 0; i < w->pages; i++)
		fill(w, i, i + 1);
	if (madvise(w->base, w->chunk * w->page, MADV_COLLAPSE)) {
		if (errno == EINVAL)
			unsupported(w, "MADV_COLLAPSE: %s (Linux has it since 6.1, with transparent huge pages)", strerror(errno));
	} else {
		collapsed++;
	}
}

/* Collapses a huge page that somebody is working on, or the own one. It may fail; what is in the pages may not change. */
void disturb_collapse(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random), any = next_random(random) % (w->chunks) * w->chunk;

	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that was only collapsed");
	for (int i = 0; i < 16; i++)
		fill(w, start + next_random(random) % w->chunk, next_random(random) | 1);
	collapsed += !madvise(page_at(w, any), w->chunk * w->page, MADV_COLLAPSE);
	collapsed += !madvise(page_at(w, start), w->chunk * w->page, MADV_COLLAPSE);
}

void end_collapse(struct world *w)
{
	if (!collapsed)
		unsupported(w, "no MADV_COLLAPSE succeeded: %s", strerror(errno));
}
