/* Starts our programs on bionic, and gives them the functions that glibc's headers call by names of their own. */
#include <stdarg.h>
#include <stddef.h>

int main(int argc, char **argv);
int *__errno(void);
__attribute__((noreturn)) void __libc_init(void *arguments, void (*at_exit)(void), int (*entry)(int, char **), void *const *arrays);

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN int *__errno_location(void) { return __errno(); }

int vsscanf(const char *text, const char *format, va_list arguments);
long strtol(const char *text, char **end, int base);
unsigned long strtoul(const char *text, char **end, int base);
long long strtoll(const char *text, char **end, int base);
unsigned long long strtoull(const char *text, char **end, int base);

#define SSCANF(name)                                                                                                             \
    HIDDEN int name(const char *text, const char *format, ...) {                                                                 \
        va_list arguments;                                                                                                       \
        va_start(arguments, format);                                                                                             \
        int found = vsscanf(text, format, arguments);                                                                            \
        va_end(arguments);                                                                                                       \
        return found;                                                                                                            \
    }
SSCANF(__isoc99_sscanf)
SSCANF(__isoc23_sscanf)
HIDDEN long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
HIDDEN unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }
HIDDEN long long __isoc23_strtoll(const char *text, char **end, int base) { return strtoll(text, end, base); }
HIDDEN unsigned long long __isoc23_strtoull(const char *text, char **end, int base) { return strtoull(text, end, base); }

/* The linker has called our constructors; bionic asks for the arrays only to call destructors, and there are none. */
static void *const no_arrays[16];

__attribute__((noreturn, used)) static void start(void *arguments) { __libc_init(arguments, NULL, main, no_arrays); }

#if defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n b start\n");
#elif defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#endif
