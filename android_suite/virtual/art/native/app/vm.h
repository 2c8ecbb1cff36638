/* ART in this process. */
#ifndef VM_H
#define VM_H
#include <jni.h>
#include <stdbool.h>

#define ART_HOME "/system/art"

/* Starts ART on the calling thread with `count` options beside its own; prints why not and returns false. */
bool vm_create(const char *const *options, int count);
JNIEnv *vm_env(void); /* of the thread that called vm_create */
/* A class of the boot class path by its name with slashes; the process ends with a message if it is not there. */
jclass vm_class(const char *name);
jmethodID vm_static(jclass type, const char *name, const char *signature);
bool vm_failed(void); /* whether an exception is pending; prints it */
#endif
