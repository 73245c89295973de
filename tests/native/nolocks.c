/* A file system without locks or shared memory, for the tests: preloaded into a process, it makes such calls fail for
 * the files below $NO_LOCKS_BELOW and $NO_SHARED_MEMORY_BELOW, with what a network file system answers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int below(int fd, const char *what) {
    const char *folder = getenv(what);
    char link[64], path[PATH_MAX];
    if (!folder || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return !strncmp(path, folder, strlen(folder));
}
static int is_lock(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_GETLK
        || command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK;
}
#define FCNTL(name) int name(int fd, int command, ...) { \
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
    if (is_lock(command) && below(fd, "NO_LOCKS_BELOW")) { errno = ENOLCK; return -1; } \
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #name))(fd, command, argument); }
FCNTL(fcntl)
FCNTL(fcntl64)
int flock(int fd, int how) {
    if (below(fd, "NO_LOCKS_BELOW")) { errno = ENOLCK; return -1; }
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, how);
}
#define MMAP(name, offset_type) void *name(void *at, size_t n, int protect, int flags, int fd, offset_type offset) { \
    if (fd >= 0 && (flags & MAP_SHARED) && below(fd, "NO_SHARED_MEMORY_BELOW")) { errno = ENODEV; return MAP_FAILED; } \
    return ((void *(*)(void *, size_t, int, int, int, offset_type))dlsym(RTLD_NEXT, #name))(at, n, protect, flags, fd, offset); }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)
