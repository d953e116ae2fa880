// The table of keys: name, where the value goes, what it may be. One line a key.
#include <fmt/format.h>

#include <limits>

#include "base/units.h"
#include "http/url.h"
#include "mail/address.h"
#include "mailstore/mailbox_name.h"
#include "net/listener.h"
#include "net/networks.h"
#include "server/config.h"

namespace poplar::server {

namespace {

using Change = ConfigKey::Change;

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table: return "a section";
        case toml::node_type::array: return "a list";
        case toml::node_type::string: return "a text";
        case toml::node_type::integer: return "an integer";
        case toml::node_type::floating_point: return "a fraction";
        case toml::node_type::boolean: return "true or false";
        default: return "a date";
    }
}

std::string wrong_type(std::string_view wanted, const toml::node& node) {
    return fmt::format("must be {}, not {}", wanted, type_name(node));
}

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out + '"';
}

// Each kind of value is a function from an accessor (`Config& -> Value&`) to a key. `at` is called with a const Config
// for show(), hence the generic lambdas below.

enum class Empty { allowed, refused };

template <class At>
ConfigKey text(std::string name, Change change, At at, Empty empty = Empty::allowed) {
    return {std::move(name), change,
            [at, empty](Config& config, const toml::node& node) -> std::string {
                const auto* value = node.as_string();
                if (!value) return wrong_type("a text in quotes", node);
                if (empty == Empty::refused && value->get().empty()) return "must not be empty";
                if (value->get().find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
                    return "must be one line";
                at(config) = value->get();
                return {};
            },
            [at](const Config& config) { return toml_text(at(config)); }};
}

/// What stands in a POP3 reply: at most 512 octets with what is around it (RFC 2449 s4), no "<" that announces APOP
/// (RFC 1939 s7), no "[" that begins a response code (RFC 2449 s8).
template <class At>
ConfigKey pop3_text(std::string name, Change change, At at) {
    auto key = text(std::move(name), change, at);
    key.set = [set = std::move(key.set), at](Config& config, const toml::node& node) -> std::string {
        if (auto what = set(config, node); !what.empty()) return what;
        const std::string& value = at(config);
        if (value.size() > 400) return "must have at most 400 octets";
        if (value.starts_with('[') || value.contains('<')) return "must not begin with \"[\" or contain \"<\"";
        return "";
    };
    return key;
}

template <class At>
ConfigKey path(std::string name, Change change, At at, Empty empty = Empty::refused) {
    auto key = text(std::move(name), change, at, empty);
    key.set = [set = std::move(key.set), at](Config& config, const toml::node& node) -> std::string {
        if (auto what = set(config, node); !what.empty()) return what;
        const std::string& value = at(config);
        return value.empty() || value.starts_with('/') ? "" : "must be an absolute path";
    };
    return key;
}

template <class At>
ConfigKey boolean(std::string name, Change change, At at) {
    return {std::move(name), change,
            [at](Config& config, const toml::node& node) -> std::string {
                const auto* value = node.as_boolean();
                if (!value) return wrong_type("true or false", node);
                at(config) = value->get();
                return {};
            },
            [at](const Config& config) { return at(config) ? "true" : "false"; }};
}

template <class At>
ConfigKey number(std::string name, Change change, At at, std::int64_t least, std::int64_t most) {
    return {std::move(name), change,
            [at, least, most](Config& config, const toml::node& node) -> std::string {
                const auto* value = node.as_integer();
                if (!value) return wrong_type("a number", node);
                if (value->get() < least || value->get() > most)
                    return fmt::format("must be between {} and {}", least, most);
                using Value = std::remove_reference_t<decltype(at(config))>;
                at(config) = static_cast<Value>(value->get());
                return {};
            },
            [at](const Config& config) { return std::to_string(at(config)); }};
}

template <class At>
ConfigKey size(std::string name, Change change, At at, std::uint64_t least,
               std::uint64_t most = std::uint64_t(1) << 50) {
    return {std::move(name), change,
            [at, least, most](Config& config, const toml::node& node) -> std::string {
                std::uint64_t octets = 0;
                if (const auto* count = node.as_integer()) {
                    octets = count->get() < 0 ? 0 : static_cast<std::uint64_t>(count->get());
                    if (count->get() < 0) return "must not be negative";
                } else if (const auto* spelt = node.as_string()) {
                    auto parsed = parse_size(spelt->get());
                    if (!parsed) return parsed.error().detail();
                    octets = *parsed;
                } else {
                    return wrong_type("a size like \"50MB\"", node);
                }
                if (octets < least || octets > most)
                    return fmt::format("must be between {} and {}", format_size(least), format_size(most));
                using Value = std::remove_reference_t<decltype(at(config))>;
                if (octets > std::numeric_limits<Value>::max()) return "is too large";
                at(config) = static_cast<Value>(octets);
                return {};
            },
            [at](const Config& config) {
                auto shown = format_size(at(config));
                return shown.find_first_not_of("0123456789") == std::string::npos ? shown : toml_text(shown);
            }};
}

template <class At>
ConfigKey duration(std::string name, Change change, At at, std::chrono::milliseconds least,
                   std::chrono::milliseconds most = std::chrono::days(36'500)) {
    return {std::move(name), change,
            [at, least, most](Config& config, const toml::node& node) -> std::string {
                using Value = std::remove_reference_t<decltype(at(config))>;
                std::chrono::milliseconds value{};
                if (const auto* seconds = node.as_integer()) {
                    if (seconds->get() < 0) return "must not be negative";
                    if (seconds->get() > std::chrono::duration_cast<std::chrono::seconds>(most).count())
                        return fmt::format("must be between {} and {}", format_duration(least), format_duration(most));
                    value = std::chrono::seconds(seconds->get());
                } else if (const auto* spelt = node.as_string()) {
                    auto parsed = parse_duration(spelt->get());
                    if (!parsed) return parsed.error().detail();
                    value = *parsed;
                } else {
                    return wrong_type("a duration like \"10m\"", node);
                }
                if (value < least || value > most)
                    return fmt::format("must be between {} and {}", format_duration(least), format_duration(most));
                auto kept = std::chrono::duration_cast<Value>(value);
                if (kept != value) return "must be whole seconds";
                at(config) = kept;
                return {};
            },
            [at](const Config& config) { return toml_text(format_duration(at(config))); }};
}

template <class At, class Value>
ConfigKey choice(std::string name, Change change, At at, std::vector<std::pair<std::string, Value>> values) {
    return {std::move(name), change,
            [at, values](Config& config, const toml::node& node) -> std::string {
                std::string list;
                for (const auto& [word, value] : values) list += (list.empty() ? "" : ", ") + toml_text(word);
                const auto* given = node.as_string();
                if (!given) return wrong_type("one of " + list, node);
                for (const auto& [word, value] : values) {
                    if (word != given->get()) continue;
                    at(config) = value;
                    return {};
                }
                return fmt::format("must be one of {}", list);
            },
            [at, values](const Config& config) {
                for (const auto& [word, value] : values)
                    if (value == at(config)) return toml_text(word);
                return std::string("\"\"");
            }};
}

/// A list of `values`, each by its word and at most once.
template <class At, class Value>
ConfigKey choices(std::string name, Change change, At at, std::vector<std::pair<std::string, Value>> values) {
    return {std::move(name), change,
            [at, values](Config& config, const toml::node& node) -> std::string {
                std::string words;
                for (const auto& [word, value] : values) words += (words.empty() ? "" : ", ") + toml_text(word);
                const auto* list = node.as_array();
                if (!list) return wrong_type("a list of some of " + words, node);
                std::vector<Value> found;
                for (const auto& element : *list) {
                    const auto* given = element.as_string();
                    if (!given) return wrong_type("a list of texts", element);
                    auto known =
                        std::ranges::find_if(values, [&](const auto& pair) { return pair.first == given->get(); });
                    if (known == values.end()) return fmt::format("can only hold {}", words);
                    if (std::ranges::find(found, known->second) != found.end())
                        return fmt::format("has {} twice", toml_text(given->get()));
                    found.push_back(known->second);
                }
                at(config) = std::move(found);
                return {};
            },
            [at, values](const Config& config) {
                std::string list;
                for (const auto& [word, value] : values)
                    if (std::ranges::find(at(config), value) != at(config).end())
                        list += (list.empty() ? "" : ", ") + toml_text(word);
                return "[" + list + "]";
            }};
}

std::vector<std::pair<std::string, auth::Mechanism>> mechanism_words() {
    std::vector<std::pair<std::string, auth::Mechanism>> words;
    for (auto mechanism : auth::all_mechanisms()) words.emplace_back(auth::name_of(mechanism), mechanism);
    return words;
}

/// A list of texts that `wrong` has nothing to say about; `what` says what it holds: "addresses like ...".
template <class At>
ConfigKey texts(std::string name, At at, std::string what, std::function<std::string(const std::string&)> wrong) {
    return {std::move(name), Change::restart,
            [at, what, wrong](Config& config, const toml::node& node) -> std::string {
                const auto* list = node.as_array();
                if (!list) return wrong_type("a list of " + what, node);
                std::vector<std::string> found;
                for (const auto& element : *list) {
                    const auto* text = element.as_string();
                    if (!text) return wrong_type("a list of texts", element);
                    if (auto error = wrong(text->get()); !error.empty()) return error;
                    found.push_back(text->get());
                }
                at(config) = std::move(found);
                return {};
            },
            [at](const Config& config) {
                std::string list;
                for (const auto& one : at(config)) list += (list.empty() ? "" : ", ") + toml_text(one);
                return "[" + list + "]";
            }};
}

template <class At>
ConfigKey addresses(std::string name, At at) {
    return texts(std::move(name), at, "addresses like [\"[::]:110\"]", [](const std::string& text) {
        auto parsed = net::parse_address(text);
        return parsed ? std::string() : parsed.error().detail();
    });
}

std::vector<std::pair<std::string, mail::BareNewlines>> bare_newlines_words() {
    return {{"reject", mail::BareNewlines::reject}, {"normalize", mail::BareNewlines::normalize}};
}

template <class At>
ConfigKey paths(std::string name, At at) {
    return texts(std::move(name), at, "paths", [](const std::string& text) {
        return text.starts_with('/') ? std::string() : std::string("must hold absolute paths");
    });
}

template <class At>
ConfigKey networks(std::string name, At at) {
    return texts(std::move(name), at, "networks like [\"192.0.2.0/24\"]", [](const std::string& text) {
        auto parsed = net::Networks::parse(std::span(&text, 1));
        return parsed ? std::string() : parsed.error().detail();
    });
}

ConfigKey hostname_key() {
    auto at = [](auto& c) -> auto& { return c.hostname; };
    auto key = text("hostname", Change::restart, at, Empty::refused);
    key.set = [set = std::move(key.set)](Config& config, const toml::node& node) -> std::string {
        if (auto what = set(config, node); !what.empty()) return what;
        auto canonical = mail::canonical_domain(config.hostname);
        if (!canonical) return fmt::format("\"{}\" is not a host name", config.hostname);
        config.hostname = *canonical;
        return {};
    };
    return key;
}

ConfigKey default_domain_key() {
    auto at = [](auto& c) -> auto& { return c.auth.default_domain; };
    auto key = text("auth.default_domain", Change::restart, at);
    key.set = [set = std::move(key.set)](Config& config, const toml::node& node) -> std::string {
        if (auto what = set(config, node); !what.empty() || config.auth.default_domain.empty()) return what;
        auto canonical = mail::canonical_domain(config.auth.default_domain);
        if (!canonical) return fmt::format("\"{}\" is not a domain", config.auth.default_domain);
        config.auth.default_domain = *canonical;
        return {};
    };
    return key;
}

ConfigKey introspection_url_key() {
    auto at = [](auto& c) -> auto& { return c.sasl.tokens.introspection_url; };
    auto key = text("oauth.introspection_url", Change::restart, at);
    key.set = [set = std::move(key.set), at](Config& config, const toml::node& node) -> std::string {
        if (auto what = set(config, node); !what.empty() || at(config).empty()) return what;
        auto url = http::parse_url(at(config));
        return url ? std::string() : url.error().detail();
    };
    return key;
}

ConfigKey detail_separator_key() {
    return {"addresses.detail_separator", Change::restart,
            [](Config& config, const toml::node& node) -> std::string {
                const auto* value = node.as_string();
                if (!value) return wrong_type("a text in quotes", node);
                const auto& t = value->get();
                if (t.size() != 1 || t[0] <= 0x20 || t[0] >= 0x7f || t[0] == '@' || t[0] == '"' || t[0] == '.')
                    return "must be one ASCII character other than \"@\", \".\" and a quote";
                config.directory.detail_separator = t[0];
                return {};
            },
            [](const Config& config) { return toml_text(std::string(1, config.directory.detail_separator)); }};
}

std::vector<std::pair<std::string, pop3::Language>> languages() {
    std::vector<std::pair<std::string, pop3::Language>> choices;
    for (const auto& language : pop3::kLanguages)
        choices.emplace_back(language.tag, static_cast<pop3::Language>(choices.size()));
    return choices;
}

ConfigKey expire_key() {
    return {"pop3.expire", Change::restart,
            [](Config& config, const toml::node& node) -> std::string {
                constexpr std::string_view wanted = "\"never\" or a number of days up to 36500";
                const auto* word = node.as_string();
                const auto* days = node.as_integer();
                if (word && word->get() == "never")
                    config.pop3.policy.expire_days = directory::kNeverExpires;
                else if (days && days->get() >= 0 && days->get() <= 36'500)
                    config.pop3.policy.expire_days = static_cast<std::uint32_t>(days->get());
                else
                    return fmt::format("must be {}", wanted);
                return {};
            },
            [](const Config& config) {
                auto days = config.pop3.policy.expire_days;
                return days == directory::kNeverExpires ? toml_text("never") : std::to_string(days);
            }};
}

#define AT(member) [](auto& c) -> auto& { return c.member; }

std::vector<ConfigKey> make_keys() {
    using std::chrono::days;
    using std::chrono::hours;
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    constexpr auto live = Change::live;
    constexpr auto restart = Change::restart;
    constexpr std::int64_t kMillion = 1'000'000;
    return {
        hostname_key(),
        path("data_dir", restart, AT(data_dir)),
        path("admin_socket", restart, AT(admin_socket)),
        text("user", restart, AT(user)),
        text("group", restart, AT(group)),
        number("workers", restart, AT(workers), 0, 1024),

        addresses("listen.pop3", AT(listen.pop3)),
        addresses("listen.pop3s", AT(listen.pop3s)),
        addresses("listen.smtp", AT(listen.smtp)),
        addresses("listen.lmtp", AT(listen.lmtp)),

        networks("proxy_protocol.pop3", AT(proxy_protocol.pop3)),
        networks("proxy_protocol.pop3s", AT(proxy_protocol.pop3s)),
        networks("proxy_protocol.smtp", AT(proxy_protocol.smtp)),
        networks("proxy_protocol.lmtp", AT(proxy_protocol.lmtp)),
        duration("proxy_protocol.timeout", restart, AT(net.proxy_header), seconds(1), hours(1)),

        path("tls.certificate", live, AT(tls.certificate)),
        path("tls.private_key", live, AT(tls.private_key)),
        path("tls.client_ca", live, AT(tls.client_ca), Empty::allowed),
        text("tls.ciphers", live, AT(tls.ciphers)),

        choice<>("auth.allow_plaintext", restart, AT(allow_plaintext),
                 std::vector<std::pair<std::string, session::AllowPlaintext>>{
                     {"never", session::AllowPlaintext::never},
                     {"loopback", session::AllowPlaintext::loopback},
                     {"always", session::AllowPlaintext::always}}),
        choices<>("auth.mechanisms", restart, AT(sasl.mechanisms), mechanism_words()),
        choices<>("auth.scram_keys", restart, AT(auth.scram_keys),
                  std::vector<std::pair<std::string, auth::ScramHash>>{{"SHA-256", auth::ScramHash::sha256},
                                                                       {"SHA-1", auth::ScramHash::sha1}}),
        number("auth.scram_iterations", restart, AT(auth.scram_iterations), auth::kScramLeastIterations,
               auth::kScramMostIterations),
        default_domain_key(),
        duration("auth.cache_ttl", restart, AT(auth.cache_ttl), seconds(0), days(1)),
        number("auth.cache_entries", restart, AT(auth.cache_entries), 0, 100 * kMillion),
        boolean("auth.upgrade_hashes", restart, AT(auth.upgrade_hashes)),
        number("auth.hash_threads", restart, AT(auth.hash_threads), 1, 1024),
        number("auth.hash_queue", restart, AT(auth.hash_queue), 1, kMillion),
        number("auth.hashes_per_account", restart, AT(auth.hashes_per_account), 1, kMillion),
        number("auth.failures_per_pair", restart, AT(auth.failures_per_pair), 1, kMillion),
        number("auth.failures_per_peer", restart, AT(auth.failures_per_peer), 1, kMillion),
        number("auth.failures_per_account", restart, AT(auth.failures_per_account), 1, kMillion),
        duration("auth.failure_window", restart, AT(auth.failure_window), seconds(1), days(30)),
        duration("auth.longest_delay", restart, AT(auth.longest_delay), milliseconds(1), minutes(5)),
        duration("auth.longest_wait", restart, AT(auth.longest_wait), milliseconds(0), minutes(5)),
        number("auth.familiar_peers", restart, AT(auth.familiar_peers), 0, 1000),
        duration("auth.failure_delay", restart, AT(auth.failure_delay), milliseconds(0), minutes(1)),

        paths("oauth.keys", AT(sasl.tokens.key_files)),
        choices<>("oauth.algorithms", restart, AT(sasl.tokens.algorithms),
                  std::vector<std::pair<std::string, std::string>>{
                      {"RS256", "RS256"}, {"ES256", "ES256"}, {"EdDSA", "EdDSA"}}),
        text("oauth.issuer", restart, AT(sasl.tokens.issuer)),
        text("oauth.audience", restart, AT(sasl.tokens.audience)),
        text("oauth.scope", restart, AT(sasl.tokens.scope)),
        text("oauth.account_claim", restart, AT(sasl.tokens.account_claim), Empty::refused),
        duration("oauth.leeway", restart, AT(sasl.tokens.leeway), seconds(0), hours(1)),
        text("oauth.configuration_url", restart, AT(sasl.tokens.configuration_url)),
        introspection_url_key(),
        text("oauth.introspection_user", restart, AT(sasl.tokens.introspection_user)),
        path("oauth.introspection_secret_file", restart, AT(sasl.tokens.introspection_secret_file), Empty::allowed),
        path("oauth.introspection_ca_file", restart, AT(sasl.tokens.introspection_ca_file), Empty::allowed),
        duration("oauth.introspection_timeout", restart, AT(sasl.tokens.introspection_timeout), seconds(1), minutes(1)),
        number("oauth.introspection_requests", restart, AT(sasl.tokens.introspection_requests), 1, kMillion),
        duration("oauth.cache_ttl", restart, AT(sasl.tokens.cache_ttl), seconds(0), days(1)),
        number("oauth.cache_entries", restart, AT(sasl.tokens.cache_entries), 0, kMillion),

        choice<>("addresses.local_part_case", restart, AT(directory.local_case),
                 std::vector<std::pair<std::string, mail::LocalPartCase>>{{"fold", mail::LocalPartCase::fold},
                                                                          {"keep", mail::LocalPartCase::keep}}),
        detail_separator_key(),
        boolean("addresses.detail_files", restart, AT(delivery.detail_files)),
        number("addresses.alias_depth", restart, AT(directory.alias_depth), 1, 100),
        number("addresses.alias_targets", restart, AT(directory.alias_targets), 1, 100'000),
        size("addresses.alias_cache", restart, AT(directory.alias_cache), 0),

        duration("storage.retention", restart, AT(mailstore.retention), seconds(0), days(36'500)),
        size("storage.list_cache", restart, AT(mailstore.list_cache), 0),
        number("storage.change_log_rows", restart, AT(mailstore.change_log_rows), 100, 10 * kMillion),
        duration("storage.change_log_age", restart, AT(mailstore.change_log_age), days(1), days(36'500)),
        duration("storage.expire_every", restart, AT(expire_every), milliseconds(100), days(1)),
        duration("storage.believe_clock_after", restart, AT(believe_clock_after), seconds(0), days(3'650)),
        size("storage.segment_size", restart, AT(engine.segment_size), 1u << 20, 4ull << 30),
        size("storage.large_body", restart, AT(engine.large_body), 64u << 10, 64u << 20),
        size("storage.staged_memory", restart, AT(engine.staged_memory), 1u << 20),
        size("storage.min_free_space", restart, AT(engine.min_free_space), 0),
        size("storage.reserved_space", restart, AT(engine.reserved_space), 0),
        size("storage.block_cache", restart, AT(engine.block_cache), 1u << 20),
        size("storage.write_buffer", restart, AT(engine.write_buffer), 1u << 20, 4ull << 30),
        size("storage.read_memory", restart, AT(engine.read_memory), 0),
        number("storage.reader_threads", restart, AT(engine.reader_threads), 1, 1024),
        size("storage.copy_rate", restart, AT(engine.copy_rate), 0),
        duration("storage.copy_every", restart, AT(engine.copy_every), milliseconds(100), hours(1)),
        number("storage.copy_dead_percent", restart, AT(engine.copy_dead_percent), 1, 90),
        duration("storage.scrub_every", restart, AT(engine.scrub_every), seconds(0), days(3'650)),
        size("storage.scrub_rate", restart, AT(engine.scrub_rate), 64u << 10),
        boolean("storage.index_wal", restart, AT(engine.index_wal)),

        number("limits.connections", restart, AT(net.connections), 1, 10 * kMillion),
        number("limits.connections_reserved", restart, AT(net.connections_reserved), 0, 10 * kMillion),
        number("limits.connections_per_peer", restart, AT(net.connections_per_peer), 1, 10 * kMillion),
        number("limits.connections_per_network", restart, AT(net.connections_per_network), 1, 10 * kMillion),
        boolean("limits.limit_loopback_peers", restart, AT(net.limit_loopback_peers)),
        number("limits.spare_descriptors", restart, AT(net.spare_descriptors), 0, kMillion),
        number("limits.handshakes_per_peer", restart, AT(net.handshakes_per_peer), 1, kMillion),
        number("limits.handshakes_per_network", restart, AT(net.handshakes_per_network), 1, kMillion),
        duration("limits.tls_handshake", restart, AT(net.tls_handshake), seconds(1), hours(1)),
        duration("limits.write_stall", restart, AT(net.connection.write_stall), seconds(1), hours(24)),
        size("limits.write_rate", restart, AT(net.connection.write_rate), 0),
        texts("mailboxes.default", AT(mailstore.default_mailboxes), "mailboxes like [\"Sent:sent\", \"Lists\"]",
              [](const std::string& text) {
                  auto parsed = mailstore::parse_default_mailbox(text);
                  return parsed ? std::string() : parsed.error().detail();
              }),
        number("mailboxes.limit", restart, AT(mailstore.mailboxes), 10, kMillion),
        number("mailboxes.documents", restart, AT(mailstore.documents), 10, kMillion),
        size("limits.message_size", restart, AT(delivery.message_octets), 1000, std::uint64_t(4) << 30),
        number("limits.hops", restart, AT(delivery.hops), 1, 10'000),
        size("limits.header_size", restart, AT(delivery.header_octets), 1000, 64u << 20),
        number("limits.header_fields", restart, AT(delivery.header_fields), 10, kMillion),
        size("limits.envelope_memory", restart, AT(envelope_memory), 1u << 20),
        size("limits.unfinished_messages", restart, AT(unfinished_messages), 1u << 20),
        duration("limits.drain_time", live, AT(drain_time), seconds(0), hours(1)),
        size("limits.admin_body", restart, AT(admin_body), 1u << 20, std::uint64_t(4) << 30),

        choice<>("pop3.without_utf8", restart, AT(pop3.without_utf8),
                 std::vector<std::pair<std::string, pop3::WithoutUtf8>>{{"downgrade", pop3::WithoutUtf8::downgrade},
                                                                        {"refuse", pop3::WithoutUtf8::refuse},
                                                                        {"send", pop3::WithoutUtf8::send}}),
        choice<>("pop3.language", restart, AT(pop3.language), languages()),
        pop3_text("pop3.greeting", restart, AT(pop3.greeting)),
        boolean("pop3.apop", restart, AT(pop3.apop)),
        pop3_text("pop3.implementation", restart, AT(pop3.implementation)),
        expire_key(),
        duration("pop3.login_delay", restart, AT(pop3.policy.login_delay), seconds(0), days(30)),
        duration("pop3.login_idle", restart, AT(pop3.login_idle), seconds(1), hours(24)),
        duration("pop3.login_total", restart, AT(pop3.login_total), seconds(1), hours(24)),
        duration("pop3.transaction_idle", restart, AT(pop3.transaction_idle), minutes(10), hours(24)),
        duration("pop3.tls_handshake", restart, AT(pop3.tls_handshake), seconds(1), hours(1)),
        number("pop3.line_limit", restart, AT(pop3.line_limit), 255, 65'536),
        number("pop3.response_limit", restart, AT(pop3.response_limit), 1024, 65'536),
        size("pop3.listing_cache", restart, AT(pop3.listing_cache), 0),
        number("pop3.bad_commands", restart, AT(pop3.bad_commands), 1, kMillion),
        number("pop3.login_failures", restart, AT(pop3.login_failures), 1, kMillion),

        text("smtp.greeting", restart, AT(smtp.greeting)),
        choice<>("smtp.bare_newlines", restart, AT(smtp.bare_newlines), bare_newlines_words()),
        boolean("smtp.bare_lf_commands", restart, AT(smtp.bare_lf_commands)),
        networks("smtp.xclient_networks", AT(xclient.smtp)),
        number("smtp.line_octets", restart, AT(smtp.limits.line_octets), 512, 65'536),
        number("smtp.recipients", restart, AT(smtp.limits.recipients), 100, 100'000),
        number("smtp.accounts", restart, AT(smtp.limits.accounts), 1, kMillion),
        number("smtp.messages", restart, AT(smtp.limits.messages), 1, kMillion),
        number("smtp.bad_commands", restart, AT(smtp.limits.bad_commands), 1, kMillion),
        number("smtp.idle_commands", restart, AT(smtp.limits.idle_commands), 1, kMillion),
        number("smtp.unknown_recipients", restart, AT(smtp.limits.unknown_recipients), 1, kMillion),
        number("smtp.unknown_recipients_per_peer", restart, AT(unknown_recipients_per_peer), 1, kMillion),
        number("smtp.refused_recipients", restart, AT(smtp.limits.refused_recipients), 1, kMillion),
        number("smtp.logged_refusals", restart, AT(smtp.limits.logged_refusals), 0, kMillion),
        duration("smtp.command_timeout", restart, AT(smtp.timeouts.command), seconds(1), hours(24)),
        duration("smtp.data_timeout", restart, AT(smtp.timeouts.data_block), seconds(1), hours(24)),
        size("smtp.data_rate", restart, AT(smtp.timeouts.data_rate), 0),
        duration("smtp.message_timeout", restart, AT(smtp.timeouts.message), seconds(1), hours(24)),
        duration("smtp.tls_handshake", restart, AT(smtp.timeouts.handshake), seconds(1), hours(24)),
        text("smtp.tls_ciphers", live, AT(smtp_ciphers)),

        text("lmtp.greeting", restart, AT(lmtp.greeting)),
        choice<>("lmtp.bare_newlines", restart, AT(lmtp.bare_newlines), bare_newlines_words()),
        boolean("lmtp.bare_lf_commands", restart, AT(lmtp.bare_lf_commands)),
        networks("lmtp.xclient_networks", AT(xclient.lmtp)),
        number("lmtp.line_octets", restart, AT(lmtp.limits.line_octets), 512, 65'536),
        number("lmtp.recipients", restart, AT(lmtp.limits.recipients), 100, 100'000),
        number("lmtp.accounts", restart, AT(lmtp.limits.accounts), 1, kMillion),
        number("lmtp.messages", restart, AT(lmtp.limits.messages), 1, kMillion),
        number("lmtp.bad_commands", restart, AT(lmtp.limits.bad_commands), 1, kMillion),
        number("lmtp.idle_commands", restart, AT(lmtp.limits.idle_commands), 1, kMillion),
        number("lmtp.logged_refusals", restart, AT(lmtp.limits.logged_refusals), 0, kMillion),
        duration("lmtp.command_timeout", restart, AT(lmtp.timeouts.command), seconds(1), hours(24)),
        duration("lmtp.data_timeout", restart, AT(lmtp.timeouts.data_block), seconds(1), hours(24)),
        size("lmtp.data_rate", restart, AT(lmtp.timeouts.data_rate), 0),
        duration("lmtp.message_timeout", restart, AT(lmtp.timeouts.message), seconds(1), hours(24)),
        duration("lmtp.tls_handshake", restart, AT(lmtp.timeouts.handshake), seconds(1), hours(24)),

        choice<>("log.level", live, AT(log.level),
                 std::vector<std::pair<std::string, log::Level>>{{"debug", log::Level::debug},
                                                                 {"info", log::Level::info},
                                                                 {"warning", log::Level::warning},
                                                                 {"error", log::Level::error}}),
        choice<>(
            "log.format", live, AT(log.format),
            std::vector<std::pair<std::string, log::Format>>{{"text", log::Format::text}, {"json", log::Format::json}}),
        path("log.file", live, AT(log.file), Empty::allowed),
        size("log.peer_rate", live, AT(log.shares.rate), 0),
        number("log.peer_share", live, AT(log.shares.per_octet), 0, 1000),
    };
}

#undef AT

}  // namespace

const std::vector<ConfigKey>& config_keys() {
    static const auto* keys = new std::vector<ConfigKey>(make_keys());
    return *keys;
}

}  // namespace poplar::server
