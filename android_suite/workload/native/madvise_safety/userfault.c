/* Races with userfaultfd: registering while others free, and the event that MADV_DONTNEED sends to the monitor. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "safety.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int uffd = -1;
static pthread_t monitor;
static atomic_bool over;
static atomic_long faults, removals;
static bool meddle; /* change the VMA before the event is read */

static void open_userfault(struct world *w, uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (uffd < 0 && errno == EINVAL)
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		unsupported(w, "userfaultfd: %s%s", strerror(errno),
			    errno == EPERM || errno == EACCES ? " (it needs root here)" : "");
	else if (ioctl(uffd, UFFDIO_API, &api))
		unsupported(w, "userfaultfd without the features 0x%llx: %s", (unsigned long long)features, strerror(errno));
}

static void *watch(void *arg)
{
	struct world *w = arg;
	struct pollfd poll_fd = {.fd = uffd, .events = POLLIN};
	struct uffd_msg message;

	while (!over) {
		if (poll(&poll_fd, 1, 20) <= 0)
			continue;
		/* The caller of madvise waits until the event is read. It must hold no lock meanwhile, or this call, which
		 * changes the same VMA, waits for the caller, and the caller for this thread. */
		if (meddle) {
			tried(w, CALLS);
			if (mprotect(w->base, w->pages * w->page, PROT_READ) ||
			    mprotect(w->base, w->pages * w->page, PROT_READ | PROT_WRITE))
				fail(w, CALLS, "mprotect while an event of userfaultfd waits: %s", strerror(errno));
		}
		if (read(uffd, &message, sizeof(message)) != sizeof(message))
			continue;
		if (message.event == UFFD_EVENT_REMOVE)
			removals++;
		if (message.event == UFFD_EVENT_PAGEFAULT) {
			struct uffdio_zeropage zero = {
				.range = {message.arg.pagefault.address & ~(uint64_t)(w->page - 1), w->page}};

			faults++;
			if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
				ioctl(uffd, UFFDIO_WAKE, &zero.range); /* somebody has just unregistered it, or filled it */
		}
	}
	return NULL;
}

static bool arm(struct world *w, size_t from, size_t to)
{
	struct uffdio_register range = {.range = {(uintptr_t)page_at(w, from), (to - from) * w->page},
					.mode = UFFDIO_REGISTER_MODE_MISSING};

	tried(w, CALLS);
	if (!ioctl(uffd, UFFDIO_REGISTER, &range))
		return true;
	fail(w, CALLS, "UFFDIO_REGISTER: %s", strerror(errno));
	return false;
}

void prepare_userfault(struct world *w)
{
	open_userfault(w, 0);
	if (!w->report->unsupported[0] && pthread_create(&monitor, NULL, watch, w))
		unsupported(w, "no thread for the monitor");
}

/* Arms and disarms a range that others are freeing, so that the kind of their call changes under them. */
void disturb_userfault(struct world *w, uint64_t *random)
{
	size_t start = pick_chunk(w, w->workers, random), from = next_random(random) % w->pages;
	size_t to = from + 1 + next_random(random) % (w->pages - from);
	struct uffdio_range range = {(uintptr_t)page_at(w, from), (to - from) * w->page};

	verify(w, start, start + w->chunk, NEIGHBOURS, "a page that nobody frees");
	for (size_t i = start; i < start + w->chunk; i++)
		fill(w, i, next_random(random) | 1);
	if (!arm(w, from, to))
		return;
	usleep(200);
	tried(w, CALLS);
	if (ioctl(uffd, UFFDIO_UNREGISTER, &range))
		fail(w, CALLS, "UFFDIO_UNREGISTER: %s", strerror(errno));
}

void end_userfault(struct world *w)
{
	(void)w;
	over = true;
	pthread_join(monitor, NULL);
	close(uffd);
}

/* MADV_DONTNEED of an armed VMA tells the monitor and waits for it, without any lock. */
void race_userfault_events(struct world *w)
{
	uint64_t random = w->seed, stamp = 1;

	open_userfault(w, UFFD_FEATURE_EVENT_REMOVE);
	if (w->report->unsupported[0])
		return;
	for (size_t i = 0; i < w->pages; i++)
		fill(w, i, stamp++);
	if (!arm(w, 0, w->pages))
		return;
	meddle = true;
	if (pthread_create(&monitor, NULL, watch, w)) {
		unsupported(w, "no thread for the monitor");
		return;
	}
	for (long round = 0; round < w->rounds / 8 + 1; round++, moved_on(w)) {
		size_t from = next_random(&random) % w->pages, to = from + 1 + next_random(&random) % (w->pages - from);

		tried(w, CALLS);
		if (advise(w, from, to, MADV_DONTNEED))
			fail(w, CALLS, "MADV_DONTNEED of an armed range: %s", strerror(errno));
		for (size_t i = from; i < to; i++)
			w->want[i] = 0;
		verify(w, 0, from, NEIGHBOURS, "below the range");
		verify(w, to, w->pages, NEIGHBOURS, "above the range");
		meddle = false; /* faults are answered at once */
		verify(w, from, to, ZEROS, "after MADV_DONTNEED of an armed range");
		meddle = true;
	}
	end_userfault(w);
	if (!removals)
		fail(w, CALLS, "no MADV_DONTNEED told the monitor of userfaultfd (UFFD_EVENT_REMOVE)");
}
