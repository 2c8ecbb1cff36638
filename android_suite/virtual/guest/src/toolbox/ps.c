/* ps, as Android's toybox has it: the columns of `ps -A` and `ps -AT`, or those asked for. Everything runs as root here. */
#include "toolbox.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define MOST_FIELDS 24

struct task {
    int pid, tid, ppid, priority, nice;
    unsigned long vsz_kib;
    long rss_kib;
    char state, comm[64], name[256], args[512]; /* name: the command line's first word, or the thread's in brackets */
};

enum field { USER, UID, PID, TID, PPID, VSZ, RSS, WCHAN, ADDR, PRI, NI, S, STAT, NAME, COMM, CMD, ARGS, FIELDS };

static const struct {
    const char *name;
    int width; /* < 0: to the left */
} columns[FIELDS] = {
    [USER] = {"USER", -14}, [UID] = {"UID", 5},    [PID] = {"PID", 5},   [TID] = {"TID", 5},    [PPID] = {"PPID", 5},  [VSZ] = {"VSZ", 10},
    [RSS] = {"RSS", 6},     [WCHAN] = {"WCHAN", -17}, [ADDR] = {"ADDR", 8}, [PRI] = {"PRI", 3}, [NI] = {"NI", 3},      [S] = {"S", -1},
    [STAT] = {"STAT", -4},  [NAME] = {"NAME", -27}, [COMM] = {"COMM", -16}, [CMD] = {"CMD", -27}, [ARGS] = {"ARGS", -27},
};
static const enum field plain[] = {USER, PID, PPID, VSZ, RSS, WCHAN, ADDR, S, NAME, FIELDS};
static const enum field threads[] = {USER, PID, TID, PPID, VSZ, RSS, WCHAN, ADDR, S, CMD, FIELDS};

static size_t read_all(const char *path, char *text, size_t bytes) {
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, bytes - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    return n;
}

static bool read_task(const char *pid, const char *tid, struct task *task) {
    char path[300], line[1024], *opened, *closed;
    snprintf(path, sizeof path, "/proc/%s/task/%s/stat", pid, tid);
    read_all(path, line, sizeof line);
    if (!(opened = strchr(line, '(')) || !(closed = strrchr(line, ')'))) return false; /* it ended meanwhile */
    *task = (struct task){.pid = atoi(pid), .tid = atoi(tid), .state = '?'};
    long rss = 0;
    sscanf(closed + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d %d %*d %*d %*u %lu %ld", &task->state, &task->ppid,
           &task->priority, &task->nice, &task->vsz_kib, &rss);
    task->vsz_kib >>= 10;
    task->rss_kib = rss * (sysconf(_SC_PAGESIZE) >> 10);
    *closed = 0;
    snprintf(task->comm, sizeof task->comm, "%.63s", opened + 1);
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    size_t n = read_all(path, task->args, sizeof task->args);
    if (*task->args)
        snprintf(task->name, sizeof task->name, "%.255s", task->args); /* ends at the first word's terminator */
    else
        snprintf(task->name, sizeof task->name, "[%s]", task->comm);
    while (n && !task->args[n - 1]) n--;
    for (size_t i = 0; i < n; i++)
        if (!task->args[i]) task->args[i] = ' ';
    if (!n) snprintf(task->args, sizeof task->args, "%s", task->name);
    return true;
}

static void print_field(enum field field, const char *text, long number, bool last) {
    int width = columns[field].width;
    if (text && last)
        fputs(text, stdout);
    else if (text)
        printf("%*s", width, text);
    else
        printf("%*ld", width, number);
    putchar(last ? '\n' : ' ');
}

static void print_task(const struct task *task, const enum field *fields) {
    char state[2] = {task->state, 0};
    for (; *fields != FIELDS; fields++) {
        const char *text = NULL;
        long number = 0;
        switch (*fields) {
        case USER: text = "root"; break;
        case PID: number = task->pid; break;
        case TID: number = task->tid; break;
        case PPID: number = task->ppid; break;
        case VSZ: number = (long)task->vsz_kib; break;
        case RSS: number = task->rss_kib; break;
        case WCHAN: text = "0"; break;
        case PRI: number = 39 - task->priority; break;
        case NI: number = task->nice; break;
        case S: case STAT: text = state; break;
        case NAME: text = task->name; break;
        case COMM: case CMD: text = task->comm; break;
        case ARGS: text = task->args; break;
        default: break; /* UID, ADDR: 0 */
        }
        print_field(*fields, text, number, fields[1] == FIELDS);
    }
}

/* `NAME,NAME` after what is there; NAME=TITLE is not known. */
static bool add_fields(char *names, enum field *fields, size_t *count) {
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", ")) {
        enum field field = 0;
        while (field < FIELDS && strcasecmp(columns[field].name, name)) field++;
        if (field == FIELDS) return fprintf(stderr, "ps: bad -o '%s'\n", name), false;
        if (*count + 1 >= MOST_FIELDS) return fputs("ps: too many fields\n", stderr), false;
        fields[(*count)++] = field;
    }
    fields[*count] = FIELDS;
    return true;
}

static bool listed(const char *pids, int pid) {
    for (; pids && *pids; pids += strspn(pids, ", ")) {
        if (strtol(pids, (char **)&pids, 10) == pid) return true;
        pids += strcspn(pids, ", ");
    }
    return !pids;
}

static void print_process(const char *pid, const enum field *fields, bool each_thread) {
    struct task task;
    char path[300];
    if (!each_thread) {
        if (read_task(pid, pid, &task)) print_task(&task, fields);
        return;
    }
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *entry; tasks && (entry = readdir(tasks));)
        if (isdigit((unsigned char)entry->d_name[0]) && read_task(pid, entry->d_name, &task)) print_task(&task, fields);
    if (tasks) closedir(tasks);
}

int ps_main(int argc, char **argv) {
    enum field asked[MOST_FIELDS];
    size_t count = 0;
    bool each_thread = false;
    const char *pids = NULL;
    for (int option; (option = getopt(argc, argv, "AaefTwo:p:")) != -1;) {
        if (option == '?') return 1; /* getopt said it */
        each_thread |= option == 'T';
        if (option == 'p') pids = optarg;
        if (option == 'o' && !add_fields(optarg, asked, &count)) return 1;
    }
    if (optind < argc) return fprintf(stderr, "ps: Unexpected argument '%s'\n", argv[optind]), 1;
    const enum field *fields = count ? asked : each_thread ? threads : plain;
    for (const enum field *each = fields; *each != FIELDS; each++) print_field(*each, columns[*each].name, 0, each[1] == FIELDS);
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && listed(pids, atoi(entry->d_name))) print_process(entry->d_name, fields, each_thread);
    if (proc) closedir(proc);
    return 0;
}
