/* Names that the app model and the Android commands share. */
#ifndef ANDROID_SUITE_PACKAGE_H
#define ANDROID_SUITE_PACKAGE_H
#define PACKAGE "com.androidsuite.workload"
#define BACKGROUND_PACKAGE "com.androidsuite.background" /* the same app under another name, to run beside the first */
#define HELPER_PACKAGE "com.androidsuite.helper"
#define MOST_SERVICES 8 /* further processes of the first: PACKAGE:p1, PACKAGE:p2 ... */
#define STRESS_ACTIVITY ".GcStressActivity"
#define LAUNCHER_ACTIVITY ".LaunchActivity"       /* the one with MAIN and LAUNCHER in its manifest */
#define UI_ACTIVITY ".UiActivity" /* what fingers drive */
#define TRAMPOLINE_ACTIVITY ".TrampolineActivity" /* starts the launcher activity and finishes, without drawing */
/* Android keeps the last 15 characters of a process's name as the main thread's comm. */
#define COMM_OF(name) (strlen(name) > 15 ? (name) + strlen(name) - 15 : (name))
/* Of the APK that phones get (apks/AndroidManifest.xml): this is the same app. */
#define APP_VERSION_CODE "3"
#define APP_VERSION_NAME "1.2"
#define HELPER_COMM (HELPER_PACKAGE + sizeof HELPER_PACKAGE - 16)
#define APP_DIR "/data/app/" PACKAGE
#define APK_PATH APP_DIR "/base.apk"
#define ODEX_PATH APP_DIR "/oat/base.odex"
#define LIBRARY_PATH APP_DIR "/lib/libworkload.so"
/* Each process's control socket has its name. `am` makes it and the app inherits it as this descriptor: nobody polls for it. */
#define CONTROL_DIR "/dev/socket/"
#define CONTROL_FD 3
#define REQUEST_BYTES 8192
#endif
