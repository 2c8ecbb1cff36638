/* Which collector ART gets: concurrent copying, or mark compact with userfaultfd where the device's property asks for it. */
#include "app.h"
#include "art.h"

#include <stdlib.h>

/* The switch of Android 14. */
#define PROPERTY "/dev/__properties__/persist.device_config.runtime_native_boot.enable_uffd_gc_2"
#define PROGRAM "/system/bin/app_process"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

static const char *asked; /* the option, or NULL for ART's own choice */

static bool write_one(const char *path) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, "1", 1) == 1;
    if (fd >= 0) close(fd);
    return written;
}

static bool is_on(const char *path) {
    char value[8] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, value, sizeof value - 1);
    close(fd);
    return n > 0 && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

void collector_choose(int argc, char **argv) {
    char *with_option[] = {argv[0], COLLECTOR_CMC, NULL};
    if (argc > 1 && strcmp(argv[1], COLLECTOR_CMC) == 0) {
        asked = COLLECTOR_CMC;
        return;
    }
    if (!is_on(PROPERTY)) return;
    /* ART looks for the option in the command line of its process, before it reads those it is started with. */
    execv(PROGRAM, with_option);
    log_write("crash", 'F', "AndroidSuite", "cannot start the app again with " COLLECTOR_CMC);
    _exit(1);
}

int collector_options(const char *const *options, int count, const char **more) {
    int added = 0;
    bool compacts = asked != NULL;
    for (int i = 0; i < count; i++) compacts |= strncmp(options[i], COLLECTOR_CMC, sizeof COLLECTOR_CMC - 1) == 0;
    if (!compacts) return 0;
    /* It reserves more address space than the guest has memory; Android's init allows that, too. */
    if (!write_one(OVERCOMMIT)) fprintf(stderr, OVERCOMMIT " cannot be set; mark compact may not start\n");
    if (asked) more[added++] = asked;
    /* Debian's build has no thread-local buffers unless told to, and mark compact loses what is allocated beside them while it runs. */
    more[added++] = "-XX:UseTLAB";
    return added;
}
