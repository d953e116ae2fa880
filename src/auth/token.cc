#include "auth/token.h"

#include <nlohmann/json.hpp>

#include "auth/discovery.h"
#include "auth/introspection.h"
#include "auth/jwt.h"
#include "auth/sasl.h"
#include "auth/scram.h"
#include "base/ascii.h"
#include "mail/address.h"

namespace poplar::auth {

namespace {

constexpr char kSeparator = '\x01';
constexpr std::string_view kScheme = "bearer ";
constexpr std::size_t kNameLimit = 512;  // octets

/// RFC 6750 s2.1: b64token.
bool is_token(std::string_view text) {
    auto end = text.find_last_not_of('=');
    if (end == std::string_view::npos) return false;
    return std::ranges::all_of(text.substr(0, end + 1),
                               [](char c) { return ascii::is_alnum(c) || std::string_view("-._~+/").contains(c); });
}

/// `Bearer TOKEN`, the scheme in any case (RFC 7628 s3.1, RFC 9110 s11.1). Errors: invalid.
Result<std::string> bearer_token(std::string_view text) {
    if (!ascii::starts_with(text, kScheme)) return fail(Errc::invalid, "not a bearer token");
    text.remove_prefix(kScheme.size());
    if (!is_token(text)) return fail(Errc::invalid, "a malformed token");
    return std::string(text);
}

/// The pairs `key=value ^A ... ^A`, of which `auth` and `user` count. Errors: invalid.
struct Pairs {
    std::string_view authorization, user;
};
Result<Pairs> parse_pairs(std::string_view text) {
    Pairs pairs;
    bool have = false;
    while (text != std::string_view(&kSeparator, 1)) {
        auto end = text.find(kSeparator);
        if (end == 0 || end == std::string_view::npos) return fail(Errc::invalid, "no end of the pairs");
        auto pair = text.substr(0, end);
        text.remove_prefix(end + 1);
        auto equal = pair.find('=');
        if (equal == 0 || equal == std::string_view::npos) return fail(Errc::invalid, "a malformed pair");
        auto key = pair.substr(0, equal), value = pair.substr(equal + 1);
        if (key == "auth") {
            if (std::exchange(have, true)) return fail(Errc::invalid, "two tokens");
            pairs.authorization = value;
        } else if (key == "user") {
            pairs.user = value;
        }
    }
    if (!have) return fail(Errc::invalid, "no token");
    return pairs;
}

bool is_name(std::string_view text) {
    return text.size() <= kNameLimit && mail::is_utf8(text) && text.find('\0') == std::string_view::npos;
}

std::string failure(std::string_view status, const TokenOptions& options) {
    nlohmann::json json{{"status", status}};
    if (!options.scope.empty()) json["scope"] = options.scope;
    if (!options.configuration_url.empty()) json["openid-configuration"] = options.configuration_url;
    return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

class Verifier final : public TokenVerifier {
public:
    Verifier(std::optional<JwtKeys> keys, std::unique_ptr<Discovery> discovery,
             std::unique_ptr<Introspection> introspection, const Clock& clock)
        : keys_(std::move(keys)),
          discovery_(std::move(discovery)),
          introspection_(std::move(introspection)),
          clock_(clock) {}

    Task<Result<TokenHolder>> holder_of(std::string token) override {
        // Where both are configured, a token of ours that is no JWT, or that no key fits, may still be its issuer's.
        Result<TokenHolder> found = fail(Errc::denied, "token: not a JWT");
        if (keys_ && (!introspection_ || looks_like_jwt(token))) found = keys_->holder_of(token, clock_.now());
        if (!found && discovery_ && looks_like_jwt(token)) {
            found = co_await discovery_->holder_of(token);
            if (found || (found.error().code() != Errc::denied && !introspection_)) co_return found;
        }
        if (!found && introspection_) co_return co_await introspection_->holder_of(std::move(token));
        co_return found;
    }

private:
    std::optional<JwtKeys> keys_;
    std::unique_ptr<Discovery> discovery_;
    std::unique_ptr<Introspection> introspection_;
    const Clock& clock_;
};

}  // namespace

Result<BearerMessage> parse_oauthbearer(std::string_view message) {
    auto gs2 = parse_gs2_header(message);
    if (!gs2) return pass_on(gs2);
    // RFC 7628 s3.1: no channel binding.
    if (gs2->flag == 'p') return fail(Errc::invalid, "channel binding");
    auto rest = message.substr(gs2->octets);
    if (!rest.starts_with(kSeparator)) return fail(Errc::invalid, "no pairs");
    auto pairs = parse_pairs(rest.substr(1));
    if (!pairs) return pass_on(pairs);
    auto token = bearer_token(pairs->authorization);
    if (!token) return pass_on(token);
    if (!is_name(gs2->authorization_id)) return fail(Errc::invalid, "a malformed name");
    return BearerMessage{std::move(gs2->authorization_id), std::move(*token)};
}

Result<BearerMessage> parse_xoauth2(std::string_view message) {
    auto pairs = parse_pairs(message);
    if (!pairs) return pass_on(pairs);
    auto token = bearer_token(pairs->authorization);
    if (!token) return pass_on(token);
    if (!is_name(pairs->user)) return fail(Errc::invalid, "a malformed name");
    return BearerMessage{std::string(pairs->user), std::move(*token)};
}

std::string token_failure(const TokenOptions& options) { return failure("invalid_token", options); }

std::string xoauth2_failure(const TokenOptions& options) { return failure("401", options); }

Result<std::shared_ptr<TokenVerifier>> TokenVerifier::load(const TokenOptions& options, const Clock& clock) {
    std::optional<JwtKeys> keys;
    if (!options.key_files.empty()) {
        auto loaded = JwtKeys::load(options);
        if (!loaded) return pass_on(loaded);
        keys.emplace(std::move(*loaded));
    }
    std::unique_ptr<Discovery> discovery;
    if (!options.discovery.empty()) {
        auto made = Discovery::load(options, clock);
        if (!made) return pass_on(made);
        discovery = std::move(*made);
    }
    std::unique_ptr<Introspection> introspection;
    if (!options.introspection_url.empty()) {
        auto made = Introspection::load(options, clock);
        if (!made) return pass_on(made);
        introspection = std::move(*made);
    }
    return std::make_shared<Verifier>(std::move(keys), std::move(discovery), std::move(introspection), clock);
}

}  // namespace poplar::auth
