/* Small values in files: properties and settings. */
#include "toolbox.h"

#include <dirent.h>

static bool path_of(const char *directory, const char *key, char *path, size_t bytes) {
    if (!*key || *key == '.' || strchr(key, '/')) return false;
    return snprintf(path, bytes, "%s/%s", directory, key) < (int)bytes;
}

bool store_get(const char *directory, const char *key, char *value, size_t bytes) {
    char path[512];
    FILE *f = path_of(directory, key, path, sizeof path) ? fopen(path, "r") : NULL;
    if (!f) return false;
    value[fread(value, 1, bytes - 1, f)] = 0;
    fclose(f);
    return true;
}

bool store_put(const char *directory, const char *key, const char *value) {
    char path[512], partial[528];
    if (!path_of(directory, key, path, sizeof path)) return false;
    snprintf(partial, sizeof partial, "%s/.%d", directory, getpid()); /* hidden until whole, so that no reader sees half a value */
    FILE *f = fopen(partial, "w");
    if (!f) return false;
    fputs(value, f);
    return fclose(f) == 0 && rename(partial, path) == 0;
}

bool store_remove(const char *directory, const char *key) {
    char path[512];
    return path_of(directory, key, path, sizeof path) && unlink(path) == 0;
}

int store_each(const char *directory, void (*visit)(const char *key, const char *value)) {
    struct dirent **names;
    char value[4096];
    int n = scandir(directory, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && store_get(directory, names[i]->d_name, value, sizeof value)) visit(names[i]->d_name, value);
        free(names[i]);
    }
    if (n >= 0) free(names);
    return n;
}
