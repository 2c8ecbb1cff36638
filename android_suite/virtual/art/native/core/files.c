/* libcore.io.Linux, files: what streams of java.io need. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define IGNORED __attribute__((unused))

static jint fail(JNIEnv *env, const char *function, int error) {
    jclass type = (*env)->FindClass(env, "android/system/ErrnoException");
    jmethodID make = (*env)->GetMethodID(env, type, "<init>", "(Ljava/lang/String;I)V");
    (*env)->Throw(env, (*env)->NewObject(env, type, make, new_string(env, function), error));
    return -1;
}

static int descriptor(JNIEnv *env, jobject file) {
    jclass type = (*env)->GetObjectClass(env, file);
    return (*env)->GetIntField(env, file, (*env)->GetFieldID(env, type, "descriptor", "I"));
}

NATIVE(jobject, libcore_io_Linux_open)(JNIEnv *env, jobject self IGNORED, jstring path, jint flags, jint mode) {
    const char *chars = borrow(env, path);
    int fd = open(chars, flags | O_CLOEXEC, (mode_t)mode);
    int error = errno;
    give_back(env, path, chars);
    if (fd < 0) return fail(env, "open", error), NULL;
    jclass type = (*env)->FindClass(env, "java/io/FileDescriptor");
    jobject file = (*env)->NewObject(env, type, (*env)->GetMethodID(env, type, "<init>", "()V"));
    (*env)->SetIntField(env, file, (*env)->GetFieldID(env, type, "descriptor", "I"), fd);
    return file;
}

NATIVE(void, libcore_io_Linux_close)(JNIEnv *env, jobject self IGNORED, jobject file) {
    int fd = descriptor(env, file);
    (*env)->SetIntField(env, file, (*env)->GetFieldID(env, (*env)->GetObjectClass(env, file), "descriptor", "I"), -1);
    if (close(fd)) fail(env, "close", errno);
}

NATIVE(void, libcore_io_Linux_remove)(JNIEnv *env, jobject self IGNORED, jstring path) {
    const char *chars = borrow(env, path);
    int rc = remove(chars), error = errno;
    give_back(env, path, chars);
    if (rc) fail(env, "remove", error);
}

NATIVE(jobject, libcore_io_Linux_fstat)(JNIEnv *env, jobject self IGNORED, jobject file) {
    struct stat st;
    if (fstat(descriptor(env, file), &st)) return fail(env, "fstat", errno), NULL;
    jclass type = (*env)->FindClass(env, "android/system/StructStat");
    jmethodID make = (*env)->GetMethodID(env, type, "<init>", "(JJIJIIJJJJJJJ)V");
    return (*env)->NewObject(env, type, make, (jlong)st.st_dev, (jlong)st.st_ino, (jint)st.st_mode, (jlong)st.st_nlink, (jint)st.st_uid,
                             (jint)st.st_gid, (jlong)st.st_rdev, (jlong)st.st_size, (jlong)st.st_atime, (jlong)st.st_mtime,
                             (jlong)st.st_ctime, (jlong)st.st_blksize, (jlong)st.st_blocks);
}

NATIVE(jlong, libcore_io_Linux_lseek)(JNIEnv *env, jobject self IGNORED, jobject file, jlong offset, jint whence) {
    off_t at = lseek(descriptor(env, file), (off_t)offset, whence);
    return at < 0 ? fail(env, "lseek", errno) : (jlong)at;
}

/* `bytes` is a byte[]: the class library reads into and writes from arrays only. */
NATIVE(jint, libcore_io_Linux_readBytes)(JNIEnv *env, jobject self IGNORED, jobject file, jobject bytes, jint offset, jint count) {
    jbyte *copy = malloc((size_t)count);
    if (!copy) return fail(env, "read", ENOMEM);
    ssize_t got = read(descriptor(env, file), copy, (size_t)count);
    int error = errno;
    if (got > 0) (*env)->SetByteArrayRegion(env, bytes, offset, (jsize)got, copy);
    free(copy);
    return got < 0 ? fail(env, "read", error) : (jint)got;
}

NATIVE(jint, libcore_io_Linux_writeBytes)(JNIEnv *env, jobject self IGNORED, jobject file, jobject bytes, jint offset, jint count) {
    jbyte *copy = malloc((size_t)count);
    if (!copy) return fail(env, "write", ENOMEM);
    (*env)->GetByteArrayRegion(env, bytes, offset, count, copy);
    ssize_t written = write(descriptor(env, file), copy, (size_t)count);
    int error = errno;
    free(copy);
    return written < 0 ? fail(env, "write", error) : (jint)written;
}

NATIVE(jint, libcore_io_Linux_fcntlVoid)(JNIEnv *env, jobject self IGNORED, jobject file, jint command) {
    int rc = fcntl(descriptor(env, file), command);
    return rc < 0 ? fail(env, "fcntl", errno) : rc;
}

NATIVE(jint, libcore_io_Linux_fcntlInt)(JNIEnv *env, jobject self IGNORED, jobject file, jint command, jint value) {
    int rc = fcntl(descriptor(env, file), command, value);
    return rc < 0 ? fail(env, "fcntl", errno) : rc;
}

NATIVE(jboolean, libcore_io_Linux_isatty)(JNIEnv *env, jobject self IGNORED, jobject file) {
    return (jboolean)isatty(descriptor(env, file));
}

/* Owners of descriptors are a check of bionic's. */
NATIVE(void, libcore_io_Linux_android_1fdsan_1exchange_1owner_1tag)(JNIEnv *env IGNORED, jobject self IGNORED, jobject file IGNORED,
                                                                    jlong before IGNORED, jlong after IGNORED) {}

/* Android wakes threads that wait in a call on the descriptor; no thread here does. */
NATIVE(void, libcore_io_AsynchronousCloseMonitor_signalBlockedThreads)(JNIEnv *env IGNORED, jclass type IGNORED, jobject file IGNORED) {}

NATIVE(jboolean, java_io_FileDescriptor_isSocket)(JNIEnv *env IGNORED, jclass type IGNORED, jint fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

NATIVE(void, java_io_FileOutputStream_initIDs)(JNIEnv *env IGNORED, jclass type IGNORED) {}
NATIVE(void, java_io_FileInputStream_initIDs)(JNIEnv *env IGNORED, jclass type IGNORED) {}
NATIVE(void, java_io_UnixFileSystem_initIDs)(JNIEnv *env IGNORED, jclass type IGNORED) {}
