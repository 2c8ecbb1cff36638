/* Plants a delay of known size into a kernel function: plant_delay DELAY_NS COMM FUNCTION...
 *
 * A BPF program on a kprobe at the first FUNCTION that the kernel has busy-waits until DELAY_NS have passed on the
 * kernel's clock, whenever a thread named COMM calls it. So the lock that the function is called under is held longer by
 * a known time, on any kernel with kprobes and BPF: no kernel has to be built. The probe costs something itself; with
 * DELAY_NS 0 it only costs, which is what to compare with.
 *
 * Prints "ready FUNCTION" once it is attached, and on SIGTERM "calls total_ns": how often, and how long in all, by the
 * kernel's clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TURNS = 8000 }; /* a bound for the verifier, which knows no longer loop. Each turn reads the clock: half a millisecond */

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_totals(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1};

	return bpf(BPF_MAP_CREATE, &attr);
}

#define INSN(CODE, DST, SRC, OFF, IMM) \
	((struct bpf_insn){.code = (CODE), .dst_reg = (DST), .src_reg = (SRC), .off = (OFF), .imm = (IMM)})
#define CALL(F) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, F)
#define MOV(D, S) INSN(BPF_ALU64 | BPF_MOV | BPF_X, D, S, 0, 0)
#define SET(D, V) INSN(BPF_ALU64 | BPF_MOV | BPF_K, D, 0, 0, V)
#define LOAD64(D, KIND, V) \
	INSN(BPF_LD | BPF_IMM | BPF_DW, D, KIND, 0, (int32_t)(V)), INSN(0, 0, 0, 0, (int32_t)((uint64_t)(V) >> 32))

static int load_program(uint32_t delay_ns, const char *comm, int totals, char *log, size_t log_size)
{
	uint64_t name[2] = {0, 0};

	memcpy(name, comm, strnlen(comm, 15));
	/* r6: when it began; r7: turns; r8: how long it was */
	struct bpf_insn code[] = {
		MOV(1, 10), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -16), SET(2, 16), CALL(BPF_FUNC_get_current_comm),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -16, 0), LOAD64(2, 0, name[0]),
		INSN(BPF_JMP | BPF_JNE | BPF_X, 1, 2, 26, 0), /* 7: to the end */
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -8, 0), LOAD64(2, 0, name[1]),
		INSN(BPF_JMP | BPF_JNE | BPF_X, 1, 2, 22, 0), /* 11: to the end */
		CALL(BPF_FUNC_ktime_get_ns), MOV(6, 0), SET(7, 0),
		CALL(BPF_FUNC_ktime_get_ns), MOV(8, 0), INSN(BPF_ALU64 | BPF_SUB | BPF_X, 8, 6, 0, 0), /* 15 */
		INSN(BPF_JMP | BPF_JGE | BPF_K, 8, 0, 2, delay_ns), /* 18: out of the loop */
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 7, 0, 0, 1), INSN(BPF_JMP | BPF_JLT | BPF_K, 7, 0, -6, TURNS), /* 20: to 15 */
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -20, 0), MOV(2, 10), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -20),
		LOAD64(1, BPF_PSEUDO_MAP_FD, totals), CALL(BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3, 0), /* 27: to the end */
		SET(1, 1), INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD), INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 8, 8, BPF_ADD),
		SET(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0), /* 31 */
	};
	const size_t count = sizeof(code) / sizeof(*code), last = count - 2;
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_KPROBE, .insns = (uintptr_t)code, .insn_cnt = count,
			       .license = (uintptr_t) "Dual BSD/GPL", .log_buf = (uintptr_t)log, .log_size = log_size,
			       .log_level = 1};

	for (size_t i = 0; i < count; i++) /* the three ways out */
		if (code[i].code == (BPF_JMP | BPF_JNE | BPF_X) || code[i].code == (BPF_JMP | BPF_JEQ | BPF_K))
			code[i].off = last - i - 1;
	int loaded = bpf(BPF_PROG_LOAD, &attr);

	if (loaded < 0 && errno == ENOSPC) { /* only its log was too long */
		attr.log_level = attr.log_size = attr.log_buf = 0;
		loaded = bpf(BPF_PROG_LOAD, &attr);
	}
	return loaded;
}

static int read_kprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type = -1;

	if (f) {
		if (fscanf(f, "%d", &type) != 1)
			type = -1;
		fclose(f);
	}
	return type;
}

int main(int argc, char **argv)
{
	static char log[1 << 16];
	struct perf_event_attr probe = {.size = sizeof(probe), .sample_period = 1};
	char *end;
	unsigned long delay_ns = argc > 3 ? strtoul(argv[1], &end, 10) : 0;
	int totals, program, event = -1, at = 3;
	sigset_t stop;
	int signal_number;

	if (argc < 4 || *end || delay_ns > 400000) {
		fprintf(stderr, "usage: plant_delay DELAY_NS COMM FUNCTION... (at most 400000 ns)\n");
		return 2;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	totals = make_totals();
	program = totals < 0 ? -1 : load_program(delay_ns, argv[2], totals, log, sizeof(log));
	if (program < 0) {
		fprintf(stderr, "plant_delay: the kernel does not take the BPF program: %s\n%s", strerror(errno),
			log[0] ? log + (strlen(log) > 600 ? strlen(log) - 600 : 0) : "");
		return 3;
	}
	if ((int)(probe.type = read_kprobe_type()) < 0) {
		fprintf(stderr, "plant_delay: this kernel has no kprobes for perf (CONFIG_KPROBE_EVENTS)\n");
		return 3;
	}
	for (; at < argc && event < 0; at++) {
		probe.config1 = (uintptr_t)argv[at];
		event = syscall(SYS_perf_event_open, &probe, -1, 0, -1, 0);
	}
	if (event < 0 || ioctl(event, PERF_EVENT_IOC_SET_BPF, program) || ioctl(event, PERF_EVENT_IOC_ENABLE, 0)) {
		fprintf(stderr, "plant_delay: cannot probe %s: %s\n", argv[at - 1], strerror(errno));
		return 3;
	}
	printf("ready %s\n", argv[at - 1]);
	fflush(stdout);
	sigwait(&stop, &signal_number);
	close(event);
	uint64_t found[2] = {0, 0};
	uint32_t key = 0;
	union bpf_attr look = {.map_fd = totals, .key = (uintptr_t)&key, .value = (uintptr_t)found};

	if (bpf(BPF_MAP_LOOKUP_ELEM, &look))
		return 3;
	printf("planted %llu calls %llu ns\n", (unsigned long long)found[0], (unsigned long long)found[1]);
	return 0;
}
