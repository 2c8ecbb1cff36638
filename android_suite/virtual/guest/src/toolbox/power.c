/* What readiness asks for: heat, power, doze, users. The device has no sensor and no battery, its screen is always on, it never dozes. */
#include "toolbox.h"

#define SETTINGS(space) SYSTEM "/settings_" space
#define STATUS_OVERRIDE "thermal_status_override" /* of `cmd thermalservice override-status` */

static const char *setting(const char *space, const char *key, const char *otherwise, char *value, size_t bytes) {
    return store_get(space, key, value, bytes) ? value : otherwise;
}

/* ThermalManagerService.dump() of a device without a thermal HAL: a status, which is "none", and no temperatures. */
static void dump_thermal(void) {
    char value[16];
    bool overridden = store_get(SYSTEM, STATUS_OVERRIDE, value, sizeof value);
    printf("IsStatusOverride: %s\nThermalEventListeners:\n\tcallbacks: 0\n\tkilled: false\n\tbroadcasts count: -1\n"
           "ThermalStatusListeners:\n\tcallbacks: 0\n\tkilled: false\n\tbroadcasts count: -1\nThermal Status: %s\n"
           "Cached temperatures:\nHAL Ready: false\n",
           overridden ? "true" : "false", overridden ? value : "0");
}

static void dump_power(void) {
    char stay_on[64], timeout[64];
    setting(SETTINGS("global"), "stay_on_while_plugged_in", strcpy(stay_on, "0"), stay_on, sizeof stay_on);
    setting(SETTINGS("system"), "screen_off_timeout", strcpy(timeout, "0"), timeout, sizeof timeout);
    printf("POWER MANAGER (dumpsys power)\n\nPower Manager State:\n  mDirty=0x0\n  mWakefulness=Awake\n  mWakefulnessChanging=false\n"
           "  mIsPowered=true\n  mPlugType=1\n  mBatteryLevel=100\n  mDockState=0\n  mStayOn=%s\n  mProximityPositive=false\n"
           "  mBootCompleted=true\n  mSystemReady=true\n  mHoldingWakeLockSuspendBlocker=false\n  mHoldingDisplaySuspendBlocker=true\n\n"
           "Settings and Configuration:\n  mStayOnWhilePluggedInSetting=%s\n  mScreenOffTimeoutSetting=%s\n",
           atoi(stay_on) ? "true" : "false", stay_on, timeout);
}

static void dump_battery(void) {
    puts("Current Battery Service state:\n  AC powered: true\n  USB powered: false\n  Wireless powered: false\n  Dock powered: false\n"
         "  status: 1\n  health: 1\n  present: false\n  level: 100\n  scale: 100\n  voltage: 0\n  temperature: 0\n  technology: ");
}

/* `dumpsys deviceidle [enable | disable | enabled]`. */
static int device_idle(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (!*verb) return puts("  Settings:\n  mLightEnabled=false  mDeepEnabled=false\n  mState=ACTIVE\n  mLightState=ACTIVE"), 0;
    if (strcmp(verb, "enabled") == 0) return puts("0"), 0;
    if (strcmp(verb, "disable") == 0) return puts("Deep idle mode disabled\nLight idle mode disabled"), 0;
    if (strcmp(verb, "enable") == 0) return fputs("Unable to go deep idle; not enabled\n", stderr), 0;
    return fprintf(stderr, "Unknown command: %s\n", verb), 255;
}

bool dump_power_services(int argc, char **argv) {
    if (strcmp(argv[0], "thermalservice") == 0)
        dump_thermal();
    else if (strcmp(argv[0], "power") == 0)
        dump_power();
    else if (strcmp(argv[0], "battery") == 0)
        dump_battery();
    else if (strcmp(argv[0], "deviceidle") == 0)
        device_idle(argc, argv);
    else
        return false;
    return true;
}

/* `cmd thermalservice override-status N | reset`, as ThermalManagerService's shell has it: the only heat there is. */
static int thermal_shell(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "reset") == 0) {
        store_remove(SYSTEM, STATUS_OVERRIDE);
        return 0;
    }
    if (strcmp(verb, "override-status") != 0)
        return puts("Thermal service (thermalservice) commands:\n  override-status STATUS\n  reset"), *verb ? 255 : 0;
    if (argc != 3 || strspn(argv[2], "0123456") != 1 || argv[2][1]) return fputs("Error: Invalid thermal status\n", stderr), 255;
    return !store_put(SYSTEM, STATUS_OVERRIDE, argv[2]);
}

int power_command(int argc, char **argv) {
    if (strcmp(argv[0], "thermalservice") == 0) return thermal_shell(argc, argv);
    if (strcmp(argv[0], "deviceidle") == 0) return device_idle(argc, argv);
    if (strcmp(argv[0], "window") == 0) return wm_main(argc, argv);
    return -1;
}

/* Takes `--user N` out of the words; false: there is no such user. */
bool take_user(int *argc, char **argv) {
    for (int i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], "--user") != 0) continue;
        bool here = strcmp(argv[i + 1], "0") == 0 || strcmp(argv[i + 1], "current") == 0 || strcmp(argv[i + 1], "cur") == 0;
        memmove(argv + i, argv + i + 2, (size_t)(*argc - i - 1) * sizeof *argv); /* with the closing NULL */
        *argc -= 2;
        return here || fprintf(stderr, "Error: there is only user 0 here\n") < 0;
    }
    return true;
}
