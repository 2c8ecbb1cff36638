/* getprop, setprop, and what `toolbox install` writes at boot: the properties of the build and the app's files. */
#include "toolbox.h"

#include <sys/utsname.h>

static void print_property(const char *key, const char *value) { printf("[%s]: [%s]\n", key, value); }

int getprop_main(int argc, char **argv) {
    char value[4096];
    if (argc < 2) return store_each(PROPERTIES, print_property) < 0;
    puts(store_get(PROPERTIES, argv[1], value, sizeof value) ? value : argc > 2 ? argv[2] : "");
    return 0;
}

int setprop_main(int argc, char **argv) {
    char value[4096];
    if (argc != 3) return fputs("usage: setprop NAME VALUE\n", stderr), 1;
    bool fixed = strncmp(argv[1], "ro.", 3) == 0 && store_get(PROPERTIES, argv[1], value, sizeof value);
    if (!fixed && strlen(argv[2]) < 92 && store_put(PROPERTIES, argv[1], argv[2])) return 0;
    fprintf(stderr, "Failed to set property '%s' to '%s'.\nSee dmesg for error reason.\n", argv[1], argv[2]);
    return 1;
}

static void read_build_properties(void) {
    char line[512];
    FILE *f = fopen("/system/build.prop", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *equals = strchr(line, '=');
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || !equals) continue;
        *equals = 0;
        store_put(PROPERTIES, line, equals + 1);
    }
    if (f) fclose(f);
}

/* As Android's init does: androidboot.X=Y on the kernel's command line is ro.boot.X, and the serial number is ro.serialno too. */
static void read_kernel_command_line(void) {
    char text[4096] = "", key[128];
    FILE *f = fopen("/proc/cmdline", "r");
    if (f && !fgets(text, sizeof text, f)) text[0] = 0;
    if (f) fclose(f);
    text[strcspn(text, "\n")] = 0;
    for (char *rest = text, *word; (word = strsep(&rest, " "));) {
        char *equals = strchr(word, '=');
        if (strncmp(word, "androidboot.", 12) || !equals) continue;
        *equals = 0;
        snprintf(key, sizeof key, "ro.boot.%.100s", word + 12);
        store_put(PROPERTIES, key, equals + 1);
        if (strcmp(word + 12, "serialno") == 0) store_put(PROPERTIES, "ro.serialno", equals + 1);
    }
}

/* A file with content that no kernel can share or skip: the app's code, to be mapped and faulted in at launch. */
static void write_app_file(const char *path, size_t bytes) {
    uint64_t block[512], state = bytes;
    FILE *f = fopen(path, "w");
    for (size_t done = 0; f && done < bytes; done += sizeof block) {
        for (int i = 0; i < 512; i++) block[i] = state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        fwrite(block, sizeof block, 1, f);
    }
    if (f) fclose(f);
}

int install_main(int argc, char **argv) {
    static const char *const directories[] = {PROPERTIES,         "/dev/socket", "/data/misc",      "/data/misc/logd", "/data/local",
                                              "/data/local/tmp",  "/data/app",   APP_DIR,           APP_DIR "/oat",    APP_DIR "/lib",
                                              "/data/system"};
    struct utsname machine;
    (void)argc, (void)argv;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) mkdir(directories[i], 0755);
    uname(&machine);
    read_build_properties();
    store_put(PROPERTIES, "ro.product.cpu.abi", strcmp(machine.machine, "aarch64") ? machine.machine : "arm64-v8a");
    read_kernel_command_line();
    write_app_file(ODEX_PATH, 3 << 20);
    write_app_file(LIBRARY_PATH, 1 << 20);
    write_app_file(APK_PATH, 1 << 20);
    return 0;
}
