// SPDX-License-Identifier: Apache-2.0
// Every Android command of the scripted phone. It passes its words and its three standard descriptors to the phone's
// script over /dev/socket/phone, and ends with the status that comes back.
//
// As `app_process64 --app PACKAGE` it is an app: a process of that name with the threads of an app, which does nothing.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void __attribute__((noreturn)) *wait_for_ever(void *name)
{
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
}

static int be_an_app(const char *package)
{
	static const char *threads[] = {"Signal Catcher", "HeapTaskDaemon", "RenderThread", "Jit thread pool"};
	size_t length = strlen(package);
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	for (size_t at = 0; at < sizeof(threads) / sizeof(threads[0]); at++) {
		pthread_t thread;
		pthread_create(&thread, &small, wait_for_ever, (void *)threads[at]);
	}
	wait_for_ever((void *)(length > 15 ? package + length - 15 : package));
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/socket/phone"};
	char control[CMSG_SPACE(3 * sizeof(int))] = {0};
	int descriptors[3] = {0, 1, 2};
	uint32_t length = 0;
	unsigned char status = 255;

	if (getenv("SCRIPTED_APP"))
		return be_an_app(argv[0]);
	if (argc == 3 && strcmp(argv[1], "--app") == 0) {
		char *words[] = {argv[2], NULL}, *environment[] = {"SCRIPTED_APP=1", NULL};
		execve("/system/bin/app_process64", words, environment);
		return 127;
	}
	for (int at = 0; at < argc; at++)
		length += strlen(argv[at]) + 1;
	char *words = malloc(length + 1), *end = words;
	for (int at = 0; at < argc; at++)
		end = stpcpy(end, argv[at]) + 1;

	int phone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(phone, (struct sockaddr *)&address, sizeof(address)) != 0) {
		fprintf(stderr, "%s: Can't find service\n", argv[0]);
		return 20;
	}
	struct iovec head = {.iov_base = &length, .iov_len = sizeof(length)};
	struct msghdr message = {
		.msg_iov = &head, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(descriptors));
	memcpy(CMSG_DATA(part), descriptors, sizeof(descriptors));
	if (sendmsg(phone, &message, 0) < 0)
		return 20;
	for (char *at = words; at < end;) {
		ssize_t sent = write(phone, at, (size_t)(end - at));
		if (sent <= 0)
			return 20;
		at += sent;
	}
	if (read(phone, &status, 1) != 1)
		return 137; // the phone went down
	return status;
}
