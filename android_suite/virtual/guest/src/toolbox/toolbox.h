/* Android's shell commands, as far as the suite's device layer uses them, in one binary. A command that is not here does not exist. */
#ifndef TOOLBOX_H
#define TOOLBOX_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../include/logstore.h"
#include "../include/package.h"

typedef int command(int argc, char **argv);
command am_main, cmd_main, dumpsys_main, getconf_main, getprop_main, ime_main, input_main, install_main, log_main, logcat_main, monkey_main,
    pidof_main, pm_main, ps_main, reboot_main, screencap_main, setprop_main, settings_main, svc_main, toybox_main, uiautomator_main, wm_main;
bool dump_windows(int argc, char **argv); /* windows.c; false: it has no such part */
bool dump_power_services(int argc, char **argv); /* power.c; false: it has no such service */
int power_command(int argc, char **argv);        /* power.c: `cmd`'s services; -1: it has no such service */
bool take_user(int *argc, char **argv);          /* power.c: `--user N`; false: there is no such user */

/* app.c: talking to the processes of the apps. A process's name is its package's, or PACKAGE:pN. */
int process_connect(const char *process);                                /* a connected socket, or -1 when no process answers */
int process_spawn(const char *process);                                  /* starts the process and connects */
bool app_send(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool app_reply(int fd, char *reply, size_t bytes, int timeout_ms);       /* one line, without its newline */
int app_request(const char *verb, char *reply, size_t bytes);            /* ask the app in front; -1 when no process answers */
int process_request(const char *process, const char *verb, const char *argument, char *reply, size_t bytes);
bool app_exists(const char *package);                                    /* is it installed */
bool app_in_front(char *package, size_t bytes);
void app_set_front(const char *package);                                 /* the one that was there goes to the back */
int app_connect_front(void);                                             /* to the app in front, the first one without any */
int each_process(const char *name, int (*visit)(int pid, void *context), void *context); /* by argv[0]; the number found */
void app_force_stop(const char *package);

#define PROPERTIES "/dev/__properties__"
#define SYSTEM "/data/system"

/* store.c: small values in files, one directory a namespace */
bool store_get(const char *directory, const char *key, char *value, size_t bytes);
bool store_put(const char *directory, const char *key, const char *value);
bool store_remove(const char *directory, const char *key);
int store_each(const char *directory, void (*visit)(const char *key, const char *value)); /* sorted by key */
#endif
