/* "Jit thread pool": compiles now and then and flips the code cache's protection around it, as ART does. */
#include "app.h"

#include <sys/mman.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool active, busy;

static void compile_method(uint64_t turn) {
    char *code = jit_cache.start + turn % 64 * 64 * KIB;
    mem_protect(ROLE_JIT, jit_cache.start, jit_cache.bytes, PROT_READ | PROT_WRITE);
    mem_touch(code, 16 * KIB, 4);
    spin(100000);
    mem_protect(ROLE_JIT, jit_cache.start, jit_cache.bytes, PROT_READ);
}

static void *pool(void *unused) {
    struct timespec interval = {0, 250000000};
    become("Jit thread pool", 9); /* kJitPoolThreadPthreadDefaultPriority */
    pthread_mutex_lock(&lock);
    for (uint64_t turn = 0;; turn++) {
        busy = false;
        pthread_cond_broadcast(&changed);
        while (!active) pthread_cond_wait(&changed, &lock);
        busy = true;
        pthread_mutex_unlock(&lock);
        compile_method(turn);
        nanosleep(&interval, NULL);
        pthread_mutex_lock(&lock);
    }
    return unused;
}

void jit_start_thread(void) { start_thread(pool, NULL); }

void jit_set_active(bool on) {
    pthread_mutex_lock(&lock);
    active = on;
    pthread_cond_broadcast(&changed);
    while (!active && busy) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
