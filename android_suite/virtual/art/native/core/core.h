/* Natives of the class library: those that a program about the heap needs. What is missing throws UnsatisfiedLinkError. */
#ifndef CORE_H
#define CORE_H
#define _GNU_SOURCE
#include <jni.h>

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_##name

jstring new_string(JNIEnv *env, const char *text); /* NULL for NULL */
const char *borrow(JNIEnv *env, jstring text);
void give_back(JNIEnv *env, jstring text, const char *chars);
#endif
