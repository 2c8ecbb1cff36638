/*
 * Preloaded into QEMU when time is virtual: its wall clock stands still.
 *
 * QEMU 10 sizes the TLB of a virtual CPU by how full it was in the last 100 ms of the host's clock (tlb_mmu_resize_locked
 * in accel/tcg/cputlb.c). Its size decides which stale entries are still there, and so whether the guest takes a spurious
 * page fault after mprotect has allowed more: something in a guest with -icount that depends on how fast the host is.
 * With a clock that stands still the TLB only grows, by what the guest does.
 */
#include <stddef.h>
#include <sys/time.h>

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	(void)zone;
	now->tv_sec = 1767225600; /* 2026-01-01, as -rtc base */
	now->tv_usec = 0;
	return 0;
}
