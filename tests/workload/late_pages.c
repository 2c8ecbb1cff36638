/* The check of pages (system.c) on made counters, in made time.

   late_pages LATE_MS KEPT SWING: page tables have 1000 pages more than before until LATE_MS, then KEPT more, and SWING
   more than that at every other look. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long now_ms, late_ms, kept, swing, reads;

static FILE *open_made(const char *path, const char *mode)
{
	static char text[200];
	long more = 0;

	(void)mode;
	if (!strcmp(path, "/proc/vmstat")) {
		if (reads++)
			more = now_ms < late_ms ? 1000 : kept + (reads % 2 ? swing : 0);
		snprintf(text, sizeof(text), "nr_free_pages %ld\nnr_page_table_pages %ld\n", 100000 - more, 100 + more);
	} else {
		strcpy(text, "    pagesets\n              count:    0\n");
	}
	return fmemopen(text, strlen(text), "r");
}

static int pass_time(const struct timespec *wanted, struct timespec *left)
{
	(void)left;
	now_ms += wanted->tv_nsec / 1000000;
	return 0;
}

#define fopen open_made
#define nanosleep pass_time
#include "system.c"

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	late_ms = atol(argv[1]), kept = atol(argv[2]), swing = atol(argv[3]);
	remember_counters();
	report_counters("1");
	printf("{\"took_ms\": %ld}\n", now_ms);
	return 0;
}
