#pragma once
// The server's side of systemd: state, watchdog, sockets. All of it does nothing when systemd did not start us.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace poplar::process::systemd {

void ready(const std::string& status);
void reloading();
void stopping();
void status(const std::string& text);
void alive();  ///< for the watchdog

/// How often alive() must be called, if the unit has WatchdogSec=.
std::optional<std::chrono::microseconds> watchdog();

struct Socket {
    std::string name;  ///< FileDescriptorName= of the socket unit
    int fd;
};
/// Sockets that systemd bound for us. Errors: io.
Result<std::vector<Socket>> sockets();

}  // namespace poplar::process::systemd
