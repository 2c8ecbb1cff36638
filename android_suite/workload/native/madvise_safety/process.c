/* Races with fork and with advice from another process. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "safety.h"

enum { LOST = 21, ZAPPED };

static int wait_for(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool holds(struct world *w, size_t index, uint64_t value)
{
	volatile uint64_t *words = (uint64_t *)page_at(w, index);

	for (size_t i = 0; i < w->page / sizeof(*words); i++)
		if (words[i] != value)
			return false;
	return true;
}

/* A child gets a copy: what the parent frees afterwards stays in it, and what it frees stays in the parent. */
void disturb_fork(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random), half = start + w->chunk / 2, end = start + w->chunk;
	uint64_t value = next_random(random) | 1;
	int ready[2];
	char byte = 0;
	pid_t child;
	int said;

	verify(w, start, end, NEIGHBOURS, "a page that nobody frees");
	for (size_t i = start; i < end; i++)
		fill(w, i, value);
	if (pipe(ready))
		return;
	child = fork();
	if (child == 0) {
		close(ready[1]);
		while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
			;
		for (size_t i = start; i < half; i++)
			if (!holds(w, i, value)) /* the parent has freed these by now */
				_exit(LOST);
		if (madvise(page_at(w, half), (end - half) * w->page, MADV_DONTNEED))
			_exit(ZAPPED + 1);
		for (size_t i = half; i < end; i++)
			if (!holds(w, i, 0))
				_exit(ZAPPED);
		_exit(0);
	}
	close(ready[0]);
	if (child > 0) {
		if (!madvise(page_at(w, start), (half - start) * w->page, MADV_DONTNEED))
			for (size_t i = start; i < half; i++)
				w->want[i] = 0;
		verify(w, start, half, ZEROS, "after MADV_DONTNEED, shared with a child");
	}
	close(ready[1]);
	tried(w, CALLS);
	if (child < 0) {
		fail(w, CALLS, "fork: %s", strerror(errno));
		return;
	}
	tried(w, WRITES);
	said = wait_for(child);
	if (said == LOST)
		fail(w, WRITES, "a child lost a page that its parent freed after fork");
	else if (said == ZAPPED)
		fail(w, ZEROS, "a child's page is not zero after MADV_DONTNEED");
	else if (said)
		fail(w, CALLS, "the child of fork ended with %d", said);
	verify(w, half, end, NEIGHBOURS, "a page that only a child freed");
}

void prepare_process(struct world *w)
{
	struct iovec range = {w->base, w->page};

	w->pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	if (w->pidfd < 0) {
		unsupported(w, "pidfd_open: %s", strerror(errno));
		return;
	}
	/* Kernels allow every advice to the own process only since 6.15. */
	if (syscall(SYS_process_madvise, w->pidfd, &range, 1, MADV_DONTNEED, 0) < 0)
		unsupported(w, "process_madvise refuses MADV_DONTNEED, even for the own process: %s", strerror(errno));
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

/* Another process advises this one: harmless advice must leave every page, and MADV_DONTNEED must be refused. */
void disturb_process(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random);
	struct iovec all = {w->base, w->pages * w->page}, mine = {page_at(w, start), w->chunk * w->page};
	int said;
	pid_t child;

	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that nobody frees");
	for (size_t i = start; i < start + w->chunk; i++)
		fill(w, i, next_random(random) | 1);
	child = fork();
	if (child == 0) {
		if (syscall(SYS_process_madvise, w->pidfd, &mine, 1, MADV_DONTNEED, 0) >= 0)
			_exit(1);
		if (syscall(SYS_process_madvise, w->pidfd, &all, 1, MADV_PAGEOUT, 0) < 0)
			_exit(errno == EPERM || errno == EACCES ? 2 : 0);
		_exit(0);
	}
	tried(w, CALLS);
	said = child < 0 ? 255 : wait_for(child);
	if (said == 1)
		fail(w, CALLS, "another process may free this one's pages with MADV_DONTNEED");
	else if (said == 2 && !w->report->note[0])
		strcpy(w->report->note, "advice of another process was not permitted (it needs root)");
	else if (said > 2)
		fail(w, CALLS, "the advising process ended with %d", said);
	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that another process only gave advice on");
}

void end_process(struct world *w)
{
	if (w->pidfd >= 0)
		close(w->pidfd);
}
