/* dumpsys (with power.c and windows.c), settings, wm, svc, pidof, getconf, reboot: each no more than what the virtual device really has. */
#include "../include/ui.h"
#include "toolbox.h"

#include <sys/random.h>
#include <sys/reboot.h>

static int dump_gfxinfo(int argc, char **argv) {
    char buffer[4096];
    ssize_t n;
    const char *package = argc > 0 && argv[0][0] != '-' ? argv[0] : PACKAGE;
    int fd = app_exists(package) ? process_connect(package) : -1;
    if (fd < 0) return printf("No process found for: %s\n", package), 0;
    bool framestats = false, reset = false;
    for (int i = 1; i < argc; i++) {
        framestats |= strcmp(argv[i], "framestats") == 0;
        reset |= strcmp(argv[i], "reset") == 0;
    }
    if (!app_send(fd, "gfxinfo\t%s%s\t0\n", framestats ? "framestats," : "", reset ? "reset" : "")) return 1;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)n, stdout);
    close(fd);
    return 0;
}

static void dump_display(void) {
    puts("DISPLAY MANAGER (dumpsys display)\n\nDisplay Devices: size=1\n"
         "  DisplayDeviceInfo{\"Virtual vsync, no panel\": uniqueId=\"virtual:0\", 1080 x 1920, modeId 1, renderFrameRate 60.0, "
         "defaultModeId 1, supportedModes [{id=1, width=1080, height=1920, fps=60.0}], state ON}\n    refreshRate=60.0\n"
         "  DisplayViewport{type=INTERNAL, valid=true, displayId=0, orientation=0, logicalFrame=Rect(0, 0 - 1080, 1920)}");
}

static void dump_package(const char *package) {
    printf("Packages:\n  Package [%s] (2a9e0f1):\n", package);
    puts("    userId=10123\n    codePath=" APP_DIR
         "\n    versionCode=" APP_VERSION_CODE " minSdk=26 targetSdk=34\n    versionName=" APP_VERSION_NAME
         "\n    User 0: ceDataInode=1 installed=true hidden=false suspended=false stopped=false enabled=0\n      runtime permissions:");
    printf("        " PERMISSION ": granted=%s, flags=[ USER_SENSITIVE_WHEN_GRANTED]\n", access(GRANTED_FILE, F_OK) ? "false" : "true");
}

int dumpsys_main(int argc, char **argv) {
    const char *service = argc > 1 ? argv[1] : "";
    if (strcmp(service, "gfxinfo") == 0) return dump_gfxinfo(argc - 2, argv + 2);
    if (strcmp(service, "display") == 0)
        dump_display();
    else if (strcmp(service, "package") == 0 && argc > 2 && app_exists(argv[2]))
        dump_package(argv[2]);
    else if (strcmp(service, "-l") == 0)
        puts("Currently running services:\n  SurfaceFlinger\n  activity\n  battery\n  deviceidle\n  display\n  gfxinfo\n  package\n"
             "  power\n  thermalservice\n  window");
    else if (argc < 2 || !(dump_power_services(argc - 1, argv + 1) || dump_windows(argc - 1, argv + 1)))
        fprintf(stderr, "Can't find service: %s\n", service);
    return 0;
}

static void print_setting(const char *key, const char *value) { printf("%s=%s\n", key, value); }

/* 64 random bits for as long as the data of the device live, which is until it ends. Made when somebody asks first. */
static void make_android_id(const char *directory) {
    uint64_t bits;
    char value[32];
    if (store_get(directory, "android_id", value, sizeof value) || getrandom(&bits, sizeof bits, 0) != sizeof bits) return;
    snprintf(value, sizeof value, "%016llx", (unsigned long long)bits);
    store_put(directory, "android_id", value);
}

int settings_main(int argc, char **argv) {
    char directory[64], value[4096];
    if (!take_user(&argc, argv)) return 255;
    const char *verb = argc > 2 ? argv[1] : "", *space = argc > 2 ? argv[2] : "";
    if (strcmp(space, "global") && strcmp(space, "system") && strcmp(space, "secure"))
        return fputs("Invalid namespace: give global, system or secure\n", stderr), 255;
    snprintf(directory, sizeof directory, SYSTEM "/settings_%s", space);
    mkdir(directory, 0755);
    if (argc == 4 && strcmp(space, "secure") == 0 && strcmp(argv[3], "android_id") == 0) make_android_id(directory);
    if (strcmp(verb, "get") == 0 && argc == 4) return puts(store_get(directory, argv[3], value, sizeof value) ? value : "null"), 0;
    if (strcmp(verb, "put") == 0 && argc >= 5) return !store_put(directory, argv[3], argv[4]);
    if (strcmp(verb, "delete") == 0 && argc == 4) return printf("Deleted %d rows\n", store_remove(directory, argv[3])), 0;
    if (strcmp(verb, "list") == 0) return store_each(directory, print_setting) < 0;
    return fprintf(stderr, "Invalid command: %s\n", verb), 255;
}

int wm_main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "size") == 0) return puts("Physical size: 1080x1920"), 0;
    if (argc == 2 && strcmp(argv[1], "density") == 0) return puts("Physical density: 420"), 0;
    if (argc == 2 && strcmp(argv[1], "dismiss-keyguard") == 0) return 0; /* there is none */
    return fprintf(stderr, "Unknown command: %s\n", argc > 1 ? argv[1] : ""), 255;
}

int svc_main(int argc, char **argv) {
    static const char *const kinds[][2] = {{"true", "15"}, {"false", "0"}, {"usb", "2"}, {"ac", "1"}, {"wireless", "4"}, {"dock", "8"}};
    if (argc == 4 && strcmp(argv[1], "power") == 0 && strcmp(argv[2], "stayon") == 0)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (strcmp(argv[3], kinds[i][0]) == 0) {
                mkdir(SYSTEM "/settings_global", 0755);
                return !store_put(SYSTEM "/settings_global", "stay_on_while_plugged_in", kinds[i][1]);
            }
    return fputs("Available commands:\n    power stayon\n", stderr), 255;
}

static int print_pid(int pid, void *context) {
    int *printed = context;
    return printf("%s%d", (*printed)++ ? " " : "", pid);
}

int pidof_main(int argc, char **argv) {
    int printed = 0, single = argc > 1 && strcmp(argv[1], "-s") == 0;
    for (int i = 1 + single; i < argc && !(single && printed); i++) each_process(argv[i], print_pid, &printed);
    if (printed) putchar('\n');
    return !printed;
}

int getconf_main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    bool page = strcmp(name, "PAGESIZE") == 0 || strcmp(name, "PAGE_SIZE") == 0;
    if (!page && strcmp(name, "_NPROCESSORS_ONLN") != 0) return fprintf(stderr, "getconf: bad '%s'\n", name), 1;
    return printf("%ld\n", sysconf(page ? _SC_PAGESIZE : _SC_NPROCESSORS_ONLN)), 0;
}

int reboot_main(int argc, char **argv) {
    bool off = argc > 1 && strcmp(argv[1], "-p") == 0;
    sync();
    reboot(off ? RB_POWER_OFF : RB_AUTOBOOT);
    perror("reboot");
    return 1;
}
