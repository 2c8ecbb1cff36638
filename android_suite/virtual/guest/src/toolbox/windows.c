/* What asks for windows, or sends something to them: parts of dumpsys, input; monkey, ime, screencap; and toybox. */
#include "uia.h"

static struct tree screen; /* a command looks once */

static void focus_window(const char *label) {
    tree_read(&screen);
    printf("  %s=Window{2a9e0f1 u0 %s/%s}\n", label, screen.package, screen.activity);
}

/* `dumpsys window [windows]`, `dumpsys activity [activities | top]`, `dumpsys SurfaceFlinger --display-id`. */
bool dump_windows(int argc, char **argv) {
    const char *service = argv[0], *part = argc > 1 ? argv[1] : "";
    if (strcmp(service, "window") == 0) {
        if (strcmp(part, "policy") == 0)
            puts("WINDOW MANAGER POLICY STATE (dumpsys window policy)\n    mSafeMode=false mSystemReady=true mSystemBooted=true\n"
                 "    screenState=SCREEN_STATE_ON\n    KeyguardServiceDelegate\n      showing=false\n      inputRestricted=false\n"
                 "      occluded=false\n      secure=false\n      dreaming=false\n      systemIsReady=true\n      deviceHasKeyguard=false\n"
                 "      enabled=true\n      bootCompleted=true\n      interactiveState=INTERACTIVE_STATE_AWAKE");
        else
            puts("WINDOW MANAGER WINDOWS (dumpsys window windows)");
        focus_window("mCurrentFocus");
    } else if (strcmp(service, "activity") == 0) {
        tree_read(&screen);
        if (strcmp(part, "top") == 0)
            printf("TASK %s id=1 userId=0\n  ACTIVITY %s/%s 2a9e0f1 pid=0\n", screen.package, screen.package, screen.activity);
        else
            printf("ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\n  mResumedActivity: ActivityRecord{2a9e0f1 u0 %s/%s t1}\n",
                   screen.package, screen.activity);
    } else if (strcmp(service, "SurfaceFlinger") == 0 && strcmp(part, "--display-id") == 0)
        puts("Display 0 (virtual): port=0 displayName=\"Virtual vsync, no panel\"");
    else
        return false;
    return true;
}

static int needed(int argc, int count, const char *usage) {
    if (argc >= count) return 0;
    fprintf(stderr, "Error: Argument expected\nUsage: input %s\n", usage);
    return 255;
}

static int press_keys(int argc, char **argv) {
    int rc = needed(argc, 3, "keyevent [--longpress] <key code number or name> ...");
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--longpress") != 0) input_key(key_code(argv[i]));
    return rc;
}

/* The shell's `input text` has %s for a blank. */
static int type_text(int argc, char **argv) {
    int rc = needed(argc, 3, "text <string>");
    if (rc) return rc;
    for (char *at = argv[2]; (at = strstr(at, "%s")); at++) {
        *at = ' ';
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
    }
    input_text(argv[2]);
    return 0;
}

int input_main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "keyevent") == 0) return press_keys(argc, argv);
    if (strcmp(verb, "text") == 0) return type_text(argc, argv);
    if (strcmp(verb, "tap") == 0) {
        if (argc >= 4) input_click(atoi(argv[2]), atoi(argv[3]), 10);
        return needed(argc, 4, "tap <x> <y>");
    }
    if (strcmp(verb, "swipe") == 0) {
        int ms = argc > 6 ? atoi(argv[6]) : 300;
        if (argc < 6 || ms < 1 || ms > 60000) return fputs("Error: Invalid arguments for command: swipe\n", stderr), 255;
        input_swipe(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), ms < 5 ? 1 : ms / 5);
        return 0;
    }
    fprintf(stderr, "Error: Unknown command: %s\nUsage: input keyevent | text | tap | swipe ...\n", verb);
    return 255;
}

/* `monkey -p PACKAGE -c android.intent.category.LAUNCHER 1`, which starts an app as its icon does. */
int monkey_main(int argc, char **argv) {
    const char *package = NULL;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-p") == 0) package = argv[i + 1];
    if (package && app_exists(package)) {
        if (home_launch(package)) return puts("Events injected: 1\n## Network stats: elapsed time=0ms (0ms mobile, 0ms wifi, 0ms not connected)"), 0;
        return fputs("** System appears to have crashed: the app did not start\n", stderr), 251;
    }
    puts("** No activities found to run, monkey aborted.");
    return 252;
}

int ime_main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "list") == 0) return 0; /* there is no input method: text comes by adb */
    fprintf(stderr, "Unknown input method %s cannot be selected for user #0\n", argc > 2 ? argv[2] : "");
    return 1;
}

int screencap_main(int argc, char **argv) {
    bool png = false;
    for (int i = 1; i < argc; i++) png |= strcmp(argv[i], "-p") == 0;
    if (png) return !screen_capture(stdout);
    fputs("usage: screencap -p [-d display-id]\n   -p: a PNG to standard output, all that there is here\n", stderr);
    return 1;
}

int toybox_main(int argc, char **argv) {
    char path[300];
    if (argc < 2 || strchr(argv[1], '/')) return fputs("usage: toybox COMMAND [ARGUMENT...]\n", stderr), 1;
    snprintf(path, sizeof path, "/system/bin/%s", argv[1]);
    execv(path, argv + 1);
    fprintf(stderr, "toybox: Unknown command %s (see \"toybox --help\")\n", argv[1]);
    return 127;
}
