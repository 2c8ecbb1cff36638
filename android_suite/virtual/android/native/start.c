/* Starts our programs on bionic, and gives them the one function that glibc's headers call otherwise. */
#include <stddef.h>

int main(int argc, char **argv);
int *__errno(void);
__attribute__((noreturn)) void __libc_init(void *arguments, void (*at_exit)(void), int (*entry)(int, char **), void *const *arrays);

__attribute__((visibility("hidden"))) int *__errno_location(void) { return __errno(); }

/* The linker has called our constructors; bionic asks for the arrays only to call destructors, and there are none. */
static void *const no_arrays[16];

__attribute__((noreturn, used)) static void start(void *arguments) { __libc_init(arguments, NULL, main, no_arrays); }

#if defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n b start\n");
#elif defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#endif
