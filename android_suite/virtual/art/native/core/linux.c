/* libcore.io.Linux without files, and what else of the class library asks the kernel. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define IGNORED __attribute__((unused))
#define TEXT "Ljava/lang/String;"

NATIVE(void, android_system_OsConstants_initConstants)(JNIEnv *env, jclass type) {
#define VALUE(name) {#name, name}
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        VALUE(EINTR),    VALUE(EAGAIN),   VALUE(ENOENT),     VALUE(EBADF),     VALUE(EINVAL),       VALUE(EACCES),
        VALUE(EEXIST),   VALUE(EISDIR),   VALUE(ENOTDIR),    VALUE(O_RDONLY),  VALUE(O_WRONLY),     VALUE(O_RDWR),
        VALUE(O_CREAT),  VALUE(O_TRUNC),  VALUE(O_APPEND),   VALUE(O_CLOEXEC), VALUE(S_IFMT),       VALUE(S_IFDIR),
        VALUE(S_IFREG),  VALUE(S_IFCHR),  VALUE(S_IFIFO),    VALUE(SEEK_SET),  VALUE(SEEK_CUR),     VALUE(SEEK_END),
        VALUE(F_GETFL),  VALUE(R_OK),     VALUE(W_OK),       VALUE(X_OK),      VALUE(STDIN_FILENO), VALUE(STDOUT_FILENO),
        VALUE(F_OK),     VALUE(STDERR_FILENO),
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        jfieldID field = (*env)->GetStaticFieldID(env, type, constants[i].name, "I");
        if (field)
            (*env)->SetStaticIntField(env, type, field, constants[i].value);
        else
            (*env)->ExceptionClear(env);
    }
}

NATIVE(void, libcore_util_NativeAllocationRegistry_applyFreeFunction)(JNIEnv *env IGNORED, jclass type IGNORED, jlong function,
                                                                      jlong pointer) {
    ((void (*)(void *))(uintptr_t)function)((void *)(uintptr_t)pointer);
}

NATIVE(jstring, libcore_io_Linux_getenv)(JNIEnv *env, jobject self IGNORED, jstring name) {
    const char *chars = borrow(env, name);
    jstring value = new_string(env, getenv(chars));
    give_back(env, name, chars);
    return value;
}

NATIVE(jobjectArray, libcore_io_Linux_environ)(JNIEnv *env, jobject self IGNORED) {
    return (*env)->NewObjectArray(env, 0, (*env)->FindClass(env, "java/lang/String"), NULL);
}

NATIVE(jint, libcore_io_Linux_getuid)(JNIEnv *env IGNORED, jobject self IGNORED) { return (jint)getuid(); }
NATIVE(jint, libcore_io_Linux_getpid)(JNIEnv *env IGNORED, jobject self IGNORED) { return getpid(); }
NATIVE(jint, libcore_io_Linux_gettid)(JNIEnv *env IGNORED, jobject self IGNORED) { return gettid(); }
NATIVE(jlong, libcore_io_Linux_sysconf)(JNIEnv *env IGNORED, jobject self IGNORED, jint name) { return sysconf(name); }
NATIVE(jstring, libcore_io_Linux_strerror)(JNIEnv *env, jobject self IGNORED, jint error) { return new_string(env, strerror(error)); }

NATIVE(jobject, libcore_io_Linux_getpwuid)(JNIEnv *env, jobject self IGNORED, jint uid) {
    jclass type = (*env)->FindClass(env, "android/system/StructPasswd");
    jmethodID make = (*env)->GetMethodID(env, type, "<init>", "(" TEXT "II" TEXT TEXT ")V");
    return (*env)->NewObject(env, type, make, new_string(env, "shell"), uid, uid, new_string(env, "/"),
                             new_string(env, "/system/bin/sh"));
}

NATIVE(jobject, libcore_io_Linux_uname)(JNIEnv *env, jobject self IGNORED) {
    struct utsname u;
    uname(&u);
    jclass type = (*env)->FindClass(env, "android/system/StructUtsname");
    jmethodID make = (*env)->GetMethodID(env, type, "<init>", "(" TEXT TEXT TEXT TEXT TEXT ")V");
    return (*env)->NewObject(env, type, make, new_string(env, u.sysname), new_string(env, u.nodename), new_string(env, u.release),
                             new_string(env, u.version), new_string(env, u.machine));
}

/* Versions of Android 14's ICU: the class library puts them into properties. */
NATIVE(jstring, libcore_icu_ICU_getIcuVersion)(JNIEnv *env, jclass type IGNORED) { return new_string(env, "72.1"); }
NATIVE(jstring, libcore_icu_ICU_getUnicodeVersion)(JNIEnv *env, jclass type IGNORED) { return new_string(env, "15.0"); }
NATIVE(jstring, libcore_icu_ICU_getCldrVersion)(JNIEnv *env, jclass type IGNORED) { return new_string(env, "42.0"); }
NATIVE(void, libcore_icu_ICU_setDefaultLocale)(JNIEnv *env IGNORED, jclass type IGNORED, jstring locale IGNORED) {}
