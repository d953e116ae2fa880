#pragma once
// A connection to another server, for one caller that waits: net::Outgoing on an io_context of its own.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"
#include "net/outgoing.h"

namespace poplar::moving {

enum class Encryption : std::uint8_t { tls, start_tls, none };  ///< from the first octet, by a command, not at all
enum class Certificate : std::uint8_t { checked, any };

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    Encryption encryption = Encryption::tls;
    Certificate certificate = Certificate::checked;
};

struct StandardPorts {
    std::uint16_t tls, plain;
};
inline constexpr StandardPorts kPop3Ports{995, 110}, kImapPorts{993, 143};

/// "HOST", "HOST:PORT" or "[ADDRESS]:PORT". `wanted`: as the operator says; nothing: TLS from the first octet at the
/// port for it, which is the default, and by a command at any other. Errors: invalid.
Result<Endpoint> parse_endpoint(std::string_view text, std::optional<Encryption> wanted, Certificate certificate,
                                const StandardPorts& ports);

/// Whose mail is fetched, and by whose password.
struct Credentials {
    std::string user, password;
    std::string master;              ///< it is this user's password (RFC 4616 s2: authcid); "": the user's own
    std::string sasl_plain() const;  ///< the message of SASL PLAIN, in base64
};

inline constexpr std::uint64_t kLargestMessage = 256u << 20;  ///< octets; a larger one is refused

/// Errors of all calls: timed_out, closed, io (nobody can be reached there), denied (its certificate).
class Wire {
public:
    Wire();
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Connects, with TLS if the endpoint has it from the first octet. Tries all addresses of the host.
    Result<> open(const Endpoint& endpoint);
    Result<> start_tls();
    bool is_open() const { return connection_ != nullptr; }
    Result<std::string> read_line(std::size_t limit);
    Result<std::string> read_some(std::size_t limit);
    Result<> write(std::string_view bytes);
    void cut() { connection_.reset(); }

private:
    template <class T>
    Result<T> wait(Task<Result<T>> task);

    asio::io_context context_;
    Endpoint endpoint_;
    std::shared_ptr<const net::ClientTls> tls_;
    std::unique_ptr<net::Outgoing> connection_;
};

}  // namespace poplar::moving
