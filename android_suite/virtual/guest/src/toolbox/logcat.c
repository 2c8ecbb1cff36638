/* logcat and log over the files of logstore.h. */
#include "toolbox.h"

#include <poll.h>
#include <regex.h>
#include <sys/inotify.h>

#define BUFFERS 4
#define FILTERS 16
static const char *const names[BUFFERS] = {"main", "system", "events", "crash"};
static const char priorities[] = "VDIWEFS";

struct filter {
    char tag[64];
    char priority;
};
struct options {
    bool buffers[BUFFERS], dump, clear, year, epoch, monotonic, silent_default;
    int fraction_digits; /* of a second */
    const char *format;
    long tail, max_count;
    int64_t since_ns;
    int pid;
    struct filter filters[FILTERS];
    int filter_count;
    regex_t regex;
    bool has_regex;
};
struct record {
    int64_t realtime_ns, monotonic_ns;
    int pid, tid, buffer;
    char priority, *tag, *message, *line;
};
struct tail {
    int fd;
    ino_t inode;
    off_t offset;
};
static struct tail tails[BUFFERS];
static struct record *records;
static size_t record_count, record_room;
static bool announced[BUFFERS];
static long printed;

static void add_record(const char *line, size_t length, int buffer) {
    struct record r = {.buffer = buffer, .line = strndup(line, length)};
    long long real, mono;
    int at = 0;
    if (!r.line || sscanf(r.line, "%lld %lld %d %d %c %n", &real, &mono, &r.pid, &r.tid, &r.priority, &at) < 5 || !at ||
        !strchr(r.line + at, '\t')) {
        free(r.line);
        return;
    }
    r.realtime_ns = real;
    r.monotonic_ns = mono;
    r.tag = r.line + at;
    r.message = strchr(r.tag, '\t');
    *r.message++ = 0;
    if (record_count == record_room) records = realloc(records, (record_room = record_room ? record_room * 2 : 256) * sizeof *records);
    if (!records) exit(1);
    records[record_count++] = r;
}

/* Whole lines from where the last read of this file ended. */
static void read_from(struct tail *t, int buffer) {
    struct stat st;
    if (fstat(t->fd, &st) || st.st_size <= t->offset) return;
    size_t n = (size_t)(st.st_size - t->offset);
    char *text = malloc(n);
    ssize_t got = text ? pread(t->fd, text, n, t->offset) : 0;
    char *at = text, *end = text + (got > 0 ? got : 0), *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        add_record(at, (size_t)(newline - at), buffer);
        at = newline + 1;
    }
    t->offset += at - text;
    free(text);
}

static void open_tail(struct tail *t, const char *path) {
    struct stat st;
    if (t->fd > 0) close(t->fd);
    t->fd = open(path, O_RDONLY | O_CLOEXEC);
    t->offset = 0;
    t->inode = t->fd >= 0 && fstat(t->fd, &st) == 0 ? st.st_ino : 0;
}

static void read_buffer(int buffer) {
    struct tail *t = &tails[buffer];
    struct stat st;
    char path[64], old[72];
    snprintf(path, sizeof path, LOG_DIR "/%s", names[buffer]);
    snprintf(old, sizeof old, "%s.old", path);
    if (t->fd == 0) { /* first time: what was rotated away comes first */
        open_tail(t, old);
        if (t->fd >= 0) read_from(t, buffer);
        open_tail(t, path);
    }
    if (t->fd >= 0) read_from(t, buffer);
    if (stat(path, &st) == 0 && st.st_ino != t->inode) { /* rotated or cleared since */
        open_tail(t, path);
        if (t->fd >= 0) read_from(t, buffer);
    }
}

static bool wanted(const struct options *o, const struct record *r) {
    char least = o->silent_default ? 'S' : 'V';
    for (int i = 0; i < o->filter_count; i++)
        if (strcmp(o->filters[i].tag, "*") == 0) least = o->filters[i].priority;
    for (int i = 0; i < o->filter_count; i++)
        if (strcmp(o->filters[i].tag, r->tag) == 0) least = o->filters[i].priority;
    if (strchr(priorities, r->priority) < strchr(priorities, least)) return false;
    if (o->pid && r->pid != o->pid) return false;
    return !o->has_regex || regexec(&o->regex, r->message, 0, NULL, 0) == 0;
}

static void format_time(const struct options *o, const struct record *r, char *out, size_t bytes) {
    int64_t ns = o->monotonic ? r->monotonic_ns : r->realtime_ns, fraction = ns % 1000000000;
    time_t seconds = ns / 1000000000;
    struct tm tm;
    size_t n;
    if (o->monotonic || o->epoch)
        n = (size_t)snprintf(out, bytes, o->monotonic ? "%6lld" : "%19lld", (long long)seconds);
    else
        n = strftime(out, bytes, o->year ? "%Y-%m-%d %H:%M:%S" : "%m-%d %H:%M:%S", gmtime_r(&seconds, &tm));
    for (int i = o->fraction_digits; i < 9; i++) fraction /= 10;
    snprintf(out + n, bytes - n, ".%0*lld", o->fraction_digits, (long long)fraction);
}

