/* Included before every source of the app: where a device has what vm.c names. JARS and JIT come from the build. */
#define VM_OF_ANDROID
#define OWN_OPTIONS "-Xbootclasspath:" JARS, "-Xbootclasspath-locations:" JARS, "-Xusejit:" JIT
#define HOMES                                                                                                                    \
    {"ANDROID_ROOT", "/system"}, {"ANDROID_ART_ROOT", "/apex/com.android.art"}, {"ANDROID_I18N_ROOT", "/apex/com.android.i18n"}, \
        {"ANDROID_TZDATA_ROOT", "/apex/com.android.tzdata"}
