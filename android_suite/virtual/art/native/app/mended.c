/* Functions that stand before those of the libraries, because Debian's build of ART meets a C library of another kind here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

/* In libstdc++ std::array<T, 0> has the size 1 and no data: a call without arguments passes one byte at null. Whole words count. */
EXPORTED void _ZN3art9ArtMethod6InvokeEPNS_6ThreadEPjjPNS_6JValueEPKc(void *method, void *self, uint32_t *arguments, uint32_t bytes,
                                                                      void *result, const char *shorty) {
    static void (*next)(void *, void *, uint32_t *, uint32_t, void *, const char *);
    if (!next) next = (void (*)(void *, void *, uint32_t *, uint32_t, void *, const char *))dlsym(RTLD_NEXT, __func__);
    next(method, self, arguments, bytes & ~3u, result, shorty);
}

/* glibc refuses stacks under 128 KiB on arm64; ART's workers give 64 KiB. Then the C library makes the stack. */
EXPORTED int pthread_attr_setstack(pthread_attr_t *attributes, void *address, size_t bytes) {
    static int (*next)(pthread_attr_t *, void *, size_t);
    if (!next) next = (int (*)(pthread_attr_t *, void *, size_t))dlsym(RTLD_NEXT, __func__);
    return next(attributes, address, bytes) ? pthread_attr_setstacksize(attributes, 256 * 1024) : 0;
}
