/* A small madvise workload for `android-suite probe`: madvise_probe CALLS.
 *
 * Fills a few pages of an anonymous mapping and frees them with MADV_DONTNEED, CALLS times, as ART frees its heap. The
 * range lies inside one VMA that no other thread touches and no userfaultfd watches, so a kernel that can free under
 * the lock of the VMA has no reason to fall back to mmap_lock. The mmap, mprotect and munmap around it only ever lock
 * the caller's own mm: they prove to the analysis which mm that is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 0, page = sysconf(_SC_PAGESIZE), size = 64 * page, done = 0;
	char *area;

	if (calls < 1 || calls > 1000000) {
		fprintf(stderr, "usage: madvise_probe CALLS\n");
		return 2;
	}
	prctl(PR_SET_NAME, "madvise_probe");
	area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	mprotect(area, page, PROT_READ);
	for (; done < calls; done++) {
		for (long at = 16 * page; at < 20 * page; at += page)
			area[at] = 1;
		if (madvise(area + 16 * page, 4 * page, MADV_DONTNEED) != 0) {
			perror("madvise");
			return 1;
		}
	}
	munmap(area, size);
	printf("%ld\n", done);
	return 0;
}
