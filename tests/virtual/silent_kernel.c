/*
 * The smallest "kernel" that ends as one that panics before its console exists: it resets the machine without a word.
 * With "earlycon" among its arguments it says why first. For arm64 on QEMU's board virt, MMU off.
 */
asm(".text\n"
    "	b 1f\n" /* the header of an arm64 Image, Documentation/arch/arm64/booting.rst */
    "	.long 0\n"
    "	.quad 0, 0x10000, 0xa, 0, 0, 0\n"
    "	.ascii \"ARM\\x64\"\n"
    "	.long 0\n"
    "1:	adr x1, stack\n"
    "	mov sp, x1\n"
    "	b run\n"
    "	.balign 16\n"
    "	.space 1024\n"
    "stack:\n");

#define UART ((volatile unsigned int *)0x09000000)
#define PSCI_SYSTEM_RESET 0x84000009UL

static int starts(const volatile char *at, const char *word)
{
	while (*word && *at == *word)
		at++, word++;
	return !*word;
}

void run(const volatile unsigned char *tree)
{
	unsigned long size = tree[4] << 24 | tree[5] << 16 | tree[6] << 8 | tree[7];
	const char *message = "[    0.000000] Kernel panic - not syncing: planted\n";

	for (unsigned long i = 0; i < size; i++)
		if (starts((const volatile char *)tree + i, "earlycon")) {
			while (*message)
				*UART = *message++;
			break;
		}
	register unsigned long call asm("x0") = PSCI_SYSTEM_RESET;
	asm volatile("hvc #0" : : "r"(call));
	for (;;)
		;
}
