/* The server that uiautomator2 starts as `app_process / com.wetest.uia2.Main -p PORT`: JSON-RPC over HTTP, on this device's loopback. */
#include "uia.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define REQUEST_MOST (1 << 20)

static bool send_all(int fd, const char *data, size_t bytes) {
    for (ssize_t n; bytes; data += n, bytes -= (size_t)n)
        if ((n = send(fd, data, bytes, MSG_NOSIGNAL)) <= 0) return false;
    return true;
}

static void respond(int fd, const char *status, const char *type, const char *body, size_t bytes) {
    char head[256];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, type, bytes);
    if (send_all(fd, head, (size_t)n)) send_all(fd, body, bytes);
}

/* The head and the body of a request, as text; NULL if it is none. `*body` points into it. */
static char *read_request(int fd, char **body) {
    size_t bytes = 0, room = 8192, wanted = 0;
    char *text = malloc(room);
    *body = NULL;
    while (text && (!*body || bytes < wanted)) {
        if (bytes + 1 >= room) {
            size_t head = *body ? (size_t)(*body - text) : 0;
            char *larger = room < REQUEST_MOST ? realloc(text, room *= 2) : NULL;
            if (!larger) break;
            if (*body) *body = larger + head;
            text = larger;
        }
        ssize_t n = recv(fd, text + bytes, room - bytes - 1, 0);
        if (n <= 0) break;
        text[bytes += (size_t)n] = 0;
        char *end = *body ? NULL : strstr(text, "\r\n\r\n");
        if (!end) continue;
        *body = end + 4;
        char *length = strcasestr(text, "\r\nContent-Length:");
        long long told = length && length < end ? atoll(length + 17) : 0;
        if (told < 0 || told > REQUEST_MOST) break;
        wanted = (size_t)(*body - text) + (size_t)told;
    }
    if (text && *body && bytes >= wanted) return text;
    free(text);
    return NULL;
}

static void answer_call(int fd, const char *body) {
    char *result = NULL, *reply = NULL;
    size_t result_bytes = 0, bytes = 0;
    struct json *call = json_parse(body);
    const char *method = json_text(json_get(call, "method"));
    struct failure failure = {0};
    FILE *out = open_memstream(&result, &result_bytes);
    bool good = *method && call_method(method, json_get(call, "params"), out, &failure);
    fclose(out);
    if (!*method) failure = (struct failure){.code = call ? -32600 : -32700, .message = call ? "Invalid Request" : "Parse error"};
    FILE *whole = open_memstream(&reply, &bytes);
    fprintf(whole, "{\"jsonrpc\":\"2.0\",\"id\":%.0f,", json_number(json_get(call, "id"), 0));
    if (good)
        fprintf(whole, "\"result\":%s}", result);
    else {
        fprintf(whole, "\"error\":{\"code\":%d,\"message\":", failure.code);
        json_put_text(whole, failure.message);
        fputs(",\"data\":", whole);
        json_put_text(whole, failure.data);
        fputs("}}", whole);
    }
    fclose(whole);
    respond(fd, "200 OK", "application/json", reply, bytes);
    json_free(call);
    free(result);
    free(reply);
}

static void *serve(void *argument) {
    int fd = (int)(intptr_t)argument;
    char *body, *request = read_request(fd, &body);
    if (!request)
        respond(fd, "400 Bad Request", "text/plain", "", 0);
    else if (strncmp(request, "GET /ping ", 10) == 0)
        respond(fd, "200 OK", "text/plain", "pong", 4);
    else if (strncmp(request, "POST /jsonrpc/0 ", 16) == 0)
        answer_call(fd, body);
    else
        respond(fd, "404 Not Found", "text/plain", "Not Found", 9);
    free(request);
    close(fd);
    return NULL;
}

static void accept_one(int listener) {
    pthread_t thread;
    pthread_attr_t attributes;
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 512 << 10);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd)) close(fd);
    pthread_attr_destroy(&attributes);
}

int uiautomator_main(int argc, char **argv) {
    int port = argc == 3 && strcmp(argv[1], "-p") == 0 ? atoi(argv[2]) : 0, one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *jar = getenv("CLASSPATH");
    if (!jar || access(jar, R_OK)) return fputs("java.lang.ClassNotFoundException: " UIAUTOMATOR_CLASS "\n", stderr), 1;
    if (port < 1 || port > 65535) return fputs("java.lang.IllegalArgumentException: give a port with -p\n", stderr), 1;
    puts("[server] INFO: [UiAutomator2Server] Starting Server");
    fflush(stdout);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
        if (errno == EADDRINUSE) puts("java.lang.IllegalStateException: UiAutomationService already registered!");
        return perror("uiautomator2-server"), 1;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "app_process");
    /* Whoever started it holds the other end of its output: when that goes, so does the server. */
    struct pollfd fds[] = {{.fd = listener, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};
    for (;;) {
        if (poll(fds, 2, -1) < 0) continue;
        if (fds[1].revents & (POLLERR | POLLHUP)) return 0;
        if (fds[0].revents) accept_one(listener);
    }
}
