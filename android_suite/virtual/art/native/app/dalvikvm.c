/* dalvikvm [-X...] CLASS [ARGUMENT...]: runs the main method of a class of the boot class path. */
#include "app.h"
#include "vm.h"

int dalvikvm_main(int argc, char **argv) {
    int first = 1;
    while (first < argc && argv[first][0] == '-') first++;
    if (first == argc) {
        fprintf(stderr, "usage: dalvikvm [-X...] CLASS [ARGUMENT...]\n");
        return 2;
    }
    atrace_open();
    if (!vm_create((const char *const *)argv + 1, first - 1)) return 1;
    JNIEnv *env = vm_env();
    for (char *c = argv[first]; *c; c++)
        if (*c == '.') *c = '/';
    jclass type = vm_class(argv[first]);
    jobjectArray arguments = (*env)->NewObjectArray(env, argc - first - 1, vm_class("java/lang/String"), NULL);
    for (int i = first + 1; i < argc; i++) (*env)->SetObjectArrayElement(env, arguments, i - first - 1, (*env)->NewStringUTF(env, argv[i]));
    (*env)->CallStaticVoidMethod(env, type, vm_static(type, "main", "([Ljava/lang/String;)V"), arguments);
    bool failed = vm_failed();
    fflush(NULL);
    _exit(failed); /* ART's own end would rename this thread */
}
