/* What ART asks of the three libraries of the class library, which this one stands for: one load function. */
#include "core.h"

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
    (void)vm, (void)reserved;
    return JNI_VERSION_1_6;
}

jstring new_string(JNIEnv *env, const char *text) { return text ? (*env)->NewStringUTF(env, text) : NULL; }

const char *borrow(JNIEnv *env, jstring text) { return (*env)->GetStringUTFChars(env, text, NULL); }

void give_back(JNIEnv *env, jstring text, const char *chars) { (*env)->ReleaseStringUTFChars(env, text, chars); }
