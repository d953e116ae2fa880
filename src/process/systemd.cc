#include "process/systemd.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

namespace poplar::process::systemd {

namespace {
void notify(const std::string& state) { sd_notify(0, state.c_str()); }
}  // namespace

void ready(const std::string& text) { notify(fmt::format("READY=1\nSTATUS={}", text)); }

void reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void stopping() { notify("STOPPING=1\nSTATUS=Finishing what is under way"); }
void status(const std::string& text) { notify("STATUS=" + text); }
void alive() { notify("WATCHDOG=1"); }

std::optional<std::chrono::microseconds> watchdog() {
    std::uint64_t period = 0;
    if (sd_watchdog_enabled(0, &period) <= 0) return std::nullopt;
    return std::chrono::microseconds(period / 2);
}

Result<std::vector<Socket>> sockets() {
    char** names = nullptr;
    int count = sd_listen_fds_with_names(1, &names);
    if (count < 0) return fail(Errc::io, fmt::format("sockets from systemd: {}", std::strerror(-count)));
    std::vector<Socket> found;
    for (int i = 0; i < count; ++i) {
        found.push_back({names[i] ? names[i] : "", SD_LISTEN_FDS_START + i});
        std::free(names[i]);
    }
    std::free(names);
    return found;
}

}  // namespace poplar::process::systemd
