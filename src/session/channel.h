#pragma once
#include <span>
#include <string>
#include <string_view>

#include "auth/exchange.h"

namespace poplar::net {
class Connection;
}

namespace poplar::session {

/// Whether passwords are accepted over a connection that is not encrypted.
enum class AllowPlaintext { never, loopback, always };

/// The connection as SASL's mechanisms see it.
class Channel final : public auth::Channel {
public:
    Channel(const net::Connection& connection, AllowPlaintext allow_plaintext, directory::Service service)
        : connection_(connection), allow_plaintext_(allow_plaintext), service_(service) {}
    std::string_view peer() const override;
    bool peer_is_loopback() const override;
    directory::Service service() const override { return service_; }
    bool encrypted() const override;
    bool passwords_allowed() const override;
    std::string binding(std::string_view type) const override;
    std::span<const std::string> certificate_addresses() const override;

private:
    const net::Connection& connection_;
    const AllowPlaintext allow_plaintext_;
    const directory::Service service_;
};

}  // namespace poplar::session
