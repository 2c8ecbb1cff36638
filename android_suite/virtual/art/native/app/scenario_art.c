/* Intents as the model takes them, less what only the model has, and the extras of the stress class. */
#define parse_parameters parse_model_parameters
#include "scenario.c"
#undef parse_parameters

#include "art.h"

char stress_arguments[256];

/* Amounts of the model's collector: ART decides by itself. */
static const char *const models_own[] = {"gc_trigger_bytes", "gc_calls", "gc_copy_bytes", "gc_continuous", "gc_hold_pct",
                                         "planted_per_cycle", "gc_uffd", "alloc_spin"};

static bool refuse_models_own(const struct parameters *p, const char *extras, char *error, size_t error_bytes) {
    char value[64];
    for (size_t i = 0; i < sizeof models_own / sizeof *models_own; i++)
        if (extra(extras, models_own[i], value, sizeof value)) {
            snprintf(error, error_bytes, "%s is an amount of the model's collector; choose threads, rate and sizes", models_own[i]);
            return true;
        }
    for (int i = 0; i < PLANTS; i++)
        if (p->planted[i]) {
            snprintf(error, error_bytes, "planted calls are made by the model's collector; record without --runtime art");
            return true;
        }
    return false;
}

bool parse_parameters(const char *activity, const char *extras, struct parameters *out, char *error, size_t error_bytes) {
    static const char *const keys[] = {"threads", "rate", "sizes"};
    char value[64];
    if (!parse_model_parameters(activity, extras, out, error, error_bytes)) return false;
    if (refuse_models_own(out, extras, error, error_bytes)) return false;
    int n = snprintf(stress_arguments, sizeof stress_arguments, "seed=%lld duration_ms=%lld", (long long)out->seed,
                     (long long)out->duration_ms);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (extra(extras, keys[i], value, sizeof value))
            n += snprintf(stress_arguments + n, sizeof stress_arguments - (size_t)n, " %s=%s", keys[i], value);
    return !stress_refused(stress_arguments, error, error_bytes);
}
