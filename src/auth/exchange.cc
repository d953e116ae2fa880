#include "auth/exchange.h"

#include <fmt/format.h>

#include "auth/exchanges.h"
#include "base/random.h"

namespace poplar::auth {

namespace {

bool is_plus(Mechanism mechanism) {
    return mechanism == Mechanism::scram_sha_256_plus || mechanism == Mechanism::scram_sha_1_plus;
}

}  // namespace

Proof proof_of(Mechanism mechanism) {
    switch (mechanism) {
        case Mechanism::external: return Proof::certificate;
        case Mechanism::oauthbearer:
        case Mechanism::xoauth2: return Proof::token;
        case Mechanism::cram_md5: return Proof::shared_secret;
        default: return Proof::password;
    }
}

Task<Result<Exchange::Step>> Exchange::start(std::optional<std::string> initial_response) {
    if (!initial_response) co_return opening();
    // RFC 4422 s3.3, RFC 5034 s4
    if (!takes_initial_response())
        co_return fail(Errc::invalid, fmt::format("{} has no initial response", name_of(mechanism_)));
    co_return co_await respond(std::move(*initial_response));
}

Sasl::Sasl(Authenticator& authenticator, const Clock& clock, SaslOptions options, std::shared_ptr<TokenVerifier> tokens)
    : authenticator_(authenticator), clock_(clock), options_(std::move(options)), tokens_(std::move(tokens)) {}

bool Sasl::in_use(Mechanism mechanism) const {
    if (std::ranges::find(options_.mechanisms, mechanism) == options_.mechanisms.end()) return false;
    return (mechanism != Mechanism::oauthbearer && mechanism != Mechanism::xoauth2) || tokens_;
}

bool Sasl::is_offered(Mechanism mechanism, const Channel& channel) const {
    if (!in_use(mechanism)) return false;
    switch (mechanism) {
        case Mechanism::scram_sha_256_plus:
        case Mechanism::scram_sha_1_plus: return channel.encrypted();
        case Mechanism::external: return channel.encrypted() && !channel.certificate_addresses().empty();
        case Mechanism::oauthbearer:
        case Mechanism::xoauth2: return channel.encrypted();  // RFC 7628 s3: TLS MUST be used
        case Mechanism::plain:
        case Mechanism::login: return channel.passwords_allowed();
        case Mechanism::scram_sha_256:
        case Mechanism::scram_sha_1:
        case Mechanism::cram_md5: break;
    }
    return true;
}

std::vector<Mechanism> Sasl::offered(const Channel& channel) const {
    std::vector<Mechanism> list;
    for (auto mechanism : all_mechanisms())
        if (is_offered(mechanism, channel)) list.push_back(mechanism);
    return list;
}

Result<std::unique_ptr<Exchange>> Sasl::begin(std::string_view name, const Channel& channel) const {
    auto mechanism = find_mechanism(name);
    if (!mechanism || !in_use(*mechanism)) return fail(Errc::not_found, "unknown mechanism");
    if (!is_offered(*mechanism, channel)) {
        if (channel.encrypted()) return fail(Errc::conflict, "no client certificate with an address");
        return fail(Errc::denied, "not without TLS");
    }
    switch (*mechanism) {
        case Mechanism::plain: return make_plain(authenticator_, channel);
        case Mechanism::login: return make_login(authenticator_, channel);
        case Mechanism::external: return make_external(authenticator_, channel);
        case Mechanism::oauthbearer:
            return make_bearer(*mechanism, authenticator_, channel, tokens_, token_failure(options_.tokens));
        case Mechanism::xoauth2:
            return make_bearer(*mechanism, authenticator_, channel, tokens_, xoauth2_failure(options_.tokens));
        case Mechanism::cram_md5: {
            auto seconds = std::chrono::floor<std::chrono::seconds>(clock_.now()).time_since_epoch().count();
            auto host = options_.hostname.empty() ? std::string("localhost") : options_.hostname;
            return make_cram_md5(authenticator_, channel, fmt::format("<{}.{}@{}>", random_text(26), seconds, host));
        }
        default: break;
    }
    bool plus_offered =
        std::ranges::any_of(all_mechanisms(), [&](Mechanism one) { return is_plus(one) && is_offered(one, channel); });
    return make_scram(*mechanism, authenticator_, channel, plus_offered);
}

}  // namespace poplar::auth
