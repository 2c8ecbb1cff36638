/* app_process and dalvikvm with ART in them. `am` runs app_process with the package as argv[0], as it runs the model. */
#include "app.h"
#include "art.h"
#include "../include/ui.h"

#include <malloc.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/prctl.h>

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash ? slash + 1 : argv[0], "dalvikvm") == 0) return dalvikvm_main(argc, argv);
    if (argc > 2 && strcmp(argv[2], UIAUTOMATOR_CLASS) == 0) {
        argv[2] = UIAUTOMATOR_PROGRAM;
        return execv("/system/bin/" UIAUTOMATOR_PROGRAM, argv + 2);
    }
    if (!take_process_name(argv[0]) || fcntl(CONTROL_FD, F_GETFD) < 0) {
        fprintf(stderr, "app_process: started by `am start`, not by hand\n");
        return 2;
    }
    collector_choose(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "main"); /* zygote's name, which threads inherit until they have their own */
    mallopt(M_ARENA_MAX, 1);    /* fewer mappings that nobody asked for */
    atrace_open();
    heap_create();
    gc_start_threads();
    prctl(PR_SET_NAME, PACKAGE_COMM);
    activity_loop();
}

/* Of the model, and not here: without a compiler there is no thread pool of it, and the intent was refused if it asked for planted
 * calls. */
void jit_set_active(bool active) { (void)active; }
void large_allocate(size_t bytes) { heap_allocate(bytes); } /* ART decides by itself what is large */
void planted_prepare(const struct parameters *p) { (void)p; }
void planted_finish(const struct parameters *p) { (void)p; }
