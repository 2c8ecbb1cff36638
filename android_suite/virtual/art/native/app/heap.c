/* The app's heap is ART's: app.h's functions of heap.c and gc.c, by way of Java. All but the start run on the main thread. */
#include "app.h"
#include "art.h"
#include "vm.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>

#define DAEMON_NICE 4 /* what Android's build of ART gives its daemons; Debian's leaves them at 0 */
#define DAEMON_WAITS 2000

uint64_t gc_cycles, gc_freed_bytes;
char stress_members[256];

static jclass app, debug, runtime_type;
static jmethodID allocate, check, start, stop, read_stat, request_gc;
static jobject runtime;

/* liblog's record, as its header has it. */
struct log_message {
    size_t struct_size;
    int32_t buffer_id, priority;
    const char *tag, *file;
    uint32_t line;
    const char *message;
};
void __android_log_set_logger(void (*logger)(const struct log_message *));

static void write_log(const struct log_message *m) {
    static const char letters[] = "??VDIWEFS";
    char letter = m->priority >= 2 && m->priority <= 8 ? letters[m->priority] : 'I';
    log_write("main", letter, m->tag ? m->tag : PACKAGE_COMM, "%s", m->message);
}

void heap_create(void) {
    const char *options[HEAP_OPTIONS];
    if (!vm_create(options, heap_options(options))) {
        log_write("crash", 'F', "AndroidSuite", "the Android runtime did not start");
        _exit(1);
    }
    __android_log_set_logger(write_log); /* after ART has set its own */
    JNIEnv *env = vm_env();
    app = vm_class("com/androidsuite/workload/ArtApp");
    allocate = vm_static(app, "allocate", "(J)V");
    check = vm_static(app, "check", "(Ljava/lang/String;)Ljava/lang/String;");
    start = vm_static(app, "start", "(Ljava/lang/String;)V");
    stop = vm_static(app, "stop", "()Ljava/lang/String;");
    debug = vm_class("dalvik/system/VMDebug");
    read_stat = vm_static(debug, "getRuntimeStat", "(Ljava/lang/String;)Ljava/lang/String;");
    runtime_type = vm_class("dalvik/system/VMRuntime");
    jmethodID get = vm_static(runtime_type, "getRuntime", "()Ldalvik/system/VMRuntime;");
    runtime = (*env)->NewGlobalRef(env, (*env)->CallStaticObjectMethod(env, runtime_type, get));
    request_gc = (*env)->GetMethodID(env, runtime_type, "requestConcurrentGC", "()V");
    if (vm_failed()) _exit(1);
}

static bool lower_daemon(const char *tid) {
    static const char *const names[] = {"HeapTaskDaemon", "ReferenceQueueD", "FinalizerDaemon", "FinalizerWatchd"};
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    if (!fgets(name, sizeof name, file)) name[0] = 0;
    fclose(file);
    name[strcspn(name, "\n")] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return setpriority(PRIO_PROCESS, (id_t)atoi(tid), DAEMON_NICE) == 0;
    return false;
}

/* ART's daemons are named when they first run, so they are looked for until all four are there. */
void gc_start_threads(void) {
    struct timespec tick = {0, 1000000};
    for (int i = 0; i < DAEMON_WAITS; i++) {
        int found = 0;
        DIR *tasks = opendir("/proc/self/task");
        for (struct dirent *entry; tasks && (entry = readdir(tasks));) found += lower_daemon(entry->d_name);
        if (tasks) closedir(tasks);
        if (found == 4) return;
        nanosleep(&tick, NULL);
    }
    log_write("main", 'W', "AndroidSuite", "the runtime's daemons did not start");
}

/* What a call left behind: an exception of Java's, such as no memory, ends the app as it would on a phone. */
static void end_if_failed(const char *what) {
    if (!vm_failed()) return;
    log_write("crash", 'E', "AndroidRuntime", "FATAL EXCEPTION: main: %s", what);
    abort();
}

void heap_allocate(size_t bytes) {
    JNIEnv *env = vm_env();
    (*env)->CallStaticVoidMethod(env, app, allocate, (jlong)bytes);
    end_if_failed("allocation of a frame");
}

void gc_request(void) {
    JNIEnv *env = vm_env();
    (*env)->CallVoidMethod(env, runtime, request_gc);
    end_if_failed("request of a collection");
}

static uint64_t stat_of(const char *name) {
    JNIEnv *env = vm_env();
    char number[32] = "";
    jstring asked = (*env)->NewStringUTF(env, name);
    jstring value = (*env)->CallStaticObjectMethod(env, debug, read_stat, asked);
    end_if_failed(name);
    if (value && (*env)->GetStringUTFLength(env, value) < (jsize)sizeof number)
        (*env)->GetStringUTFRegion(env, value, 0, (*env)->GetStringLength(env, value), number);
    (*env)->DeleteLocalRef(env, asked);
    if (value) (*env)->DeleteLocalRef(env, value);
    return strtoull(number, NULL, 10);
}

bool stress_refused(const char *arguments, char *error, size_t error_bytes) {
    JNIEnv *env = vm_env();
    jstring text = (*env)->NewStringUTF(env, arguments);
    jstring answer = (*env)->CallStaticObjectMethod(env, app, check, text);
    end_if_failed("check of the intent");
    if (answer) {
        const char *chars = (*env)->GetStringUTFChars(env, answer, NULL);
        snprintf(error, error_bytes, "%s", chars);
        (*env)->ReleaseStringUTFChars(env, answer, chars);
        (*env)->DeleteLocalRef(env, answer);
    }
    (*env)->DeleteLocalRef(env, text);
    return answer != NULL;
}

void gc_begin_stress(const struct parameters *p) {
    JNIEnv *env = vm_env();
    vmas_prepare(p);
    jstring text = (*env)->NewStringUTF(env, stress_arguments);
    gc_cycles = stat_of("art.gc.gc-count");
    gc_freed_bytes = stat_of("art.gc.bytes-freed");
    (*env)->CallStaticVoidMethod(env, app, start, text);
    end_if_failed("start of the stress");
    (*env)->DeleteLocalRef(env, text);
}

void gc_end_stress(void) {
    JNIEnv *env = vm_env();
    jstring members = (*env)->CallStaticObjectMethod(env, app, stop);
    end_if_failed("end of the stress");
    const char *chars = (*env)->GetStringUTFChars(env, members, NULL);
    snprintf(stress_members, sizeof stress_members, ",%s", chars);
    (*env)->ReleaseStringUTFChars(env, members, chars);
    (*env)->DeleteLocalRef(env, members);
    gc_cycles = stat_of("art.gc.gc-count") - gc_cycles;
    gc_freed_bytes = stat_of("art.gc.bytes-freed") - gc_freed_bytes;
}
