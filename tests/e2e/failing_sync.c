/* Preloaded into the server: syncs of files whose path holds what stands in the file $POPLAR_TEST_FAIL fail, as on a
 * disk that has given up. Each that failed is a line in $POPLAR_TEST_FAIL.failed. Without that file all goes well. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd) {
    const char* order = getenv("POPLAR_TEST_FAIL");
    char wanted[256] = "", link[64], path[PATH_MAX] = "", failed[PATH_MAX];
    int file = order ? open(order, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t got = read(file, wanted, sizeof wanted - 1);
    close(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (got <= 0 || readlink(link, path, sizeof path - 2) <= 0 || !strstr(path, wanted)) return 0;
    snprintf(failed, sizeof failed, "%s.failed", order);
    file = open(failed, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    strcat(path, "\n");
    if (write(file, path, strlen(path)) < 0) abort();
    close(file);
    return 1;
}

static int sync_unless_it_fails(int fd, long call) {
    if (!fails(fd)) return (int)syscall(call, fd);
    errno = EIO;
    return -1;
}

int fsync(int fd) { return sync_unless_it_fails(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_unless_it_fails(fd, SYS_fdatasync); }
