/* am start | force-stop | kill, with Android's options and output. */
#include "toolbox.h"

#define START_TIMEOUT_MS 20000

struct intent {
    bool wait, stop_first, has_extras;
    const char *action, *data, *category, *flags;
    char package[128], activity[128];
    char extras[REQUEST_BYTES - 512];
};

static const char *const activities[] = {".GcStressActivity", ".LaunchActivity"};

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
                intent->flags = value;
            else if (strcmp(option, "--user") != 0)
                return usage("Unknown option: ", option);
        }
    }
    return intent->package[0] ? 0 : usage("Intent has no component: give -n PACKAGE/ACTIVITY", "");
}

static void print_intent(const struct intent *intent) {
    printf("Starting: Intent {");
    if (intent->action) printf(" act=%s", intent->action);
    if (intent->category) printf(" cat=[%s]", intent->category);
    if (intent->data) printf(" dat=%s", intent->data);
    if (intent->flags) printf(" flg=0x%lx", strtoul(intent->flags, NULL, 0));
    printf(" cmp=%s/%s%s }\n", intent->package, intent->activity, intent->has_extras ? " (has extras)" : "");
    fflush(stdout);
}

static bool exists(const struct intent *intent) {
    for (size_t i = 0; i < sizeof activities / sizeof *activities; i++)
        if (strcmp(intent->package, PACKAGE) == 0 && strcmp(intent->activity, activities[i]) == 0) return true;
    return false;
}

static int report(const struct intent *intent, const char *reply, int64_t started_ns) {
    char state[16] = "";
    long long first_frame_ns = 0;
    int64_t waited_ms = (clock_ns(CLOCK_MONOTONIC) - started_ns) / 1000000;
    if (!reply || sscanf(reply, "ok\t%15s\t%lld", state, &first_frame_ns) != 2) {
        printf("Status: timeout\nLaunchState: UNKNOWN (-1)\nActivity: %s/%s\nWaitTime: %lld\nComplete\n", intent->package,
               intent->activity, (long long)waited_ms);
        return 0;
    }
    bool delivered = strcmp(state, "UNKNOWN") == 0;
    if (delivered)
        fputs("Warning: Activity not started, intent has been delivered to currently running top-most instance.\n", stderr);
    printf("Status: ok\nLaunchState: %s\nActivity: %s/%s\nTotalTime: %lld\nWaitTime: %lld\nComplete\n", delivered ? "UNKNOWN (0)" : state,
           intent->package, intent->activity, delivered ? 0LL : (first_frame_ns - (long long)started_ns) / 1000000, (long long)waited_ms);
    return 0;
}

static int start(int argc, char **argv) {
    static struct intent intent;
    char reply[512];
    int rc = parse_intent(argc, argv, &intent);
    if (rc) return rc;
    if (intent.stop_first && strcmp(intent.package, PACKAGE) == 0) {
        printf("Stopping: %s\n", intent.package);
        app_force_stop();
    }
    print_intent(&intent);
    if (!exists(&intent)) {
        fprintf(stderr, "Error type 3\nError: Activity class {%s/%s%s} does not exist.\n", intent.package,
                intent.activity[0] == '.' ? intent.package : "", intent.activity);
        return 1;
    }
    int64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    int fd = app_connect();
    if (fd < 0) fd = app_spawn();
    if (fd < 0 || !app_send(fd, "start\t%s\t%lld%s\n", intent.activity, (long long)started_ns, intent.extras))
        return usage("could not start the process of ", intent.package);
    if (!intent.wait) return 0;
    bool answered = app_reply(fd, reply, sizeof reply, START_TIMEOUT_MS);
    if (answered && strncmp(reply, "error\t", 6) == 0) return usage("the activity refused the intent: ", reply + 6);
    return report(&intent, answered ? reply : NULL, started_ns);
}

int am_main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "start") == 0 || strcmp(verb, "start-activity") == 0) return start(argc, argv);
    if (strcmp(verb, "force-stop") == 0 || strcmp(verb, "kill") == 0) {
        const char *package = argc > 2 ? argv[argc - 1] : NULL;
        if (!package) return usage("Argument expected after ", verb);
        if (strcmp(package, PACKAGE) == 0) app_force_stop(); /* an unknown package is no error on Android either */
        return 0;
    }
    fprintf(stderr, "Unknown command: %s\n", verb);
    return 255;
}