static void print_record(const struct options *o, const struct record *r) {
    char when[64];
    if (!announced[r->buffer]) printf("--------- beginning of %s\n", names[r->buffer]);
    announced[r->buffer] = true;
    format_time(o, r, when, sizeof when);
    if (strcmp(o->format, "raw") == 0)
        puts(r->message);
    else if (strcmp(o->format, "brief") == 0)
        printf("%c/%-8s(%5d): %s\n", r->priority, r->tag, r->pid, r->message);
    else if (strcmp(o->format, "tag") == 0)
        printf("%c/%-8s: %s\n", r->priority, r->tag, r->message);
    else if (strcmp(o->format, "time") == 0)
        printf("%s %c/%-8s(%5d): %s\n", when, r->priority, r->tag, r->pid, r->message);
    else
        printf("%s %5d %5d %c %-8s: %s\n", when, r->pid, r->tid, r->priority, r->tag, r->message);
    printed++;
}

static int by_time(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    return x->monotonic_ns < y->monotonic_ns ? -1 : x->monotonic_ns > y->monotonic_ns;
}

/* Prints what came since the last call. False when enough was printed. */
static bool print_new(const struct options *o, bool first) {
    size_t skip = 0, kept = 0;
    record_count = 0;
    for (int b = 0; b < BUFFERS; b++)
        if (o->buffers[b]) read_buffer(b);
    for (size_t i = 0; i < record_count; i++) {
        if (wanted(o, &records[i]) && records[i].realtime_ns >= o->since_ns)
            records[kept++] = records[i];
        else
            free(records[i].line);
    }
    if (kept) qsort(records, kept, sizeof *records, by_time);
    if (first && o->tail >= 0 && kept > (size_t)o->tail) skip = kept - (size_t)o->tail;
    for (size_t i = 0; i < kept; i++) {
        if (i >= skip && !(o->max_count && printed >= o->max_count)) print_record(o, &records[i]);
        free(records[i].line);
    }
    fflush(stdout);
    return !ferror(stdout) && !(o->max_count && printed >= o->max_count);
}

static bool set_buffers(struct options *o, const char *list) {
    char copy[128], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", list);
    while ((name = strsep(&rest, ","))) {
        bool all = strcmp(name, "all") == 0, standard = strcmp(name, "default") == 0, known = all || standard;
        for (int b = 0; b < BUFFERS; b++)
            if (all || (standard && b != 2) || strcmp(name, names[b]) == 0) known = o->buffers[b] = true;
        if (!known && strcmp(name, "radio") && strcmp(name, "kernel")) return fprintf(stderr, "Unknown -b buffer '%s'\n", name), false;
    }
    return true;
}

static bool set_format(struct options *o, const char *list) {
    static const char *const formats[] = {"threadtime", "brief", "time", "tag", "raw"};
    char copy[128], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", list);
    while ((name = strsep(&rest, ", "))) {
        bool known = strcmp(name, "UTC") == 0 || strcmp(name, "zone") == 0;
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            if (strcmp(name, formats[i]) == 0) known = (o->format = formats[i]);
        if (strcmp(name, "epoch") == 0) known = o->epoch = true;
        if (strcmp(name, "monotonic") == 0) known = o->monotonic = true;
        if (strcmp(name, "year") == 0) known = o->year = true;
        if (strcmp(name, "usec") == 0 || strcmp(name, "nsec") == 0) {
            o->fraction_digits = *name == 'u' ? 6 : 9;
            known = true;
        }
        if (!known) return fprintf(stderr, "Invalid parameter \"%s\" to -v\n", name), false;
    }
    return true;
}

/* -T and -t: a number of lines, "seconds.fraction" since the epoch, or "[YYYY-]MM-DD hh:mm:ss.fraction". */
static bool set_start(struct options *o, const char *text) {
    char *end;
    struct tm tm = {0};
    long count = strtol(text, &end, 10);
    double fraction = 0;
    if (!*end && *text) return o->tail = count, true;
    if (*end == '.' && end != text) {
        fraction = strtod(end, &end);
        if (!*end) return o->since_ns = count * INT64_C(1000000000) + (int64_t)(fraction * 1e9), true;
    }
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (!end) end = strptime(text, "%m-%d %H:%M:%S", &tm);
    if (!end) return fprintf(stderr, "-T \"%s\" not in time format\n", text), false;
    if (*end == '.') fraction = strtod(end, NULL);
    o->since_ns = (int64_t)timegm(&tm) * 1000000000 + (int64_t)(fraction * 1e9);
    return true;
}

