#pragma once
// Everything that needs the privileges the server starts with: sockets, folders, the log file. Where `identity`, the
// user that the server becomes, could change what a path leads to, these functions act with its rights and not as root.
#include <optional>
#include <string>
#include <vector>

#include "net/listener.h"
#include "process/privileges.h"
#include "server/config.h"

namespace poplar::server {

struct BoundListener {
    std::size_t row;  ///< of listener_rows()
    net::Listener listener;
    std::optional<std::size_t> own = {};  ///< of Config::listeners
};

/// Opens all sockets. Those that systemd hands over take the place of the addresses that [listen] has for their
/// listener.
/// Errors: invalid; the detail is a whole line for the operator.
Result<std::vector<BoundListener>> bind_all(const Config& config, std::size_t workers,
                                            const std::optional<process::Identity>& identity);
Result<net::Listener> bind_admin_socket(const Config& config, const std::optional<process::Identity>& identity);

/// Makes data_dir (mode 0700, of `identity`) if it is missing.
Result<> prepare_data_dir(const Config& config, const std::optional<process::Identity>& identity);
/// Makes it possible for `identity` to open the log file later, and again after each rotation. Makes the file's folder,
/// of `identity`, if it is missing; and the file, if only root can make it.
void prepare_log_file(const Config& config, const std::optional<process::Identity>& identity);
/// Removes the files of local sockets, when the start fails.
void remove_sockets(const std::vector<std::string>& paths, const std::optional<process::Identity>& identity);

}  // namespace poplar::server
