/* The processes of the apps, from outside: find them, start them, stop them, ask them; and which app is in front. */
#include "toolbox.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un control_address(const char *process) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, CONTROL_DIR "%.90s", process);
    return address;
}

bool app_exists(const char *package) { return strcmp(package, PACKAGE) == 0 || strcmp(package, BACKGROUND_PACKAGE) == 0; }

bool app_in_front(char *package, size_t bytes) { return store_get(SYSTEM, "front", package, bytes); }

void app_set_front(const char *package) {
    char front[128], reply[128];
    if (app_in_front(front, sizeof front) && strcmp(front, package)) process_request(front, "home", "", reply, sizeof reply);
    store_put(SYSTEM, "front", package);
}

int app_connect_front(void) {
    char front[128];
    return process_connect(app_in_front(front, sizeof front) ? front : PACKAGE);
}

int process_connect(const char *process) {
    struct sockaddr_un address = control_address(process);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* The listening socket exists before the process does, so the connection waits in its queue: no polling, no race. */
int process_spawn(const char *process) {
    struct sockaddr_un address = control_address(process);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int alone[2]; /* closed by the child once it has a session of its own: with a terminal, the shell's end would end it, too */
    unlink(address.sun_path);
    if (listener < 0 || pipe2(alone, O_CLOEXEC) || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) return -1;
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {(char *)process, NULL}, *envp[] = {"ANDROID_ROOT=/system", "ANDROID_DATA=/data", "PATH=/system/bin", NULL};
        int null = open("/dev/null", O_RDWR); /* nothing of the shell's may stay open, or `adb shell` would wait for the app */
        setsid();
        for (int fd = 0; fd < 3; fd++) dup2(null, fd);
        if (listener != CONTROL_FD) dup2(listener, CONTROL_FD);
        for (int fd = CONTROL_FD + 1; fd < 64; fd++) close(fd);
        execve("/system/bin/app_process", argv, envp);
        _exit(127);
    }
    close(alone[1]);
    if (child > 0 && read(alone[0], &(char){0}, 1) < 0) perror("app_process");
    close(alone[0]);
    int fd = child > 0 ? process_connect(process) : -1;
    close(listener);
    return fd;
}

bool app_send(int fd, const char *format, ...) {
    char line[REQUEST_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return n < (int)sizeof line && send(fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

bool app_reply(int fd, char *reply, size_t bytes, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + timeout_ms * INT64_C(1000000);
    size_t n = 0;
    ssize_t got;
    while (n < bytes - 1) {
        int64_t left_ms = (deadline_ns - clock_ns(CLOCK_MONOTONIC)) / 1000000;
        if (left_ms < 0 || poll(&p, 1, (int)left_ms) <= 0 || (got = read(fd, reply + n, bytes - 1 - n)) <= 0) break;
        n += (size_t)got;
        if (reply[n - 1] == '\n') {
            reply[n - 1] = 0;
            return true;
        }
    }
    return false;
}

int app_request(const char *verb, char *reply, size_t bytes) {
    char front[128];
    return process_request(app_in_front(front, sizeof front) ? front : PACKAGE, verb, "", reply, bytes);
}

int process_request(const char *process, const char *verb, const char *argument, char *reply, size_t bytes) {
    int fd = process_connect(process);
    if (fd < 0) return -1;
    bool ok = app_send(fd, "%s\t%s\t0\n", verb, argument) && app_reply(fd, reply, bytes, 10000);
    close(fd);
    return ok ? 0 : 1;
}

static bool process_is(const char *pid, const char *name) {
    char path[300], cmdline[256] = "";
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    cmdline[fread(cmdline, 1, sizeof cmdline - 1, f)] = 0; /* ends at argv[0]'s terminator */
    fclose(f);
    const char *base = strrchr(cmdline, '/');
    return strcmp(cmdline, name) == 0 || (base && strcmp(base + 1, name) == 0);
}

int each_process(const char *name, int (*visit)(int pid, void *context), void *context) {
    int found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && process_is(entry->d_name, name)) {
            found++;
            visit(atoi(entry->d_name), context);
        }
    if (proc) closedir(proc);
    return found;
}

static int kill_process(int pid, void *context) {
    (void)context;
    return kill(pid, SIGKILL);
}

static int ignore_process(int pid, void *context) { return (void)pid, (void)context, 0; }

static void stop_process(const char *process) {
    struct timespec tick = {0, 5000000};
    if (each_process(process, kill_process, NULL) == 0) return;
    for (int i = 0; i < 400 && each_process(process, ignore_process, NULL); i++) nanosleep(&tick, NULL); /* a zombie has no cmdline */
    unlink(control_address(process).sun_path);
}

void app_force_stop(const char *package) {
    char front[128], process[160];
    stop_process(package);
    if (strcmp(package, PACKAGE) == 0) stop_process(HELPER_PACKAGE);
    for (int i = 1; i <= MOST_SERVICES; i++) {
        snprintf(process, sizeof process, "%s:p%d", package, i);
        struct sockaddr_un address = control_address(process);
        if (access(address.sun_path, F_OK)) break; /* there are no further ones */
        stop_process(process);
        unlink(address.sun_path);
    }
    if (app_in_front(front, sizeof front) && strcmp(front, package) == 0) store_remove(SYSTEM, "front");
}
