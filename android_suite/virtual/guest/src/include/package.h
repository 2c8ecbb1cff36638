/* Names that the app model and the Android commands share. */
#ifndef ANDROID_SUITE_PACKAGE_H
#define ANDROID_SUITE_PACKAGE_H
#define PACKAGE "com.androidsuite.workload"
#define HELPER_PACKAGE "com.androidsuite.helper"
/* Android keeps the last 15 characters of the package as the main thread's comm. */
#define PACKAGE_COMM (PACKAGE + sizeof PACKAGE - 16)
#define HELPER_COMM (HELPER_PACKAGE + sizeof HELPER_PACKAGE - 16)
#define APP_DIR "/data/app/" PACKAGE
#define APK_PATH APP_DIR "/base.apk"
#define ODEX_PATH APP_DIR "/oat/base.odex"
#define LIBRARY_PATH APP_DIR "/lib/libworkload.so"
/* The app's control socket. `am` makes it and the app inherits it as this descriptor, so nobody polls for the app to come up. */
#define CONTROL_SOCKET "/dev/socket/" PACKAGE
#define CONTROL_FD 3
#define REQUEST_BYTES 8192
#endif
