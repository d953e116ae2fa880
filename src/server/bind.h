#pragma once
// Everything that needs the privileges the server starts with: sockets, folders, the identity to take. Root acts only
// by names that `identity` has no say in; by all others it acts as `identity`.
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
};

/// Sockets that systemd hands over take the place of the addresses configured for their protocol.
/// Errors: invalid, the detail being a whole line for the operator.
Result<std::vector<BoundListener>> bind_all(const Config& config, std::size_t workers,
                                            const std::optional<process::Identity>& identity);
Result<net::Listener> bind_admin_socket(const Config& config, const std::optional<process::Identity>& identity);

/// Makes data_dir (mode 0700, of `identity`) if it is missing.
Result<> prepare_data_dir(const Config& config, const std::optional<process::Identity>& identity);
/// For `identity`, who opens the log file later, and again after each rotation: makes its folder, of `identity`, if it
/// is missing, and where only root may write, the file.
void prepare_log_file(const Config& config, const std::optional<process::Identity>& identity);
/// The files of local sockets, when the start fails.
void remove_sockets(const std::vector<std::string>& paths, const std::optional<process::Identity>& identity);

}  // namespace poplar::server
