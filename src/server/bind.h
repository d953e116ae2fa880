#pragma once
// Everything that needs the privileges the server starts with: sockets, folders, the identity to take.
#include <optional>
#include <string>
#include <vector>

#include "net/listener.h"
#include "server/config.h"
#include "server/privileges.h"

namespace poplar::server {

enum class Protocol { pop3, pop3s, smtp, lmtp };
inline constexpr std::array kProtocols = {Protocol::pop3, Protocol::pop3s, Protocol::smtp, Protocol::lmtp};
std::string_view name_of(Protocol protocol);

struct BoundListener {
    Protocol protocol;
    net::Listener listener;
};

/// Sockets that systemd hands over take the place of the addresses configured for their protocol.
/// Errors: invalid, the detail being a whole line for the operator.
Result<std::vector<BoundListener>> bind_all(const Config& config, std::size_t workers,
                                            const std::optional<Identity>& identity);
Result<net::Listener> bind_admin_socket(const Config& config, const std::optional<Identity>& identity);

/// Makes data_dir (mode 0700, of `identity`) if it is missing.
Result<> prepare_data_dir(const Config& config, const std::optional<Identity>& identity);
/// Makes the folder of the log file, of `identity`, if it is missing: rotated logs are opened anew without privileges.
void make_log_folder(const Config& config, const std::optional<Identity>& identity);
/// The log file, opened by root, must be writable for `identity` after a reopen.
void hand_over_log_file(const Config& config, const std::optional<Identity>& identity);

}  // namespace poplar::server
