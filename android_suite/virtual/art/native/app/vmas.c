/* Profile vma: the UI thread writes to the VMAs that ART's collector frees from, without touching an object. */
#include "app.h"
#include "art.h"
#include "vm.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_OBJECT_BYTES (64 * KIB) /* ART keeps arrays of primitives from 12 KiB on apart */

static char *tails[2]; /* a page at the end of the region space, and of the space of large objects */

/* The mapping that holds an address; false if there is none. Reading maps takes mmap_lock, so it is done once. */
static bool find_mapping(uintptr_t address, uintptr_t *start, uintptr_t *end) {
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx", &low, &high) != 2) continue;
        *start = low, *end = high;
        found = low <= address && address < high;
    }
    if (maps) fclose(maps);
    return found;
}

static uintptr_t address_of_new_array(size_t bytes) {
    JNIEnv *env = vm_env();
    jbyteArray array = (*env)->NewByteArray(env, (jsize)bytes);
    if (vm_failed() || !array) abort();
    void *content = (*env)->GetPrimitiveArrayCritical(env, array, NULL);
    uintptr_t address = (uintptr_t)content;
    (*env)->ReleasePrimitiveArrayCritical(env, array, content, JNI_ABORT);
    (*env)->DeleteLocalRef(env, array);
    return address;
}

/* Both spaces fill from their start. ART never fills the region space by more than half, because the other half is for copies, and
 * large objects by as much as the heap holds: the pages at the ends are never used. */
static void find_tails(void) {
    static const size_t sizes[2] = {16, LARGE_OBJECT_BYTES};
    for (int i = 0; i < 2; i++) {
        uintptr_t start, end;
        if (!find_mapping(address_of_new_array(sizes[i]), &start, &end) || end - start < 8 * MIB) {
            log_write("crash", 'F', "AndroidSuite", "no space of the runtime's heap is where an object of %zu bytes is", sizes[i]);
            abort();
        }
        tails[i] = (char *)end - HEAP_TAIL / 2;
        mem_touch(tails[i], PAGE, 0);
    }
}

void vmas_prepare(const struct parameters *p) {
    if (p->ui_protects && !tails[0]) find_tails();
}

/* As the model does, in the two VMAs by turns: a page is taken away from writing and given back, which splits the VMA and merges it. */
void heap_protect_tail(void) {
    static unsigned turn;
    char *page = tails[turn++ % 2];
    mem_protect(ROLE_UI, page, PAGE, PROT_READ);
    mem_protect(ROLE_UI, page, PAGE, PROT_READ | PROT_WRITE);
}
