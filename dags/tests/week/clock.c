/* Another clock of the wall for a tree of processes, ClickHouse's engine among them: preloaded, it adds to the real one
 * what the file named by TEST_CLOCK says, 8 bytes of nanoseconds, mapped, so that whoever writes there
 * moves the clock of all at once. Clocks that only run, as the monotonic one, stay as they are.
 *
 * libfaketime does the same for who asks the C library. The engine does not: it brings a C library's part of its own and
 * finds the kernel's function in the vDSO by its name. So the name is made to lead here, which nobody notices who
 * asked for it before, as the C library, whose function this one is made from.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
/* No clock that only runs has come so far: a machine is up for 31 years then. */
#define OF_THE_WALL 1000000000L

static volatile const int64_t *ahead;
static int (*asked)(clockid_t, struct timespec *);

static void moved(struct timespec *at, int64_t by) {
    int64_t all = at->tv_sec * SECOND + at->tv_nsec + by;
    at->tv_sec = all / SECOND;
    at->tv_nsec = all % SECOND;
}

int clock_gettime(clockid_t which, struct timespec *at) {
    int failed = asked ? asked(which, at) : (int)syscall(SYS_clock_gettime, which, at);
    if (!failed && ahead && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) moved(at, *ahead);
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* Until when somebody waits is said by the moved clock, and waited for by the real one. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
    struct timespec real = *until;
    if (until->tv_sec < OF_THE_WALL) return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
    if (ahead) moved(&real, -*ahead);
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &real);
}

static void lead_here(uintptr_t base, const char *name, uintptr_t here) {
    const ElfW(Ehdr) *header = (const void *)base;
    const ElfW(Phdr) *parts = (const void *)(base + header->e_phoff);
    const ElfW(Dyn) *entry = NULL;
    uintptr_t bias = base, size = 0;
    ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    for (int one = 0; one < header->e_phnum; one++) {
        if (parts[one].p_type == PT_LOAD) {
            bias = base + parts[one].p_offset - parts[one].p_vaddr;
            size = parts[one].p_memsz;
        } else if (parts[one].p_type == PT_DYNAMIC) entry = (const void *)(base + parts[one].p_offset);
    }
    for (; entry && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB) symbols = (void *)(bias + entry->d_un.d_ptr);
        if (entry->d_tag == DT_STRTAB) names = (const void *)(bias + entry->d_un.d_ptr);
    }
    if (!symbols || !names || mprotect((void *)base, size, PROT_READ | PROT_WRITE | PROT_EXEC)) {
        perror("clock.c: the vDSO cannot be written");
        abort();
    }
    /* The names come right after the symbols. */
    for (ElfW(Sym) *one = symbols; (const char *)one < names; one++)
        if (!strcmp(names + one->st_name, name)) one->st_value = here - bias;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        perror("clock.c: TEST_CLOCK names no file of 8 bytes");
        abort();
    }
    close(file);
    asked = dlsym(RTLD_NEXT, "clock_gettime");
    ahead = mapped;
    lead_here(getauxval(AT_SYSINFO_EHDR),
#ifdef __aarch64__
              "__kernel_clock_gettime",
#else
              "__vdso_clock_gettime",
#endif
              (uintptr_t)clock_gettime);
}
