#include "base/background.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

#include "base/log.h"

namespace poplar {

// SCHED_BATCH: the thread interrupts nobody when it wakes up. Nice 10: it gets about a tenth of a core while all are
// wanted. Neither SCHED_IDLE nor nice 19, because these threads take locks that others want, if only for moments (the
// index's cache, the table of segments): one that is put aside with such a lock must have its turn soon, not after a
// second.
void become_background_thread(const char* name) {
    constexpr int kNicer = 10, kNicest = 19;
    pthread_setname_np(pthread_self(), name);
    sched_param none{};
    int why = sched_setscheduler(0, SCHED_BATCH, &none) == 0 ? 0 : errno;
    // On Linux this is the thread's, not the process's.
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if (errno != 0 || setpriority(PRIO_PROCESS, 0, std::min(now + kNicer, kNicest)) != 0) why = errno;
    // A failure costs only speed: threads that serve somebody wait for threads that have time.
    static std::atomic<bool> told = false;
    if (why != 0 && !told.exchange(true))
        log::warning("server.background_not_nice", {{"thread", name}, {"reason", std::system_category().message(why)}});
}

}  // namespace poplar
