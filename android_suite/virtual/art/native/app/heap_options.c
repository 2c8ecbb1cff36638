/* Options of the heap as Android's app_process takes them from the device's properties. Where one is not set, the bench's own counts: a
 * heap as large as a phone's, with margins that let garbage gather, so that the collector frees long ranges at once. */
#include "app.h"
#include "art.h"

#define PROPERTIES "/dev/__properties__/"

static const struct {
    const char *property, *option, *otherwise;
} settings[HEAP_OPTIONS] = {
    {"dalvik.vm.heapstartsize", "-Xms", "192m"},
    {"dalvik.vm.heapsize", "-Xmx", "384m"},
    {"dalvik.vm.heapminfree", "-XX:HeapMinFree=", "96m"},
    {"dalvik.vm.heapmaxfree", "-XX:HeapMaxFree=", "192m"},
    {"dalvik.vm.heapgrowthlimit", "-XX:HeapGrowthLimit=", NULL},
    {"dalvik.vm.heaptargetutilization", "-XX:HeapTargetUtilization=", NULL},
};

/* The value of a property, or NULL. */
static const char *read_property(const char *name, char *value, size_t bytes) {
    char path[128];
    snprintf(path, sizeof path, PROPERTIES "%s", name);
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    value[fread(value, 1, bytes - 1, file)] = 0;
    fclose(file);
    return *value ? value : NULL;
}

int heap_options(const char *options[HEAP_OPTIONS]) {
    static char texts[HEAP_OPTIONS][64];
    char value[32];
    int count = 0;
    for (int i = 0; i < HEAP_OPTIONS; i++) {
        const char *given = read_property(settings[i].property, value, sizeof value);
        if (!given && !settings[i].otherwise) continue;
        snprintf(texts[count], sizeof texts[count], "%s%s", settings[i].option, given ? given : settings[i].otherwise);
        options[count] = texts[count];
        count++;
    }
    return count;
}
