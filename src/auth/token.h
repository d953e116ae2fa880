#pragma once
// OAuth 2.0 bearer tokens: how clients bring them (RFC 7628, XOAUTH2), and who they stand for: JWTs checked here with
// configured keys (jwt.h) or those of their issuer (discovery.h), others by asking that (introspection.h).
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"

namespace poplar::auth {

inline constexpr std::string_view kAnyAudience = "*";

struct TokenOptions {
    std::string issuer;    ///< `iss` of a token, if not empty
    std::string audience;  ///< must be in its `aud`; kAnyAudience: whatever that says
    std::string scope;     ///< must be among its scopes, if not empty; named in the answer to a bad token
    std::string account_claim = "email";
    // Whether a token shows a second factor: one of these in its `acr` (OpenID Connect Core s2), or in its `amr` (RFC
    // 8176 s2). Both empty: none does.
    std::vector<std::string> required_acr, required_amr;
    std::vector<std::string> key_files;  ///< PEM public keys or certificates for JWTs; empty: none are checked here
    std::vector<std::string> algorithms{"RS256", "ES256", "EdDSA"};
    std::chrono::seconds leeway{60};  ///< for clocks that differ

    std::string introspection_url;          ///< RFC 7662; empty: nobody is asked
    std::string introspection_user;         ///< for HTTP Basic, with
    std::string introspection_secret_file;  ///< its first line
    std::string introspection_ca_file;      ///< PEM; empty: the system's
    std::chrono::seconds introspection_timeout{5};
    std::size_t introspection_requests = 64;  ///< at a time; more logins are answered busy
    std::chrono::seconds cache_ttl{60};       ///< how long the answer about a good token is believed
    std::size_t cache_entries = 10'000;

    std::string discovery;  ///< an issuer whose configuration and keys are fetched; empty: none
    std::string discovery_ca_file;
    std::chrono::seconds discovery_timeout{5};     ///< for each of the two documents
    std::chrono::seconds discovery_refresh{3600};  ///< how long its keys are used before they are fetched again

    std::string configuration_url;  ///< `openid-configuration` in the answer to a bad token (RFC 7628 s3.2.2)

    bool enabled() const { return !key_files.empty() || !introspection_url.empty() || !discovery.empty(); }
};

/// A client's message.
struct BearerMessage {
    std::string name;  ///< the account it wants; empty: the token says
    std::string token;
};
/// RFC 7628 s3.1, the scheme Bearer (RFC 6750) alone. Errors: invalid.
Result<BearerMessage> parse_oauthbearer(std::string_view message);
/// `user=NAME ^A auth=Bearer TOKEN ^A ^A`. Errors: invalid.
Result<BearerMessage> parse_xoauth2(std::string_view message);

/// The JSON that a client gets for a bad token (RFC 7628 s3.2.2).
std::string token_failure(const TokenOptions& options);
/// The same for XOAUTH2, whose clients look for "401".
std::string xoauth2_failure(const TokenOptions& options);

/// Somebody whom a token stands for.
struct TokenHolder {
    TokenHolder(std::string claim = {}, bool shown = false) : name(std::move(claim)), second_factor(shown) {}
    std::string name;            ///< of the account, as the token's claim has it
    bool second_factor = false;  ///< the issuer says that they showed one
};

/// Tells who a token stands for. May be used from any thread with an executor.
class TokenVerifier {
public:
    /// Errors: invalid; the detail names the file.
    static Result<std::shared_ptr<TokenVerifier>> load(const TokenOptions& options, const Clock& clock);
    virtual ~TokenVerifier() = default;

    /// Errors: denied (the token is no good; the detail says why,
    /// for the log), busy, timed_out, io (its issuer can't be asked).
    virtual Task<Result<TokenHolder>> holder_of(std::string token) = 0;
};

}  // namespace poplar::auth
