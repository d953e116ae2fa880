#pragma once
// A SASL exchange from the server's side (RFC 4422 s3), whatever the protocol around it: what the client sent goes in,
// decoded; a challenge, an account or a failure comes out. The protocol does base64, lines and cancelling.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/authenticator.h"
#include "auth/mechanism.h"
#include "auth/token.h"
#include "base/asio.h"

namespace poplar::auth {

Proof proof_of(Mechanism mechanism);

/// The connection, as mechanisms must know it.
class Channel {
public:
    virtual ~Channel() = default;
    virtual std::string_view peer() const = 0;
    virtual bool peer_is_loopback() const = 0;
    virtual directory::Service service() const = 0;  ///< what the login is for
    virtual bool encrypted() const = 0;
    /// Whether a password or a token may be sent as it is: encrypted, or the operator allows it.
    virtual bool passwords_allowed() const = 0;
    /// The channel's data for a binding type ("tls-exporter", "tls-server-end-point"); empty: there is none.
    virtual std::string binding(std::string_view type) const = 0;
    /// The mail addresses (rfc822Name) of the client's certificate, if that was verified.
    virtual std::span<const std::string> certificate_addresses() const = 0;
};

/// To be sent to the client; may be empty.
struct Challenge {
    std::string text;
};

/// One client's one attempt. The Sasl and the Channel it began with must outlive it.
class Exchange {
public:
    using Step = std::variant<Challenge, Verified>;
    virtual ~Exchange() = default;

    /// `initial_response`: nothing if the client sent none, which differs from an empty one.
    Task<Result<Step>> start(std::optional<std::string> initial_response);
    /// The client's answer to the last challenge.
    ///
    /// Errors of both, all of which end the exchange: invalid (the client breaks the mechanism's rules; the detail is
    /// fit for it), denied and busy as Authenticator's, others when the directory or a token's issuer can't be asked.
    virtual Task<Result<Step>> respond(std::string response) = 0;

    Mechanism mechanism() const { return mechanism_; }
    /// The name that the client gave, as far as it has: for the log.
    const std::string& name() const { return name_; }

protected:
    Exchange(Mechanism mechanism, Authenticator& authenticator, const Channel& channel)
        : authenticator_(authenticator), channel_(channel), mechanism_(mechanism) {}

    /// The first challenge; empty where the client speaks first.
    virtual Challenge opening() { return {}; }
    virtual bool takes_initial_response() const { return true; }

    Claim claim() const {
        return {name_, std::string(channel_.peer()), channel_.peer_is_loopback(), proof_of(mechanism_),
                channel_.service()};
    }

    Authenticator& authenticator_;
    const Channel& channel_;
    std::string name_;

private:
    Mechanism mechanism_;
};

/// APOP (RFC 1939 s7), which is no SASL mechanism but judged like one. Errors: as Authenticator's.
Task<Result<Verified>> check_apop(Authenticator& authenticator, const Channel& channel, std::string name,
                                  std::string timestamp, std::string digest);

struct SaslOptions {
    /// Those that may be used; what each needs beside decides whether it is offered (Sasl::offered). SCRAM needs keys
    /// and CRAM-MD5 secrets, so an operator names them.
    std::vector<Mechanism> mechanisms{Mechanism::external, Mechanism::oauthbearer, Mechanism::xoauth2, Mechanism::plain,
                                      Mechanism::login};
    TokenOptions tokens;
    std::string hostname;  ///< in CRAM-MD5's challenges
};

/// The mechanisms of a server. May be used from any thread.
class Sasl {
public:
    Sasl(Authenticator& authenticator, const Clock& clock, SaslOptions options, std::shared_ptr<TokenVerifier> tokens);

    /// Strongest first. A -PLUS mechanism and EXTERNAL need TLS, EXTERNAL a verified certificate with an address too;
    /// PLAIN and LOGIN need Channel::passwords_allowed(), tokens TLS, and keys or an issuer to ask.
    std::vector<Mechanism> offered(const Channel& channel) const;

    /// Errors: not_found (no such mechanism, or not in use here), denied (not before TLS), conflict (EXTERNAL without a
    /// certificate that names an address).
    Result<std::unique_ptr<Exchange>> begin(std::string_view mechanism, const Channel& channel) const;

private:
    bool is_offered(Mechanism mechanism, const Channel& channel) const;
    bool in_use(Mechanism mechanism) const;

    Authenticator& authenticator_;
    const Clock& clock_;
    SaslOptions options_;
    std::shared_ptr<TokenVerifier> tokens_;  ///< null: no tokens
};

}  // namespace poplar::auth
