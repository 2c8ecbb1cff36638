/* Intents as the model takes them, less what only the model has, and the extras of the stress class. */
#define parse_parameters parse_model_parameters
#include "scenario.c"
#undef parse_parameters

#include "art.h"

char stress_arguments[256];

static bool refuse_models_own(const struct parameters *p, char *error, size_t error_bytes) {
    const char *what = p->ui_protects ? "ui_protects and profile vma change the model's own heap" : NULL;
    for (int i = 0; i < PLANTS; i++)
        if (p->planted[i]) what = "planted calls are made by the model's collector";
    if (what) snprintf(error, error_bytes, "%s; record without --runtime art", what);
    return what != NULL;
}

bool parse_parameters(const char *activity, const char *extras, struct parameters *out, char *error, size_t error_bytes) {
    static const char *const keys[] = {"threads", "rate", "sizes"};
    char value[64];
    if (!parse_model_parameters(activity, extras, out, error, error_bytes) || refuse_models_own(out, error, error_bytes)) return false;
    int n = snprintf(stress_arguments, sizeof stress_arguments, "seed=%lld duration_ms=%lld", (long long)out->seed,
                     (long long)out->duration_ms);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (extra(extras, keys[i], value, sizeof value))
            n += snprintf(stress_arguments + n, sizeof stress_arguments - (size_t)n, " %s=%s", keys[i], value);
    return !stress_refused(stress_arguments, error, error_bytes);
}
