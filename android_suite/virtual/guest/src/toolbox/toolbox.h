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
command am_main, cmd_main, dumpsys_main, getconf_main, getprop_main, input_main, install_main, log_main, logcat_main, pidof_main, pm_main, reboot_main,
    setprop_main, settings_main, svc_main, wm_main;

/* app.c: talking to the app's process */
int app_connect(void);                                                   /* a connected socket, or -1 when no process answers */
int app_spawn(void);                                                     /* starts the process and connects */
bool app_send(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool app_reply(int fd, char *reply, size_t bytes, int timeout_ms);       /* one line, without its newline */
int app_request(const char *verb, char *reply, size_t bytes);            /* send and await; -1 when no process answers */
int each_process(const char *name, int (*visit)(int pid, void *context), void *context); /* by argv[0]; the number found */
void app_force_stop(void);

#define PROPERTIES "/dev/__properties__"

/* store.c: small values in files, one directory a namespace */
bool store_get(const char *directory, const char *key, char *value, size_t bytes);
bool store_put(const char *directory, const char *key, const char *value);
bool store_remove(const char *directory, const char *key);
int store_each(const char *directory, void (*visit)(const char *key, const char *value)); /* sorted by key */
#endif
