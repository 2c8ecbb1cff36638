/* From an intent's extras to parameters. Work is given in fixed counts, so that time differs and work does not. */
#include "app.h"

#include <errno.h>
#include <stdlib.h>

static const struct parameters idle_work = {.ui_spin = 600000, .ui_maps = 1, .ui_map_bytes = 64 * KIB, .render_spin = 600000};

/* Frames of some 6 ms under TCG; a thread that allocates as fast as it can, as Stress does; binder and JIT threads beside them. */
static const struct parameters steady = {
    .ui_spin = 600000, .ui_maps = 1, .ui_map_bytes = 64 * KIB, .ui_alloc_bytes = 512 * KIB, .render_spin = 600000,
    .binder_spin = 200000, .binder_every = 1, .alloc_spin = 1480, .gc_trigger_bytes = 336 * MIB, .gc_copy_bytes = 512 * KIB,
    .planted_per_cycle = 5};

/* The bench for priority inversion on one CPU in virtual time. At each vsync two binder threads of middle priority want the CPU for
 * 2.4 ms each, and the allocating thread always. A frame needs 3 ms of CPU and 7.5 ms of the GPU, so it is late if it waits for the
 * collector while others run before that, and else in time. */
static const struct parameters inversion = {
    .ui_spin = 300000, .ui_maps = 6, .ui_map_bytes = 64 * KIB, .render_spin = 20000, .gpu_us = 7500, .binder_spin = 600000,
    .binder_every = 1, .alloc_spin = 1480, .gc_trigger_bytes = 336 * MIB, .gc_copy_bytes = 512 * KIB, .bench = true, .planted_per_cycle = 1};

/* The same bench with a UI thread that writes to the VMA which the collector frees from. With per-VMA madvise it waits, holding
 * mmap_lock, until the collector has left that VMA; without, for mmap_lock itself. */
static const struct parameters vma = {
    .ui_spin = 300000, .ui_protects = 2, .render_spin = 20000, .gpu_us = 7500, .binder_spin = 600000,
    .binder_every = 1, .gc_trigger_bytes = 24 * MIB, .gc_calls = 2, .gc_copy_bytes = 16 * MIB, .gc_continuous = 1,
    .bench = true, .planted_per_cycle = 1};

/* An app that makes garbage faster than any should while its list scrolls: a collection about every fifth of a second. */
static const struct parameters churn = {
    .ui_spin = 400000, .ui_maps = 2, .ui_map_bytes = 64 * KIB, .ui_alloc_bytes = 2 * MIB, .render_spin = 400000, .binder_spin = 200000,
    .binder_every = 1, .gc_trigger_bytes = 24 * MIB, .gc_copy_bytes = 512 * KIB, .planted_per_cycle = 5};

/* Bitmaps and arrays: the collector frees each large object by a call of its own. */
static const struct parameters large = {
    .ui_spin = 600000, .ui_maps = 1, .ui_map_bytes = 64 * KIB, .ui_alloc_bytes = 64 * KIB, .ui_large_bytes = 1 * MIB,
    .render_spin = 600000, .binder_spin = 200000, .binder_every = 1, .gc_trigger_bytes = 24 * MIB,
    .gc_copy_bytes = 512 * KIB, .planted_per_cycle = 5};

/* Native memory, of which every frame takes and gives back some. It stays resident until the allocator is told to purge it. */
static const struct parameters native = {
    .ui_spin = 600000, .ui_maps = 1, .ui_map_bytes = 64 * KIB, .ui_alloc_bytes = 128 * KIB, .native_bytes = 1 * MIB,
    .render_spin = 600000, .binder_spin = 200000, .binder_every = 1, .gc_trigger_bytes = 24 * MIB,
    .gc_copy_bytes = 512 * KIB, .planted_per_cycle = 5};

