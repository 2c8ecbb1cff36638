/* Dispatch by the name the program is run under; `toolbox install` makes the links, at boot. image.py reads the table
   of names, too: busybox's shell runs its own applet of a name before it looks at PATH, so it may know none of these. */
#include "../include/ui.h"
#include "toolbox.h"

static const struct {
    const char *name;
    command *run;
} commands[] = {
    {"am", am_main},           {"cmd", cmd_main},     {"dumpsys", dumpsys_main}, {"getconf", getconf_main}, {"getprop", getprop_main},
    {"ime", ime_main},         {"input", input_main}, {"log", log_main},         {"logcat", logcat_main},   {"monkey", monkey_main},
    {"pidof", pidof_main},     {"pm", pm_main},       {"ps", ps_main},           {"reboot", reboot_main},   {"screencap", screencap_main},
    {"setprop", setprop_main}, {"settings", settings_main}, {"svc", svc_main},   {"toybox", toybox_main},   {UIAUTOMATOR_PROGRAM, uiautomator_main},
    {"wm", wm_main},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int link_commands(void) {
    char path[64];
    for (size_t i = 0; i < COMMANDS; i++) {
        snprintf(path, sizeof path, "/system/bin/%s", commands[i].name);
        unlink(path); /* busybox may have linked its own */
        if (symlink("toolbox", path)) perror(path);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    if (strcmp(name, "toolbox") == 0 && argc > 1) {
        if (strcmp(argv[1], "install") == 0) return link_commands() || install_main(argc - 1, argv + 1);
        name = argv[1];
        argc--;
        argv++;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc, argv);
    fprintf(stderr, "toolbox: unknown command '%s'\n", name);
    return 127;
}
