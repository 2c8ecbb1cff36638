/* app_process: what zygote's fork becomes. `am` runs it with the package as argv[0] and the control socket as descriptor 3. */
#include "app.h"
#include "../include/ui.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[0], HELPER_PACKAGE) == 0) return planted_helper_main(argv);
    if (argc > 2 && strcmp(argv[2], UIAUTOMATOR_CLASS) == 0) {
        argv[2] = UIAUTOMATOR_PROGRAM;
        return execv("/system/bin/" UIAUTOMATOR_PROGRAM, argv + 2);
    }
    if (!take_process_name(argv[0]) || fcntl(CONTROL_FD, F_GETFD) < 0) {
        fprintf(stderr, "app_process: started by `am start`, not by hand\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "main"); /* zygote's name: threads made before the app has its own inherit it, and ftrace may remember it */
    mallopt(M_ARENA_MAX, 1); /* no thread may map an arena of its own: the model's memory calls are the ones it counts */
    atrace_open();
    heap_create();
    gc_start_threads();
    jit_start_thread();
    prctl(PR_SET_NAME, PACKAGE_COMM);
    activity_loop();
}