/* Fingers draw the frames, one for each move: light ones, and a collection for every sixteen of them. */
static const struct parameters ui = {
    .ui_spin = 300000, .ui_maps = 1, .ui_map_bytes = 64 * KIB, .ui_alloc_bytes = 512 * KIB, .render_spin = 200000,
    .binder_spin = 100000, .binder_every = 8, .gc_trigger_bytes = 8 * MIB, .gc_calls = 60, .gc_copy_bytes = 1 * MIB, .planted_per_cycle = 5};

const char *const scenario_names[] = {"", "app_launch", "gc_stress", "ui_scroll"};

static const struct {
    const char *name;
    const struct parameters *parameters;
} profiles[] = {{"steady", &steady}, {"inversion", &inversion}, {"vma", &vma}, {"churn", &churn}, {"large", &large}, {"native", &native}, {"ui", &ui}};

static uint64_t vary(uint64_t value, uint64_t percent, uint64_t *rng) {
    return value * (100 - percent + random_next(rng) % (2 * percent + 1)) / 100;
}

static bool set_planted(struct parameters *p, const char *list, char *error, size_t error_bytes) {
    char copy[256], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", list);
    while ((name = strsep(&rest, ","))) {
        bool known = *name == 0 || strcmp(name, "none") == 0;
        for (int i = 0; i < PLANTS; i++)
            if (strcmp(name, planted_names[i]) == 0) known = p->planted[i] = true;
        if (strcmp(name, "process_madvise") == 0) known = p->planted[PLANT_REMOTE] = p->planted[PLANT_SELF] = true;
        if (!known) {
            snprintf(error, error_bytes, "unknown planted fallback '%s'", name);
            return false;
        }
    }
    return true;
}

/* Every amount that an extra may set, and how far: nothing may run for ever or take the guest's memory. */
struct setting {
    const char *key;
    size_t offset;
    uint64_t min, max;
};
#define SETTING(name, min, max) {#name, offsetof(struct parameters, name), min, max}
static const struct setting settings[] = {
    SETTING(duration_ms, 1, 86400000),          SETTING(ui_spin, 0, 1000000000),
    SETTING(ui_maps, 0, 1000),                  SETTING(ui_map_bytes, PAGE, 16 * MIB),
    SETTING(ui_alloc_bytes, 0, 64 * MIB),       SETTING(ui_protects, 0, 1000),
    SETTING(render_spin, 0, 1000000000),
    SETTING(binder_spin, 0, 1000000000),        SETTING(binder_phase_us, 0, 16000),
    SETTING(binder_every, 1, 3600),             SETTING(gpu_us, 0, 16000),
    SETTING(alloc_spin, 0, 1000000000),
    SETTING(gc_trigger_bytes, PAGE, 384 * MIB), SETTING(gc_calls, 1, 100000),
    SETTING(gc_copy_bytes, 4 * PAGE, 64 * MIB), SETTING(gc_continuous, 0, 1),
    SETTING(planted_per_cycle, 0, 10000),       SETTING(ui_large_bytes, 0, 64 * MIB),
    SETTING(native_bytes, 0, 32 * MIB),         SETTING(gc_uffd, 0, 1),
    SETTING(background, 0, 1),                  SETTING(processes, 0, MOST_SERVICES)};

/* Value of `key` in "k=v\tk=v...", or NULL. `out` holds it. */
static const char *extra(const char *extras, const char *key, char *out, size_t bytes) {
    size_t n = strlen(key);
    for (const char *at = extras; at && *at; at = strchr(at, '\t') ? strchr(at, '\t') + 1 : NULL) {
        if (strncmp(at, key, n) || at[n] != '=') continue;
        snprintf(out, bytes, "%.*s", (int)strcspn(at + n + 1, "\t"), at + n + 1);
        return out;
    }
    return NULL;
}

