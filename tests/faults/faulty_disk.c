/* Makes system calls on files of one folder fail, in a process that is started with LD_PRELOAD=this library.
 *
 * FAULTY_FOLDER is the folder; FAULTY_CONTROL a file of four 32-bit numbers, which tests/faults/faulty_disk.py writes:
 * the kind of fault (below, 0: none), how many calls of that kind to let pass first, how many to let fail, and how many
 * have failed (written here).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, SHORT_WRITE, WRITE_NO_SPACE, WRITE_ERROR, SYNC_ERROR, CREATE_NO_SPACE, RENAME_ERROR, TRUNCATE_ERROR };

struct control {
    atomic_int kind, pass, fail, failed;
};

static struct control *control;
static char folder[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void begin(void) {
    const char *named = getenv("FAULTY_FOLDER"), *file = getenv("FAULTY_CONTROL");
    if (!named || !file)
        return;
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int descriptor = real_open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (mapped == MAP_FAILED)
        return;
    folder_length = strlen(strcpy(folder, named));
    control = mapped;
}

static int inside(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

static int path_inside(const char *path) { return control && path && inside(path); }

static int file_inside(int descriptor) {
    char link[40], path[PATH_MAX];
    if (!control || atomic_load(&control->kind) == NONE)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return inside(path);
}

/* Whether this call, which could fail by a fault of this kind, shall. */
static int shall_fail(enum kind kind) {
    if (!control || atomic_load(&control->kind) != (int)kind)
        return 0;
    if (atomic_fetch_sub(&control->pass, 1) > 0)
        return 0;
    if (atomic_fetch_sub(&control->fail, 1) <= 0)
        return 0;
    atomic_fetch_add(&control->failed, 1);
    return 1;
}

#define REAL(name)                                                                                                     \
    static __typeof__(&name) real;                                                                                     \
    if (!real)                                                                                                         \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* 0: go on; -1: errno is set; otherwise the number of bytes to write instead. */
static ssize_t write_fault(int descriptor, size_t count) {
    if (!file_inside(descriptor))
        return 0;
    if (shall_fail(WRITE_NO_SPACE)) {
        errno = ENOSPC;
        return -1;
    }
    if (shall_fail(WRITE_ERROR)) {
        errno = EIO;
        return -1;
    }
    return count > 1 && shall_fail(SHORT_WRITE) ? (ssize_t)(count / 2) : 0;
}

ssize_t write(int descriptor, const void *data, size_t count) {
    REAL(write);
    ssize_t fault = write_fault(descriptor, count);
    return fault < 0 ? -1 : real(descriptor, data, fault ? (size_t)fault : count);
}

ssize_t pwrite(int descriptor, const void *data, size_t count, off_t at) {
    REAL(pwrite);
    ssize_t fault = write_fault(descriptor, count);
    return fault < 0 ? -1 : real(descriptor, data, fault ? (size_t)fault : count, at);
}

ssize_t pwrite64(int descriptor, const void *data, size_t count, off64_t at) {
    REAL(pwrite64);
    ssize_t fault = write_fault(descriptor, count);
    return fault < 0 ? -1 : real(descriptor, data, fault ? (size_t)fault : count, at);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(writev);
    ssize_t fault = write_fault(descriptor, count > 1 ? 2 : 1);
    return fault < 0 ? -1 : real(descriptor, parts, fault ? count / 2 : count);
}

int fsync(int descriptor) {
    REAL(fsync);
    if (file_inside(descriptor) && shall_fail(SYNC_ERROR)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}

int fdatasync(int descriptor) {
    REAL(fdatasync);
    if (file_inside(descriptor) && shall_fail(SYNC_ERROR)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}

int ftruncate(int descriptor, off_t length) {
    REAL(ftruncate);
    if (file_inside(descriptor) && shall_fail(TRUNCATE_ERROR)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) {
    REAL(ftruncate64);
    if (file_inside(descriptor) && shall_fail(TRUNCATE_ERROR)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor, length);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (path_inside(to) && shall_fail(RENAME_ERROR)) {
        errno = EIO;
        return -1;
    }
    return real(from, to);
}

static int create_fault(const char *path, int flags) {
    if (!(flags & O_CREAT) || !path_inside(path) || !shall_fail(CREATE_NO_SPACE))
        return 0;
    errno = ENOSPC;
    return 1;
}

#define OPEN(name, parameters, arguments)                                                                              \
    int name parameters {                                                                                              \
        REAL(name);                                                                                                    \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                                        \
        va_end(list);                                                                                                  \
        return create_fault(path, flags) ? -1 : real arguments;                                                        \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))
