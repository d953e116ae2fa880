// Loaded into the server (LD_PRELOAD): the machine's clock is off by as many seconds as stand in the file
// that POPLAR_TEST_CLOCK names. Time that only goes forward is left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long moved_by(void) {
    const char* name = getenv("POPLAR_TEST_CLOCK");
    FILE* file = name ? fopen(name, "r") : NULL;
    long seconds = 0;
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t id, struct timespec* now) {
    static int (*real)(clockid_t, struct timespec*);
    if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    if (done == 0 && id == CLOCK_REALTIME) now->tv_sec += moved_by();
    return done;
}
