/* ART's sections and counters, into the trace. patches.toml sends libart's three functions for them to these names, which belong to
 * a library that packs the debug information of compiled code: nothing is compiled here, so nobody else calls them. */
#include "app.h"

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int XzProps_Init(const char *section) {
    atrace_begin("%s", section);
    return 0;
}

EXPORTED int Lzma2EncProps_Init(void) {
    atrace_end();
    return 0;
}

EXPORTED int Lzma2EncProps_Normalize(const char *counter, int32_t value) {
    atrace_counter(counter, value);
    return 0;
}
