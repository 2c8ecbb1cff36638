/* am start | force-stop | kill | send-trim-memory, with the options and the output of Android 14's ActivityManagerShellCommand. */
#include "toolbox.h"

#define IDLE_TIMEOUT_MS 10000 /* ActivityTaskSupervisor's, times ro.hw_timeout_multiplier */
#define STOP_PAUSE_NS 250000000 /* am's own sleep after -S */
#define CLEAR_TASK 0x8000UL

struct intent {
    bool wait, stop_first, has_extras;
    int repeat;
    unsigned long flags;
    const char *action, *data, *category;
    char package[128], activity[128];
    char extras[REQUEST_BYTES - 512];
};

static const char *const activities[] = {STRESS_ACTIVITY, LAUNCHER_ACTIVITY, TRAMPOLINE_ACTIVITY, UI_ACTIVITY};

static int usage(const char *problem, const char *what) {
    fprintf(stderr, "\nError: %s%s\n", problem, what);
    return 255;
}

static bool add_extra(struct intent *intent, const char *key, const char *value) {
    size_t n = strlen(intent->extras), room = sizeof intent->extras - n;
    int length = snprintf(intent->extras + n, room, "\t%s=%s", key, value);
    for (char *c = intent->extras + n + 1; *c; c++)
        if (*c == '\t' || *c == '\n') *c = ' '; /* the request's separators */
    return length < (int)room;
}

/* "pkg/.Act", "pkg/pkg.Act" -> package and ".Act". */
static bool set_component(struct intent *intent, const char *name) {
    const char *slash = strchr(name, '/');
    if (!slash || slash == name || !slash[1]) return false;
    size_t n = (size_t)(slash - name);
    snprintf(intent->package, sizeof intent->package, "%.*s", (int)n, name);
    bool full = strncmp(slash + 1, intent->package, n) == 0 && slash[1 + n] == '.';
    size_t own = sizeof PACKAGE - 1; /* the classes of the second app keep the first one's names */
    if (!full && app_exists(intent->package) && strncmp(slash + 1, PACKAGE ".", own + 1) == 0) full = (n = own);
    snprintf(intent->activity, sizeof intent->activity, "%s", slash + 1 + (full ? n : 0));
    return true;
}

static int parse_intent(int argc, char **argv, struct intent *intent) {
    for (int i = 2; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool extra = strcmp(option, "--es") == 0 || strcmp(option, "--ei") == 0 || strcmp(option, "--el") == 0 || strcmp(option, "--ez") == 0;
        if (strcmp(option, "-W") == 0)
            intent->wait = true;
        else if (strcmp(option, "-S") == 0)
            intent->stop_first = true;
        else if (strcmp(option, "--activity-clear-task") == 0)
            intent->flags |= CLEAR_TASK;
        else if (option[0] != '-') {
            if (!set_component(intent, option)) return usage("Bad component name: ", option);
        } else if (!value)
            return usage("Argument expected after ", option);
        else if (extra) {
            if (i + 2 >= argc) return usage("Argument expected after ", value);
            if (!add_extra(intent, value, argv[i + 2])) return usage("Extras too long at ", value);
            intent->has_extras = true;
            i += 2;
        } else {
            i++;
            if (strcmp(option, "-n") == 0) {
                if (!set_component(intent, value)) return usage("Bad component name: ", value);
            } else if (strcmp(option, "-a") == 0)
                intent->action = value;
            else if (strcmp(option, "-c") == 0)
                intent->category = value;
            else if (strcmp(option, "-d") == 0)
                intent->data = value;
            else if (strcmp(option, "-f") == 0)
                intent->flags = strtoul(value, NULL, 0);
            else if (strcmp(option, "-R") == 0)
                intent->repeat = atoi(value);
            else if (strcmp(option, "--user") != 0)
                return usage("Unknown option: ", option);
            else if (strcmp(value, "0") && strcmp(value, "current") && strcmp(value, "cur"))
                return usage("no such user here: ", value);
        }
    }
    return intent->package[0] ? 0 : usage("Intent has no component: give -n PACKAGE/ACTIVITY", "");
}

