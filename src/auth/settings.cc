#include "auth/settings.h"

#include "auth/authenticator.h"
#include "auth/exchange.h"
#include "auth/scram.h"
#include "auth/token.h"
#include "config/keys.h"
#include "encryption/key_text.h"
#include "http/url.h"
#include "mail/address.h"

namespace poplar::auth {

namespace {

config::Words<Mechanism> mechanism_words() {
    config::Words<Mechanism> words;
    for (auto mechanism : all_mechanisms()) words.emplace_back(name_of(mechanism), mechanism);
    return words;
}

std::string check_domain(std::string& domain) {
    if (domain.empty()) return {};
    auto canonical = mail::canonical_domain(domain);
    if (!canonical) return "\"" + domain + "\" is not a domain";
    domain = *canonical;
    return {};
}

std::string check_url(const std::string& text) {
    if (text.empty()) return {};
    auto url = http::parse_url(text);
    return url ? std::string() : url.error().detail();
}

std::string check_escrow(std::string& text) {
    return text.empty() || encryption::read_public_key(text) ? std::string()
                                                             : "32 octets in base64, as poplar encryption prints them";
}

}  // namespace

void add_settings(config::Keys& keys, Options& options, SaslOptions& sasl) {
    using config::kMillion;
    using std::chrono::days;
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.choices<Mechanism>("auth.mechanisms", sasl.mechanisms, mechanism_words(),
                            "SASL mechanisms that may be used, from `SCRAM-SHA-256-PLUS`, `SCRAM-SHA-1-PLUS`, "
                            "`SCRAM-SHA-256`, `SCRAM-SHA-1`, `EXTERNAL`, `OAUTHBEARER`, `XOAUTH2`, `CRAM-MD5`, `PLAIN` "
                            "and `LOGIN`. See [below](#mechanisms) for what each needs. Others: `-ERR`.");
    keys.choices<ScramHash>("auth.scram_keys", options.scram_keys,
                            config::Words<ScramHash>{{"SHA-256", ScramHash::sha256}, {"SHA-1", ScramHash::sha1}},
                            "Keep SCRAM keys for `SHA-256`, `SHA-1` or both beside a password's hash: made when a "
                            "password is set in clear, and at the next good login with a password.");
    keys.number("auth.scram_iterations", options.scram_iterations, kScramLeastIterations, kScramMostIterations,
                "Iterations of new SCRAM keys. More cost who steals the store more, and each client at each login.");
    keys.text("auth.default_domain", options.default_domain,
              "Put behind a login name without `@`. Empty: such names fail.", config::Empty::allowed, check_domain);
    keys.text("encryption.escrow", options.mail_escrow,
              "The operator's public key (`poplar encryption escrow-key FILE` makes one): its secret half opens the "
              "mail of every encrypted account, from the account's next login by its password on. Empty: nobody but "
              "the account opens its mail.",
              config::Empty::allowed, check_escrow);
    keys.duration("auth.cache_ttl", options.cache_ttl, seconds(0), days(1),
                  "How long a verified password is remembered, as a keyed hash, so that polling costs no Argon2. "
                  "`\"0s\"`: never.");
    keys.number("auth.cache_entries", options.cache_entries, 0, 100 * kMillion,
                "How many are remembered; then the oldest is forgotten.");
    keys.boolean("auth.upgrade_hashes", options.upgrade_hashes,
                 "Rewrite weaker password hashes as Argon2id at the next good login.");
    keys.number("auth.hash_threads", options.hash_threads, 1, 1024, "Threads that check passwords.");
    keys.number("auth.hash_queue", options.hash_queue, 1, kMillion,
                "Logins that may wait for one, in shares by standing, network (/24, /48) and peer "
                "([security.md](../security.md)). More: the last of the largest share is answered `-ERR [SYS/TEMP]`.");
    keys.number("auth.hashes_per_account", options.hashes_per_account, 1, kMillion,
                "Of those, how many may be of one account, counted apart for peers it was logged in from, others, and "
                "others that have just failed. More are answered `-ERR [SYS/TEMP]`.");
    keys.number("auth.failures_per_pair", options.failures_per_pair, 1, kMillion,
                "Failed logins to one account from one address (IPv6: its /64) that cost nothing. Then each attempt "
                "waits for its turn, ever longer, and is answered as always, or `-ERR [SYS/TEMP]` if it would wait for "
                "more than `auth.longest_wait`.");
    keys.number("auth.failures_per_peer", options.failures_per_peer, 1, kMillion,
                "The same for one address and all accounts that were not logged in from there lately. This machine "
                "(loopback) has no such limit.");
    keys.number("auth.failures_per_network", options.failures_per_network, 1, kMillion,
                "The same for the network around it (IPv4: /24, IPv6: /48).");
    keys.number("auth.failures_per_account", options.failures_per_account, 1, kMillion,
                "The same for one account and all addresses from which it was not logged in to lately.");
    keys.number("auth.failures_per_password", options.failures_per_password, 1, kMillion,
                "The same for one password from one network: accounts that it was wrong for. Against guessers who try "
                "a usual password at everybody.");
    keys.number(
        "auth.failures_per_device", options.failures_per_device, 1, kMillion,
        "The same for passwords of one device: wrong ones, and right ones where the device may not log in (another "
        "network or protocol, after its time). One that may log in waits for nothing.");
    keys.duration("auth.failure_window", options.failure_window, seconds(1), days(30),
                  "In this time as many failures are forgiven as each limit allows, one after the other.");
    keys.duration("auth.longest_delay", options.longest_delay, milliseconds(1), minutes(5),
                  "Between two turns; the first delay is an eighth of it, then it doubles.");
    keys.duration(
        "auth.longest_wait", options.longest_wait, milliseconds(0), minutes(5),
        "For a turn. An attempt that would wait for longer is answered `-ERR [SYS/TEMP]` after `auth.failure_delay`.");
    keys.number("auth.waiting_per_network", options.waiting_per_network, 1, kMillion,
                "Attempts from one network (/24, /48) that may wait for a turn. More are answered `-ERR [SYS/TEMP]` "
                "after `auth.failure_delay`.");
    keys.number("auth.familiar_peers", options.familiar_peers, 0, 1000,
                "Addresses kept for each account from which it was logged in to last, by whatever mechanism: only its "
                "own failures from there hold up logins from there. 0: none.");
    keys.duration("auth.failure_delay", options.failure_delay, milliseconds(0), minutes(1),
                  "A failed login is answered at a multiple of this after it began, so that the time tells nothing.");
    auto& factors = options.factors;
    keys.duration("auth.second_factor_window", factors.window, seconds(1), days(30),
                  "After a code was typed behind the password, the password alone is taken from the same network (/24, "
                  "/64) for so long. Then: `-ERR [AUTH]`, which asks for a code.");
    keys.number("auth.wrong_codes", factors.wrong_codes, 1, 1000,
                "Wrong codes behind the right password that are looked at, of an account in a day, from all networks. "
                "Further ones of six digits, right ones too, are answered `-ERR [SYS/TEMP]`.");
    keys.duration("auth.accepted_site", factors.accepted, seconds(1), days(3650),
                  "How long a network that a user has accepted stays so after its last use. Then: `-ERR [AUTH]`.");
    keys.duration("auth.denied_site", factors.denied, seconds(1), days(3650),
                  "How long the account's password is refused from a network that a user has denied: `-ERR [AUTH]`.");
}

void add_settings(config::Keys& keys, TokenOptions& tokens) {
    using config::kMillion;
    using std::chrono::days;
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.paths("oauth.keys", tokens.key_files,
               "PEM files with public keys or certificates: RSA of 2048 bits or more, P-256, Ed25519. Several keys are "
               "tried in turn, so that a new one can be added before the old one goes.");
    keys.choices<std::string>("oauth.algorithms", tokens.algorithms,
                              config::Words<std::string>{{"RS256", "RS256"}, {"ES256", "ES256"}, {"EdDSA", "EdDSA"}},
                              "Signatures that are accepted. The key decides which, not the token.");
    keys.text("oauth.issuer", tokens.issuer, "The value that `iss` must have. Empty: anything.");
    keys.text("oauth.audience", tokens.audience,
              "A value that must be in `aud`: the issuer's name for this service. Needed with either of these; `\"*\"` "
              "accepts "
              "anything, so a token that was meant for another service of the issuer opens the mail.");
    keys.text("oauth.scope", tokens.scope, "A scope that the token must have (`scope` or `scp`). Empty: none.");
    keys.text("oauth.account_claim", tokens.account_claim,
              "The claim that names the account, as a login name. `email` with an `email_verified` other than true is "
              "refused.",
              config::Empty::refused);
    auto any = [](std::string&) { return std::string(); };
    keys.texts(
        "oauth.required_acr", tokens.required_acr, "texts", any,
        "A token whose `acr` is one of these shows a second factor ([security.md](../security.md)). Accounts that "
        "need none take other tokens, too.");
    keys.texts("oauth.required_amr", tokens.required_amr, "texts like \"mfa\"", any,
               "The same for a token with one of these in its `amr` (RFC 8176).");
    keys.duration("oauth.leeway", tokens.leeway, seconds(0), hours(1),
                  "By how much clocks may differ for `exp` and `nbf`. A JWT without `exp` is refused.");
    keys.text(
        "oauth.discovery", tokens.discovery,
        "The issuer of OpenID Connect, `https://...` as `iss` has it: its configuration and keys are fetched from "
        "it. `http://` only for an issuer on this machine.",
        config::Empty::allowed, check_url);
    keys.path("oauth.discovery_ca_file", tokens.discovery_ca_file,
              "PEM file: whom to trust for its certificate. Empty: whom the system trusts.", config::Empty::allowed);
    keys.duration("oauth.discovery_timeout", tokens.discovery_timeout, seconds(1), minutes(1),
                  "For each of its two documents. Without known keys then: `-ERR [SYS/TEMP]`.");
    keys.duration("oauth.discovery_refresh", tokens.discovery_refresh, seconds(10), days(30),
                  "How long its keys are used before they are fetched again. A token that names another key has them "
                  "fetched at once, but not twice in 10 seconds. While that fails, the known keys stay in use.");
    keys.text("oauth.configuration_url", tokens.configuration_url,
              "Told to clients whose token is no good, as `openid-configuration`.");
    keys.text("oauth.introspection_url", tokens.introspection_url,
              "`https://...`; `http://` only for an issuer on this machine.", config::Empty::allowed, check_url);
    keys.text("oauth.introspection_user", tokens.introspection_user, "Our user name at the issuer (HTTP Basic).");
    keys.path("oauth.introspection_secret_file", tokens.introspection_secret_file,
              "A file whose first line is the secret for it. Read at the start, before privileges are dropped.",
              config::Empty::allowed);
    keys.path("oauth.introspection_ca_file", tokens.introspection_ca_file,
              "PEM file: whom to trust for the issuer's certificate. Empty: whom the system trusts.",
              config::Empty::allowed);
    keys.duration("oauth.introspection_timeout", tokens.introspection_timeout, seconds(1), minutes(1),
                  "For the whole request; then `-ERR [SYS/TEMP]`.");
    keys.number("oauth.introspection_requests", tokens.introspection_requests, 1, kMillion,
                "Requests at a time; more logins: `-ERR [SYS/TEMP]`.");
    keys.duration("oauth.cache_ttl", tokens.cache_ttl, seconds(0), days(1),
                  "How long the issuer's word about a good token is believed, within its `exp`. `\"0s\"`: not at all.");
    keys.number("oauth.cache_entries", tokens.cache_entries, 0, kMillion,
                "How many tokens are remembered; then the oldest is forgotten.");
}

}  // namespace poplar::auth
