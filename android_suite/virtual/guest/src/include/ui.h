/* What the app tells about its screen, one node a line: depth, class, resource, flags, bounds, package, text; '\t' between them.
 * Text has no tab and no line end: they are "%09", "%0A"; '%' itself is "%25". */
#ifndef ANDROID_SUITE_UI_H
#define ANDROID_SUITE_UI_H
#define SCREEN_WIDTH 1080
#define SCREEN_HEIGHT 1920
#define DIALOG_PACKAGE "com.android.permissioncontroller"
#define DIALOG_ACTIVITY "com.android.permissioncontroller.permission.ui.GrantPermissionsActivity"
#define HOME_PACKAGE "com.androidsuite.home"
#define HOME_ACTIVITY "com.androidsuite.home.HomeActivity"
#define APP_LABEL "android-suite workload"
#define BACKGROUND_LABEL "android-suite background"
/* While the file exists the app may post notifications, without asking. */
#define GRANTED_FILE "/data/system/granted_" PACKAGE
#define PERMISSION "android.permission.POST_NOTIFICATIONS"
#define TEXT_BYTES 1024 /* of a text field */
/* The class that uiautomator2 has app_process run: here another program is it. */
#define UIAUTOMATOR_CLASS "com.wetest.uia2.Main"
#define UIAUTOMATOR_PROGRAM "uiautomator2-server"
enum touch { TOUCH_DOWN, TOUCH_UP, TOUCH_MOVE }; /* MotionEvent's numbers */
enum key { KEY_HOME = 3, KEY_BACK = 4, KEY_ENTER = 66, KEY_DEL = 67 };
#endif
