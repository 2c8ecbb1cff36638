// Measures what a page fault costs: touches memory page by page and reads the clock around each pass.
// Usage: page_faults PAGES ROUNDS. Prints one JSON line a kind of fault, then {"end": true}.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static size_t page, pages;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static long count_faults(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return used.ru_minflt + used.ru_majflt;
}

static char *map(int flags, int file)
{
	char *at = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, flags, file, 0);
	if (at == MAP_FAILED)
		die("mmap");
	// A huge page would hide the faults that are to be measured.
	madvise(at, pages * page, MADV_NOHUGEPAGE);
	return at;
}

static void unmap(char *at)
{
	munmap(at, pages * page);
}

static void write_each(volatile char *at)
{
	for (size_t i = 0; i < pages; i++)
		at[i * page] = 1;
}

static void read_each(volatile char *at)
{
	for (size_t i = 0; i < pages; i++)
		(void)at[i * page];
}

// Each kind prepares its memory, is timed over one pass, and cleans up.
static int shared_file = -1;

static char *prepare_new(void) { return map(MAP_PRIVATE | MAP_ANONYMOUS, -1); }

static char *prepare_freed(void)
{
	char *at = prepare_new();
	write_each(at);
	if (madvise(at, pages * page, MADV_DONTNEED))
		die("madvise");
	return at;
}

static char *prepare_read(void)
{
	char *at = prepare_new();
	read_each(at); // maps the zero page
	return at;
}

static char *prepare_file(void) { return map(MAP_SHARED, shared_file); }

static const struct {
	const char *name;
	char *(*prepare)(void);
	void (*touch)(volatile char *);
} kinds[] = {
	{"new", prepare_new, write_each},     // first write to anonymous memory
	{"freed", prepare_freed, write_each}, // write after MADV_DONTNEED, as an app's to what its collector freed
	{"zero", prepare_new, read_each},     // first read of anonymous memory
	{"copy", prepare_read, write_each},   // write to what was only read before
	{"file", prepare_file, read_each},    // first read of a file's page that is in memory
};

static int compare(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: page_faults PAGES ROUNDS\n");
		return 2;
	}
	page = sysconf(_SC_PAGESIZE);
	pages = strtoul(argv[1], NULL, 10);
	size_t rounds = strtoul(argv[2], NULL, 10);
	int64_t *took = calloc(rounds, sizeof(*took));
	if (!pages || !rounds || !took)
		die("memory");
	shared_file = syscall(SYS_memfd_create, "page_faults", 0);
	if (shared_file < 0 || ftruncate(shared_file, pages * page))
		die("memfd_create");
	char *filled = map(MAP_SHARED, shared_file);
	write_each(filled);
	unmap(filled);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		long faults = 0;
		for (size_t round = 0; round < rounds; round++) {
			char *at = kinds[k].prepare();
			long before = count_faults();
			int64_t began = now_ns();
			kinds[k].touch(at);
			took[round] = now_ns() - began;
			faults += count_faults() - before;
			unmap(at);
		}
		qsort(took, rounds, sizeof(*took), compare);
		printf("{\"kind\": \"%s\", \"pages\": %zu, \"rounds\": %zu, \"faults\": %ld, \"pass_ns\": %lld}\n", kinds[k].name,
		       pages, rounds, faults, (long long)took[rounds / 2]);
	}
	printf("{\"end\": true}\n");
	return 0;
}
