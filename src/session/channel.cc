#include "session/channel.h"

#include "net/connection.h"

namespace poplar::session {

std::string_view Channel::peer() const { return connection_.peer().address; }

bool Channel::peer_is_loopback() const { return connection_.peer().loopback; }

bool Channel::encrypted() const { return connection_.tls() != nullptr; }

// RFC 2595 s2.3, RFC 4616 s4: a password is sent as it is only where nobody can listen.
bool Channel::passwords_allowed() const {
    if (encrypted()) return true;
    switch (allow_plaintext_) {
        case AllowPlaintext::never: return false;
        case AllowPlaintext::loopback: return peer_is_loopback();
        case AllowPlaintext::always: return true;
    }
    return false;
}

std::string Channel::binding(std::string_view type) const { return connection_.channel_binding(type); }

std::span<const std::string> Channel::certificate_addresses() const {
    const auto* tls = connection_.tls();
    return tls ? std::span<const std::string>(tls->certificate_addresses) : std::span<const std::string>();
}

}  // namespace poplar::session
