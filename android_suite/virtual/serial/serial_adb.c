/* serial_adb DEVICE: carries adb between a port of the machine's virtual serial card and adbd, which listens on the loopback.
 * For a kernel that has no driver for a network card, but one for that port.
 *
 * The port is one stream of bytes and outlives the host's connections, so adb's own messages tell where one begins: with CNXN. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADBD_PORT 5555
#define CNXN 0x4e584e43u
#define PAUSE_US 50000 /* between two looks for the host */

/* The head of adb's messages, see protocol.txt of adb; little endian, as both architectures are. */
struct message {
    uint32_t command, arg0, arg1, bytes, checksum, magic; /* magic: the command, inverted */
};

struct buffer {
    char data[65536];
    size_t at, end;
};

static struct buffer to_adbd, to_host;
static int port = -1, adbd = -1;
static struct message head; /* being read, have_head bytes of it */
static size_t have_head, body_left;

static void hang_up(void) {
    if (adbd >= 0) close(adbd);
    adbd = -1;
    have_head = body_left = 0;
    to_adbd.at = to_adbd.end = to_host.at = to_host.end = 0;
}

/* adbd may have ended a moment ago; init starts it again. */
static bool call_adbd(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(ADBD_PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int tries = 200; tries > 0; tries--, usleep(PAUSE_US)) {
        adbd = socket(AF_INET, SOCK_STREAM, 0);
        if (adbd < 0) continue;
        if (connect(adbd, (struct sockaddr *)&address, sizeof address) == 0) {
            int on = 1;
            setsockopt(adbd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            fcntl(adbd, F_SETFL, O_NONBLOCK);
            return true;
        }
        close(adbd);
    }
    adbd = -1;
    return false;
}

/* Returns what read() does. */
static ssize_t read_host(void) {
    if (body_left) {
        size_t most = body_left < sizeof to_adbd.data ? body_left : sizeof to_adbd.data;
        ssize_t n = read(port, to_adbd.data, most);
        if (n > 0) to_adbd.at = 0, to_adbd.end = (size_t)n, body_left -= (size_t)n;
        return n;
    }
    ssize_t n = read(port, (char *)&head + have_head, sizeof head - have_head);
    if (n <= 0) return n;
    have_head += (size_t)n;
    if (have_head < sizeof head) return n;
    if (head.magic != ~head.command) { /* the rest of a message whose beginning is lost: look for the next one, byte by byte */
        memmove(&head, (char *)&head + 1, --have_head);
        return n;
    }
    if (head.command == CNXN) {
        struct message first = head;
        hang_up();
        head = first;
        if (!call_adbd()) return n;
    }
    memcpy(to_adbd.data, &head, sizeof head);
    to_adbd.at = 0, to_adbd.end = sizeof head;
    body_left = head.bytes, have_head = 0;
    return n;
}

static void flush_buffer(struct buffer *from, int fd) {
    ssize_t n = write(fd, from->data + from->at, from->end - from->at);
    if (n > 0) from->at += (size_t)n;
    if (from->at == from->end) from->at = from->end = 0;
}

/* adbd hung up. The host cannot be hung up on, but adb does so itself when it gets what is no message. */
static void end_connection(void) {
    hang_up();
    memset(to_host.data, 0xff, sizeof head); /* longer than any, too: some versions look at nothing else */
    to_host.end = sizeof head;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc != 2 || (port = open(argv[1], O_RDWR | O_NONBLOCK)) < 0) {
        perror(argc == 2 ? argv[1] : "usage: serial_adb DEVICE");
        return 1;
    }
    for (;;) {
        struct pollfd fds[2] = {{.fd = port}, {.fd = adbd}}; /* poll leaves out a negative one */
        if (to_adbd.end == 0) fds[0].events |= POLLIN;
        if (to_host.end) fds[0].events |= POLLOUT;
        if (to_host.end == 0) fds[1].events |= POLLIN;
        if (to_adbd.end) fds[1].events |= POLLOUT;
        if (poll(fds, 2, -1) < 0) continue;
        if (fds[0].revents & (POLLIN | POLLHUP)) {
            ssize_t n = to_adbd.end == 0 ? read_host() : 1;
            if (n == 0) { /* the host is not connected (any more) */
                hang_up();
                usleep(PAUSE_US);
                continue;
            }
        }
        if (to_host.end && fds[0].revents & POLLOUT) flush_buffer(&to_host, port);
        if (adbd < 0) {
            to_adbd.at = to_adbd.end = 0; /* nobody takes it */
            continue;
        }
        if (fds[1].fd != adbd) continue; /* a new connection, which nobody has asked about yet */
        if (to_adbd.end && fds[1].revents & POLLOUT) flush_buffer(&to_adbd, adbd);
        if (to_host.end == 0 && fds[1].revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t n = read(adbd, to_host.data, sizeof to_host.data);
            if (n > 0)
                to_host.at = 0, to_host.end = (size_t)n;
            else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                end_connection();
        }
    }
}