static bool read_number(const char *extras, const struct setting *setting, uint64_t *out, char *error, size_t error_bytes) {
    char value[64], *end;
    if (!extra(extras, setting->key, value, sizeof value)) return true;
    errno = 0;
    *out = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno) {
        snprintf(error, error_bytes, "extra %s is not a number: '%s'", setting->key, value);
        return false;
    }
    if (*out >= setting->min && *out <= setting->max) return true;
    snprintf(error, error_bytes, "extra %s is out of range: %s is not in %llu to %llu", setting->key, value,
             (unsigned long long)setting->min, (unsigned long long)setting->max);
    return false;
}

bool parse_parameters(const char *activity, const char *extras, struct parameters *out, char *error, size_t error_bytes) {
    char value[256];
    static const struct setting seed = {"seed", 0, 0, UINT64_MAX}, slowdown = {"ui_slowdown_pct", 0, 0, 1000},
                                hold = {"gc_hold_pct", 0, 0, 400};
    uint64_t n, slowdown_pct = 0, hold_pct = 0;
    bool driven = strcmp(activity, UI_ACTIVITY) == 0, stress = driven || strcmp(activity, STRESS_ACTIVITY) == 0;
    *out = idle_work;
    if (stress) {
        const char *profile = extra(extras, "profile", value, sizeof value);
        const struct parameters *chosen = profile ? NULL : driven ? &ui : &steady;
        for (size_t i = 0; profile && i < sizeof profiles / sizeof *profiles; i++)
            if (strcmp(profile, profiles[i].name) == 0) chosen = profiles[i].parameters;
        if (!chosen) {
            snprintf(error, error_bytes, "unknown profile '%s'", profile);
            return false;
        }
        *out = *chosen;
    }
    out->scenario = driven ? SCENARIO_UI : stress ? SCENARIO_GC_STRESS : SCENARIO_LAUNCH;
    out->duration_ms = driven ? 600000 : stress ? 10000 : 1000; /* of a driven one: at most */
    if (extra(extras, "token", value, sizeof value)) snprintf(out->token, sizeof out->token, "%.63s", value);
    if (extra(extras, "planted", value, sizeof value) && !set_planted(out, value, error, error_bytes)) return false;
    if (!read_number(extras, &seed, &out->seed, error, error_bytes)) return false;
    uint64_t rng = out->seed;
    if (out->bench) { /* different seeds are different, equally likely apps; the same seed is the same app on every kernel */
        out->ui_spin = vary(out->ui_spin, 10, &rng);
        out->binder_spin = vary(out->binder_spin, 10, &rng);
        out->gc_copy_bytes = vary(out->gc_copy_bytes, 10, &rng) & ~(PAGE - 1);
        out->binder_phase_us = random_next(&rng) % 300;
    }
    if (!stress && out->seed) { /* a launch's frames, too, differ from seed to seed; without one they do not */
        out->ui_spin = vary(out->ui_spin, 25, &rng);
        out->render_spin = vary(out->render_spin, 25, &rng);
        out->ui_map_bytes = vary(out->ui_map_bytes, 50, &rng) & ~(PAGE - 1);
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) { /* without the extra the profile's value stays */
        char *field = (char *)out + settings[i].offset;
        memcpy(&n, field, sizeof n);
        if (!read_number(extras, &settings[i], &n, error, error_bytes)) return false;
        memcpy(field, &n, sizeof n);
    }
    if (!read_number(extras, &slowdown, &slowdown_pct, error, error_bytes)) return false;
    if (!read_number(extras, &hold, &hold_pct, error, error_bytes)) return false;
    out->ui_spin += out->ui_spin * slowdown_pct / 100;
    /* Longer holds: more resident pages in what is freed. */
    uint64_t resident = out->gc_copy_bytes + (out->gc_continuous ? 0 : out->gc_trigger_bytes / 16);
    out->gc_copy_bytes = (out->gc_copy_bytes + (hold_pct ? resident * hold_pct / 100 : 0)) & ~(PAGE - 1);
    return true;
}