static bool add_filter(struct options *o, const char *spec) {
    if (o->filter_count == FILTERS) return fputs("too many filters\n", stderr), false;
    struct filter *f = &o->filters[o->filter_count++];
    const char *colon = strchr(spec, ':');
    snprintf(f->tag, sizeof f->tag, "%.*s", colon ? (int)(colon - spec) : 63, spec);
    f->priority = colon && colon[1] ? colon[1] : 'V';
    if (f->priority == '*') f->priority = 'V';
    if (f->priority >= 'a') f->priority = (char)(f->priority - 32);
    if (!strchr(priorities, f->priority)) return fprintf(stderr, "Invalid filter expression '%s'\n", spec), false;
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o) {
    int c;
    while ((c = getopt(argc, argv, "dcsb:v:T:t:m:e:P:-:")) != -1) {
        const char *value = optarg;
        if (c == '-') { /* --pid=N, --clear, --regex=R, --max-count=N, --format=F, --buffer=B */
            const char *equals = strchr(value, '=');
            if (strcmp(value, "clear") == 0)
                c = 'c';
            else if (strncmp(value, "pid=", 4) == 0)
                c = 'p';
            else if (strncmp(value, "regex=", 6) == 0)
                c = 'e';
            else if (strncmp(value, "max-count=", 10) == 0)
                c = 'm';
            else if (strncmp(value, "format=", 7) == 0)
                c = 'v';
            else if (strncmp(value, "buffer=", 7) == 0)
                c = 'b';
            else
                return fprintf(stderr, "logcat: unknown option --%s\n", value), false;
            value = equals ? equals + 1 : value;
        }
        if (c == 'd') o->dump = true;
        if (c == 'c') o->clear = true;
        if (c == 's') o->silent_default = true;
        if (c == 'b' && !set_buffers(o, value)) return false;
        if (c == 'v' && !set_format(o, value)) return false;
        if ((c == 'T' || c == 't') && !set_start(o, value)) return false;
        if (c == 't') o->dump = true;
        if (c == 'm') o->max_count = atol(value);
        if (c == 'p') o->pid = atoi(value);
        if (c == 'e' && (regcomp(&o->regex, value, REG_EXTENDED | REG_NOSUB) || !(o->has_regex = true))) return false;
        if (c == '?' || c == 'P') return false;
    }
    for (; optind < argc; optind++)
        if (!add_filter(o, argv[optind])) return false;
    return true;
}

int logcat_main(int argc, char **argv) {
    static struct options o = {.format = "threadtime", .fraction_digits = 3, .tail = -1};
    char path[72], events[4096];
    bool any = false;
    if (!parse_options(argc, argv, &o)) return 1;
    for (int b = 0; b < BUFFERS; b++) any |= o.buffers[b];
    if (!any) set_buffers(&o, "default");
    for (int b = 0; o.clear && b < BUFFERS; b++) {
        if (!o.buffers[b]) continue;
        snprintf(path, sizeof path, LOG_DIR "/%s.old", names[b]);
        unlink(path);
        path[strlen(path) - 4] = 0;
        unlink(path);
    }
    if (o.clear) return 0;
    struct pollfd p = {.fd = inotify_init1(IN_CLOEXEC), .events = POLLIN};
    inotify_add_watch(p.fd, LOG_DIR, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_DELETE);
    for (bool first = true; print_new(&o, first) && !o.dump; first = false)
        if (poll(&p, 1, -1) < 0 || read(p.fd, events, sizeof events) < 0) return 1;
    return 0;
}

int log_main(int argc, char **argv) {
    const char *tag = "log", *buffer = "main";
    char priority = 'I', message[LOG_MESSAGE_BYTES] = "";
    for (int c; (c = getopt(argc, argv, "+t:p:b:")) != -1;) {
        if (c == '?') return 1;
        if (c == 't') tag = optarg;
        if (c == 'b') buffer = optarg;
        if (c == 'p') priority = (char)(optarg[0] & ~32);
    }
    bool known = strchr(priorities, priority) != NULL;
    for (int b = 0; b < BUFFERS; b++)
        if (known && strcmp(buffer, names[b]) == 0) {
            for (int i = optind; i < argc; i++) {
                if (i > optind) strncat(message, " ", sizeof message - strlen(message) - 1);
                strncat(message, argv[i], sizeof message - strlen(message) - 1);
            }
            log_write(buffer, priority, tag, "%s", message);
            return 0;
        }
    return fputs("usage: log [-b BUFFER] [-p PRIORITYCHAR] [-t TAG] MESSAGE...\n", stderr), 1;
}