static void print_intent(const struct intent *intent) {
    printf("Starting: Intent {");
    if (intent->action) printf(" act=%s", intent->action);
    if (intent->category) printf(" cat=[%s]", intent->category);
    if (intent->data) printf(" dat=%s", intent->data);
    if (intent->flags) printf(" flg=0x%lx", intent->flags);
    printf(" cmp=%s/%s%s }\n", intent->package, intent->activity, intent->has_extras ? " (has extras)" : "");
    fflush(stdout);
}

static bool exists(const struct intent *intent) {
    for (size_t i = 0; i < sizeof activities / sizeof *activities; i++)
        if (app_exists(intent->package) && strcmp(intent->activity, activities[i]) == 0) return true;
    return false;
}

static int timeout_ms(void) {
    char value[64];
    int factor = store_get(PROPERTIES, "ro.hw_timeout_multiplier", value, sizeof value) ? atoi(value) : 1;
    return IDLE_TIMEOUT_MS * (factor > 0 ? factor : 1);
}

/* The app's reply: "ok <state> <first frame, ns> <how> <activity>"; how: new, front (an existing task came up), top (it was in front
 * already). The activity is the one that drew, which a trampoline is not. */
static void report(const struct intent *intent, const char *reply, int64_t started_ns) {
    char state[16] = "", how[16] = "", drew[128] = "";
    long long first_frame_ns = 0;
    int64_t waited_ms = (clock_ns(CLOCK_MONOTONIC) - started_ns) / 1000000;
    if (!reply || sscanf(reply, "ok\t%15s\t%lld\t%15s\t%127s", state, &first_frame_ns, how, drew) != 4) {
        printf("Status: timeout\nLaunchState: UNKNOWN (-1)\nActivity: %s/%s\nWaitTime: %lld\nComplete\n", intent->package,
               intent->activity, (long long)waited_ms);
        return;
    }
    bool delivered = strcmp(how, "top") == 0;
    if (delivered) puts("Warning: Activity not started, intent has been delivered to currently running top-most instance.");
    if (strcmp(how, "front") == 0) puts("Warning: Activity not started, its current task has been brought to the front");
    printf("Status: ok\nLaunchState: %s\nActivity: %s/%s\nTotalTime: %lld\nWaitTime: %lld\nComplete\n", delivered ? "UNKNOWN (0)" : state,
           intent->package, drew, delivered ? 0LL : (first_frame_ns - (long long)started_ns) / 1000000, (long long)waited_ms);
}

/* The extra "processes": services of the app, each in a process of its own. Nobody waits for them, as nobody does for startService. */
static void start_services(const struct intent *intent) {
    char process[160];
    const char *extra = strstr(intent->extras, "\tprocesses=");
    int n = extra ? atoi(extra + strlen("\tprocesses=")) : 0;
    for (int i = 1; i <= n && i <= MOST_SERVICES; i++) {
        snprintf(process, sizeof process, "%s:p%d", intent->package, i);
        int fd = process_connect(process);
        if (fd < 0) fd = process_spawn(process);
        if (fd < 0) continue;
        app_send(fd, "serve\t%s\t0%s\n", intent->activity, intent->extras);
        close(fd);
    }
}

