/* The main space under userfaultfd, as ART's collector has it while it compacts: whoever touches a page that is missing gets SIGBUS,
 * and fills the page itself. Arming and disarming are ioctls under mmap_lock, and so is each madvise of an armed VMA, on any kernel. */
#include "app.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static int fd = -1;
static bool unsupported;
static uint64_t filled, armed;

static void fill(int number, siginfo_t *info, void *context) {
    (void)context;
    struct space *space = &spaces[SPACE_MAIN];
    char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
    struct uffdio_zeropage zero = {.range = {(uintptr_t)page, PAGE}};
    int before = errno;
    if (page < space->start || page >= space->start + space->bytes) { /* a real one */
        signal(number, SIG_DFL);
        return;
    }
    /* It may fail where another thread was faster or the space is disarmed already: then the access simply succeeds. */
    if (ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0) __atomic_fetch_add(&filled, 1, __ATOMIC_RELAXED);
    errno = before;
}

static bool open_descriptor(void) {
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
    struct sigaction action = {.sa_sigaction = fill, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (fd >= 0 || unsupported) return !unsupported;
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    unsupported = fd < 0 || ioctl(fd, UFFDIO_API, &api) || sigaction(SIGBUS, &action, NULL);
    return !unsupported;
}

bool uffd_arm(const struct parameters *p) {
    if (!p->gc_uffd || !open_descriptor()) return false;
    struct space *space = &spaces[SPACE_MAIN];
    struct uffdio_register reg = {.range = {(uintptr_t)space->start, space->bytes}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    unsupported = ioctl(fd, UFFDIO_REGISTER, &reg) != 0;
    armed += !unsupported;
    return !unsupported;
}

void uffd_disarm(void) {
    struct uffdio_range range = {(uintptr_t)spaces[SPACE_MAIN].start, spaces[SPACE_MAIN].bytes};
    ioctl(fd, UFFDIO_UNREGISTER, &range);
}

void uffd_reset(void) { filled = armed = 0; }

/* null: this kernel cannot */
int uffd_tell(char *at, size_t room) {
    if (unsupported) return snprintf(at, room, ",\"uffd\":null");
    return snprintf(at, room, ",\"uffd\":{\"armed\":%llu,\"filled\":%llu}", (unsigned long long)armed, (unsigned long long)filled);
}
