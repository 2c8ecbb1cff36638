/* pm and cmd. The only packages are the app model, under its two names. */
#include "../include/ui.h"
#include "toolbox.h"

static int list_packages(int argc, char **argv) {
    const char *filter = "";
    bool with_file = false, with_version = false, system_only = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0)
            with_file = true;
        else if (strcmp(argv[i], "--show-versioncode") == 0)
            with_version = true;
        else if (strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "-d") == 0)
            system_only = true; /* there are no system packages and no disabled ones */
        else if (argv[i][0] != '-')
            filter = argv[i];
    }
    static const char *const packages[] = {BACKGROUND_PACKAGE, PACKAGE};
    for (int i = 0; i < 2; i++)
        if (!system_only && strstr(packages[i], filter)) printf("package:%s%s%s\n", with_file ? APK_PATH "=" : "", packages[i], with_version ? " versionCode:" APP_VERSION_CODE : "");
    return 0;
}

/* `pm grant | revoke PACKAGE PERMISSION`. As on Android, an app that loses what it had is ended. */
static int change_permission(bool grant, int argc, char **argv) {
    if (argc < 4 || strcmp(argv[argc - 2], PACKAGE)) {
        fprintf(stderr, "\nException occurred while executing '%s':\njava.lang.IllegalArgumentException: Unknown package: %s\n", argv[1],
                argc < 4 ? "" : argv[argc - 2]);
        return 255;
    }
    if (strcmp(argv[argc - 1], PERMISSION)) {
        fprintf(stderr, "\nException occurred while executing '%s':\njava.lang.SecurityException: Package " PACKAGE
                        " has not requested permission %s\n", argv[1], argv[argc - 1]);
        return 255;
    }
    if (grant) return close(open(GRANTED_FILE, O_CREAT | O_WRONLY, 0644));
    if (unlink(GRANTED_FILE) == 0) app_force_stop(PACKAGE);
    return 0;
}

int pm_main(int argc, char **argv) {
    if (!take_user(&argc, argv)) return 255;
    const char *verb = argc > 1 ? argv[1] : "", *last = argc > 2 ? argv[argc - 1] : "";
    bool known = app_exists(last);
    if (strcmp(verb, "list") == 0 && argc > 2 && strcmp(argv[2], "packages") == 0) return list_packages(argc - 3, argv + 3);
    if (strcmp(verb, "path") == 0) {
        if (known) puts("package:" APK_PATH);
        return !known;
    }
    if (strcmp(verb, "grant") == 0 || strcmp(verb, "revoke") == 0) return change_permission(*verb == 'g', argc, argv);
    if (strcmp(verb, "clear-permission-flags") == 0) return 0; /* a denial is not remembered here: the dialog comes again */
    if (strcmp(verb, "clear") == 0) {
        if (known) {
            app_force_stop(last);
            unlink(GRANTED_FILE);
        }
        puts(known ? "Success" : "Failed");
        return !known;
    }
    if (strcmp(verb, "compile") == 0) { /* the model is compiled already */
        if (known)
            puts("Success");
        else
            printf("Failure: package %s could not be compiled\n", last);
        return !known;
    }
    if (strcmp(verb, "bg-dexopt-job") == 0) return puts("Success"), 0; /* nothing is compiled in the background here */
    if (strcmp(verb, "list") == 0 && strcmp(last, "users") == 0) return puts("Users:\n\tUserInfo{0:Owner:4c13} running"), 0;
    fprintf(stderr, "Unknown command: %s\n", verb);
    return 255;
}

int cmd_main(int argc, char **argv) {
    const char *service = argc > 1 ? argv[1] : "";
    if (strcmp(service, "package") == 0) return pm_main(argc - 1, argv + 1);
    if (strcmp(service, "activity") == 0) return am_main(argc - 1, argv + 1);
    if (strcmp(service, "settings") == 0) return settings_main(argc - 1, argv + 1);
    if (strcmp(service, "-l") == 0) {
        puts("Currently running services:\n  activity\n  deviceidle\n  package\n  settings\n  thermalservice\n  window");
        return 0;
    }
    int rc = *service ? power_command(argc - 1, argv + 1) : -1;
    if (rc >= 0) return rc;
    if (!*service)
        fputs("cmd: No service specified; use -l to list all running services. Use -w to start and wait for a service.\n", stderr);
    else
        fprintf(stderr, "cmd: Can't find service: %s\n", service);
    return 20;
}