static int start_once(const struct intent *intent) {
    char reply[512];
    struct timespec pause = {0, STOP_PAUSE_NS};
    if (intent->stop_first) {
        printf("Stopping: %s\n", intent->package);
        if (app_exists(intent->package)) app_force_stop(intent->package);
        nanosleep(&pause, NULL);
    }
    print_intent(intent);
    if (!exists(intent)) {
        fprintf(intent->wait ? stdout : stderr, "Error type 3\nError: Activity class {%s/%s%s} does not exist.\n", intent->package,
                intent->activity[0] == '.' ? intent->package : "", intent->activity);
        return 1;
    }
    start_services(intent);
    int64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    app_set_front(intent->package);
    const char *verb = intent->flags & CLEAR_TASK ? "start-clear" : "start"; /* am itself adds FLAG_ACTIVITY_NEW_TASK to every intent */
    int fd = process_connect(intent->package);
    if (fd < 0) fd = process_spawn(intent->package);
    if (fd < 0 || !app_send(fd, "%s\t%s\t%lld%s\n", verb, intent->activity, (long long)started_ns, intent->extras))
        return usage("could not start the process of ", intent->package);
    if (!intent->wait) return close(fd);
    bool answered = app_reply(fd, reply, sizeof reply, timeout_ms());
    close(fd);
    if (answered && strncmp(reply, "error\t", 6) == 0) return usage("the activity refused the intent: ", reply + 6);
    report(intent, answered ? reply : NULL, started_ns);
    return 0;
}

static int start(int argc, char **argv) {
    static struct intent intent;
    char reply[128];
    int rc = parse_intent(argc, argv, &intent);
    for (int turn = 0; rc == 0 && (turn == 0 || turn < intent.repeat); turn++) {
        if (turn) app_request("back", reply, sizeof reply);
        rc = start_once(&intent);
    }
    return rc;
}

static int failed(const char *verb, const char *what) {
    fprintf(stderr, "\nException occurred while executing '%s':\njava.lang.IllegalArgumentException: %s\n", verb, what);
    return 255;
}

static int keep_pid(int pid, void *context) { return *(int *)context = pid; }

/* The process may be given by its name or by its pid; only those of the apps have anything to trim. */
static bool find_process(const char *given, char *process, size_t bytes) {
    static const char *const packages[] = {PACKAGE, BACKGROUND_PACKAGE};
    for (int i = 0; i < 2 * (1 + MOST_SERVICES); i++) {
        int pid = 0;
        snprintf(process, bytes, i < 2 ? "%s" : "%s:p%d", packages[i % 2], i / 2);
        if (each_process(process, keep_pid, &pid) && (strcmp(process, given) == 0 || pid == atoi(given))) return true;
    }
    return false;
}

static int send_trim_memory(int argc, char **argv) {
    static const struct {
        const char *name, *level;
    } levels[] = {{"RUNNING_MODERATE", "5"}, {"RUNNING_LOW", "10"}, {"RUNNING_CRITICAL", "15"}, {"HIDDEN", "20"},
                  {"BACKGROUND", "40"},      {"MODERATE", "60"},    {"COMPLETE", "80"}};
    char process[160], reply[256];
    const char *level = NULL;
    int at = 2;
    if (at + 1 < argc && strcmp(argv[at], "--user") == 0) at += 2;
    if (argc - at != 2) return usage("Argument expected after ", argv[argc - 1]);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(argv[at + 1], levels[i].name) == 0) level = levels[i].level;
    if (!level && atoi(argv[at + 1]) > 0) level = argv[at + 1];
    if (!level) return usage("Unknown level option: ", argv[at + 1]);
    if (!find_process(argv[at], process, sizeof process)) {
        snprintf(reply, sizeof reply, "Unknown process: %.200s", argv[at]);
        return failed(argv[1], reply);
    }
    if (process_request(process, "trim", level, reply, sizeof reply)) return failed(argv[1], "Process has no app thread");
    return strncmp(reply, "error\t", 6) ? 0 : failed(argv[1], reply + 6);
}

int am_main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "send-trim-memory") == 0) return send_trim_memory(argc, argv);
    if (strcmp(verb, "start") == 0 || strcmp(verb, "start-activity") == 0) return start(argc, argv);
    if (strcmp(verb, "get-current-user") == 0) return puts("0"), 0;
    if (strcmp(verb, "force-stop") == 0 || strcmp(verb, "kill") == 0) {
        const char *package = argc > 2 ? argv[argc - 1] : NULL;
        if (!package) return usage("Argument expected after ", verb);
        if (app_exists(package)) app_force_stop(package); /* an unknown package is no error on Android either */
        return 0;
    }
    fprintf(stderr, "Unknown command: %s\n", verb);
    return 255;
}
