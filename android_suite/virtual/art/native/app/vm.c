/* Starts ART through its invocation interface, as Android's app_process does, with our class library. */
#define _GNU_SOURCE
#include "vm.h"
#include "art.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef VM_OF_ANDROID /* virtual/android builds this for the ART of a device, and says where that has its parts */
#define JARS ART_HOME "/core.jar:" ART_HOME "/workload.jar"
/* Without a compiler: Debian's build of it aborts at the first method. Methods run in ART's fast interpreter. */
#define OWN_OPTIONS "-Xbootclasspath:" JARS, "-Xbootclasspath-locations:" JARS, "-Xusejit:false"
#define HOMES {"ANDROID_ROOT", ART_HOME}, {"ANDROID_ART_ROOT", ART_HOME}, {"ANDROID_I18N_ROOT", ART_HOME}, {"ANDROID_TZDATA_ROOT", ART_HOME}
#endif
#define MOST_OPTIONS 64

#define DEFAULT_HEAP_BYTES (256LL << 20) /* ART's own, of the -Xmx that it is not given */

static JNIEnv *env;
__attribute__((visibility("default"))) int64_t vm_heap_bytes = DEFAULT_HEAP_BYTES; /* for Runtime.maxMemory */

/* A growth limit is what an app gets; it stands after -Xmx. */
static void read_heap_option(const char *option) {
    static const char *const names[] = {"-Xmx", "-XX:HeapGrowthLimit="};
    char *unit;
    size_t skip = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(option, names[i], strlen(names[i])) == 0) skip = strlen(names[i]);
    if (!skip) return;
    long long size = strtoll(option + skip, &unit, 10);
    int shift = *unit == 'g' || *unit == 'G' ? 30 : *unit == 'm' || *unit == 'M' ? 20 : *unit == 'k' || *unit == 'K' ? 10 : 0;
    vm_heap_bytes = size << shift;
}

static void set_environment(void) {
    static const char *const homes[][2] = {HOMES};
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) setenv(homes[i][0], homes[i][1], 1);
    setenv("ANDROID_DATA", "/data", 1);
    mkdir("/data/dalvik-cache", 0711);
}

bool vm_create(const char *const *options, int count) {
    static const char *const own[] = {OWN_OPTIONS};
    enum { OWN = sizeof own / sizeof *own };
    JavaVMOption list[MOST_OPTIONS];
    JavaVM *vm;
    const char *more[COLLECTOR_OPTIONS];
    int added = collector_options(options, count, more);
    if (count > MOST_OPTIONS - OWN - added) {
        fprintf(stderr, "more than %d options for the runtime\n", MOST_OPTIONS - OWN);
        return false;
    }
    for (int i = 0; i < OWN + count; i++)
        list[i] = (JavaVMOption){.optionString = (char *)(i < OWN ? own[i] : options[i - OWN])};
    for (int i = 0; i < added; i++) list[OWN + count + i] = (JavaVMOption){.optionString = (char *)more[i]};
    for (int i = 0; i < count; i++) read_heap_option(options[i]);
    JavaVMInitArgs arguments = {.version = JNI_VERSION_1_6, .nOptions = OWN + count + added, .options = list, .ignoreUnrecognized = JNI_FALSE};
    set_environment();
    if (JNI_CreateJavaVM(&vm, (void **)&env, &arguments) == JNI_OK) return true;
    fprintf(stderr, "the runtime did not start; its own lines above say why\n");
    return false;
}

JNIEnv *vm_env(void) { return env; }

bool vm_failed(void) {
    if (!(*env)->ExceptionCheck(env)) return false;
    (*env)->ExceptionDescribe(env);
    (*env)->ExceptionClear(env);
    return true;
}

jclass vm_class(const char *name) {
    jclass found = (*env)->FindClass(env, name);
    if (vm_failed() || !found) _exit(1);
    jclass kept = (*env)->NewGlobalRef(env, found);
    (*env)->DeleteLocalRef(env, found);
    return kept;
}

jmethodID vm_static(jclass type, const char *name, const char *signature) {
    jmethodID found = (*env)->GetStaticMethodID(env, type, name, signature);
    if (vm_failed() || !found) _exit(1);
    return found;
}
