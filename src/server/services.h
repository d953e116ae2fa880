#pragma once
// The listeners, one row each, and the function of each that serves a client.
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/server.h"

namespace poplar::activity {
class Ledger;
class MassDeletions;
}  // namespace poplar::activity
namespace poplar::api {
struct Connections;
}
namespace poplar::auth {
class Authenticator;
class DeviceUses;
class OpenSessions;
class Sasl;
}  // namespace poplar::auth
namespace poplar::delivery {
class Delivery;
}
namespace poplar::directory {
class Directory;
struct AccountSettings;
}  // namespace poplar::directory
namespace poplar::mailstore {
class MailStore;
}
namespace poplar::net {
class CurrentTls;
}
namespace poplar::quota {
class Quotas;
}
namespace poplar::smtp {
struct Options;
}

namespace poplar::server {

struct Config;
struct ListenerSettings;

/// The parts of the server that sessions use.
struct Parts {
    auth::Authenticator& authenticator;
    auth::Sasl& sasl;
    auth::OpenSessions& open_sessions;
    auth::DeviceUses& device_uses;
    activity::Ledger& ledger;
    activity::MassDeletions& deletions;
    mailstore::MailStore& store;
    directory::Directory& directory;
    quota::Quotas& quotas;
    delivery::Delivery& delivery;
    const net::CurrentTls &tls, &smtp_tls;  ///< for all but SMTP, and for SMTP's STARTTLS
};

/// The sessions of all protocols, with what they share among themselves.
class Services {
public:
    /// Puts what sessions need into the options of `config`, which outlives this.
    Services(Config& config, const Parts& parts);
    ~Services();

    /// By the index of a row. `own`: the settings of a [[listener]]; null: those of [listen] and [proxy_protocol].
    net::Service service(std::size_t listener, const ListenerSettings* own = nullptr);
    /// Lets POP3 announce the strictest settings that any account has.
    void announce(const directory::AccountSettings& strictest);
    /// Sessions by listener.
    void count_into(api::Connections& connections) const;

    struct Shared;

private:
    std::unique_ptr<Shared> shared_;
};

struct ListenerRow {
    std::string_view name;              ///< `listen.NAME`, `proxy_protocol.NAME`, and a socket's name from systemd
    std::string_view protocol;          ///< listeners of the same one share their part of the connections
    bool tls;                           ///< from the first octet (RFC 8314 s3); needs a certificate
    std::vector<std::string> defaults;  ///< where, if the file has no [listen] and no [[listener]]
    std::string_view words, proxy_words;
    smtp::Options Config::*
        smtp_options;  ///< the options of SMTP or LMTP, which a [[listener]] may have of its own; null: neither
    /// The reply that refuses a connection over a limit, and the function that serves one. `own`: the listener's own
    /// options, if it has some.
    std::string (*busy_reply)(const Services::Shared& shared);
    Task<> (*serve)(std::unique_ptr<net::Connection> connection, Services::Shared& shared, const smtp::Options* own);
};

std::span<const ListenerRow> listener_rows();

}  // namespace poplar::server
