/* java.lang: System, Runtime, Math and the bits of floating-point numbers. */
#include "core.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IGNORED __attribute__((unused))

static jlong clock_time_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (jlong)t.tv_sec * 1000000000 + t.tv_nsec;
}

NATIVE(jlong, java_lang_System_nanoTime)(JNIEnv *env IGNORED, jclass type IGNORED) { return clock_time_ns(CLOCK_MONOTONIC); }

NATIVE(jlong, java_lang_System_currentTimeMillis)(JNIEnv *env IGNORED, jclass type IGNORED) {
    return clock_time_ns(CLOCK_REALTIME) / 1000000;
}

NATIVE(jstring, java_lang_System_mapLibraryName)(JNIEnv *env, jclass type IGNORED, jstring name) {
    char file[256];
    const char *chars = borrow(env, name);
    snprintf(file, sizeof file, "lib%s.so", chars);
    give_back(env, name, chars);
    return new_string(env, file);
}

NATIVE(jobjectArray, java_lang_System_specialProperties)(JNIEnv *env, jclass type IGNORED) {
    char folder[4096], property[4200];
    jobjectArray properties = (*env)->NewObjectArray(env, 1, (*env)->FindClass(env, "java/lang/String"), NULL);
    snprintf(property, sizeof property, "user.dir=%s", getcwd(folder, sizeof folder) ? folder : "/");
    (*env)->SetObjectArrayElement(env, properties, 0, new_string(env, property));
    return properties;
}

NATIVE(void, java_lang_System_log)(JNIEnv *env, jclass type IGNORED, jchar priority, jstring message, jthrowable cause IGNORED) {
    const char *chars = borrow(env, message);
    fprintf(stderr, "%c System: %s\n", priority, chars);
    give_back(env, message, chars);
}

static void set_static(JNIEnv *env, jclass type, const char *name, const char *signature, jobject value) {
    (*env)->SetStaticObjectField(env, type, (*env)->GetStaticFieldID(env, type, name, signature), value);
}

NATIVE(void, java_lang_System_setIn0)(JNIEnv *env, jclass type, jobject stream) {
    set_static(env, type, "in", "Ljava/io/InputStream;", stream);
}

NATIVE(void, java_lang_System_setOut0)(JNIEnv *env, jclass type, jobject stream) {
    set_static(env, type, "out", "Ljava/io/PrintStream;", stream);
}

NATIVE(void, java_lang_System_setErr0)(JNIEnv *env, jclass type, jobject stream) {
    set_static(env, type, "err", "Ljava/io/PrintStream;", stream);
}

NATIVE(jint, java_lang_Float_floatToRawIntBits)(JNIEnv *env IGNORED, jclass type IGNORED, jfloat value) {
    jint bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

NATIVE(jfloat, java_lang_Float_intBitsToFloat)(JNIEnv *env IGNORED, jclass type IGNORED, jint bits) {
    jfloat value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

NATIVE(jlong, java_lang_Double_doubleToRawLongBits)(JNIEnv *env IGNORED, jclass type IGNORED, jdouble value) {
    jlong bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

NATIVE(jdouble, java_lang_Double_longBitsToDouble)(JNIEnv *env IGNORED, jclass type IGNORED, jlong bits) {
    jdouble value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define OF_ONE(name)                                                                                                          \
    NATIVE(jdouble, java_lang_Math_##name)(JNIEnv *env IGNORED, jclass type IGNORED, jdouble x) { return name(x); }           \
    NATIVE(jdouble, java_lang_StrictMath_##name)(JNIEnv *env IGNORED, jclass type IGNORED, jdouble x) { return name(x); }
OF_ONE(ceil)
OF_ONE(floor)
OF_ONE(rint)
OF_ONE(sqrt)
OF_ONE(sin)
OF_ONE(cos)
OF_ONE(tan)
OF_ONE(exp)
OF_ONE(log)
OF_ONE(log10)

NATIVE(jdouble, java_lang_Math_pow)(JNIEnv *env IGNORED, jclass type IGNORED, jdouble x, jdouble y) { return pow(x, y); }

/* One of ART's counters by its name; 0 if it has none of that name. */
static jlong runtime_stat(JNIEnv *env, const char *name) {
    jclass debug = (*env)->FindClass(env, "dalvik/system/VMDebug");
    jmethodID read = (*env)->GetStaticMethodID(env, debug, "getRuntimeStat", "(Ljava/lang/String;)Ljava/lang/String;");
    jstring value = (*env)->CallStaticObjectMethod(env, debug, read, new_string(env, name));
    if ((*env)->ExceptionCheck(env) || !value) return 0;
    const char *chars = borrow(env, value);
    jlong number = strtoll(chars, NULL, 10);
    give_back(env, value, chars);
    return number;
}

/* The launcher has it, from -Xmx; 0 in another program. ART keeps the size that it has grown to for itself, so the total is the most
 * that there may be, and what is used, the difference to what is free, is exact. */
extern __attribute__((weak)) int64_t vm_heap_bytes;

static jlong heap_bytes(void) { return &vm_heap_bytes ? vm_heap_bytes : 0; }

NATIVE(jlong, java_lang_Runtime_maxMemory)(JNIEnv *env IGNORED, jobject runtime IGNORED) { return heap_bytes(); }
NATIVE(jlong, java_lang_Runtime_totalMemory)(JNIEnv *env IGNORED, jobject runtime IGNORED) { return heap_bytes(); }

NATIVE(jlong, java_lang_Runtime_freeMemory)(JNIEnv *env, jobject runtime IGNORED) {
    return heap_bytes() - (runtime_stat(env, "art.gc.bytes-allocated") - runtime_stat(env, "art.gc.bytes-freed"));
}

/* What ART does on SIGUSR1: a collection of the cause Explicit, on the calling thread, which is what Runtime.gc() is on Android. It
 * uses nothing of its object. */
extern void _ZN3art13SignalCatcher13HandleSigUsr1Ev(void *catcher);

NATIVE(void, java_lang_Runtime_nativeGc)(JNIEnv *env IGNORED, jobject runtime IGNORED) { _ZN3art13SignalCatcher13HandleSigUsr1Ev(NULL); }

/* At once: ART's own end waits for daemon threads and renames the main thread. */
NATIVE(void, java_lang_Runtime_nativeExit)(JNIEnv *env IGNORED, jclass type IGNORED, jint status) {
    fflush(NULL);
    _exit(status);
}

NATIVE(jstring, java_lang_Runtime_nativeLoad)(JNIEnv *env, jclass type IGNORED, jstring file IGNORED, jobject loader IGNORED,
                                              jclass caller IGNORED) {
    return new_string(env, "this runtime loads no native libraries");
}
