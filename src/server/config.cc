#include "server/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "base/units.h"
#include "net/file_descriptor.h"
#include "net/listener.h"

namespace poplar::server {

namespace {

std::string machine_name() {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
    return name;
}

struct ConfigError {
    std::size_t line;
    std::string text;
};

class Reader {
public:
    Reader(Config& config, std::vector<ConfigError>& errors) : config_(config), errors_(errors) {
        for (const auto& key : config_keys()) {
            keys_.emplace(key.name, &key);
            if (auto dot = key.name.find('.'); dot != std::string::npos) sections_.insert(key.name.substr(0, dot));
        }
    }

    void read(const toml::table& table, const std::string& prefix) {
        for (const auto& [name, node] : table) {
            auto full = prefix + std::string(name.str());
            auto line = node.source().begin.line;
            config_.lines[full] = line;
            if (prefix.empty() && sections_.contains(full)) {
                if (const auto* section = node.as_table())
                    read(*section, full + ".");
                else
                    error(line, full, "is a section: write [" + full + "]");
            } else if (auto known = keys_.find(full); known != keys_.end()) {
                if (auto what = known->second->set(config_, node); !what.empty()) error(line, full, what);
            } else {
                unknown(line, full, prefix, node.is_table());
            }
        }
    }

private:
    void error(std::size_t line, std::string_view key, std::string_view what) {
        // A key in quotes may hold anything, even a line end.
        std::string shown(key);
        for (char& c : shown)
            if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
        errors_.push_back({line, fmt::format("{}:{}: {}: {}", config_.file, line, shown, what)});
    }

    // Names of the same section come first; then the same name in another section.
    void unknown(std::size_t line, const std::string& full, const std::string& prefix, bool is_table) {
        std::vector<std::string_view> candidates;
        for (const auto& [name, key] : keys_)
            if (name.starts_with(prefix) && name.find('.', prefix.size()) == std::string::npos)
                candidates.push_back(std::string_view(name).substr(prefix.size()));
        if (prefix.empty())
            for (const auto& section : sections_) candidates.push_back(section);
        auto last = full.substr(prefix.size());
        std::string meant(nearest(last, candidates));
        if (!meant.empty()) {
            meant = prefix + meant;
        } else {
            for (const auto& [name, key] : keys_)
                if (name.substr(name.rfind('.') + 1) == last) meant = name;
        }
        auto what = fmt::format("unknown {}", is_table ? "section" : "key");
        if (!meant.empty()) what += fmt::format("; did you mean \"{}\"?", meant);
        error(line, full, what);
    }

    Config& config_;
    std::vector<ConfigError>& errors_;
    std::map<std::string, const ConfigKey*, std::less<>> keys_;
    std::set<std::string, std::less<>> sections_;
};

/// Whether who listens at `one` takes what comes to `other`.
bool covers(const net::Address& one, const net::Address& other) {
    using Family = net::Address::Family;
    if (one.family == Family::local || other.family == Family::local)
        return one.family == other.family && one.path == other.path;
    if (one.port != other.port || one.port == 0) return false;
    return one.host == other.host || one.host == "::" || (one.host == "0.0.0.0" && other.family == Family::ipv4);
}

// The start would say "address already in use", as if another program had it.
void check_listeners(const Config& config, std::vector<std::string>& errors) {
    std::vector<std::pair<std::string, net::Address>> seen;
    if (auto admin = net::parse_address("unix:" + config.admin_socket)) seen.emplace_back("admin_socket", *admin);
    for (auto [key, addresses] : {std::pair("listen.pop3", &config.listen.pop3),
                                  {"listen.pop3s", &config.listen.pop3s},
                                  {"listen.smtp", &config.listen.smtp},
                                  {"listen.lmtp", &config.listen.lmtp}})
        for (const auto& text : *addresses) {
            auto address = net::parse_address(text);
            if (!address) continue;
            auto other = std::ranges::find_if(seen, [&](const auto& earlier) {
                return covers(earlier.second, *address) || covers(*address, earlier.second);
            });
            if (other != seen.end())
                errors.push_back(config.error_at(
                    key, fmt::format("{}: {} has {} already", address->text(), other->first, other->second.text())));
            seen.emplace_back(key, std::move(*address));
        }
}

// What only shows when all values are known.
void check_together(const Config& config, std::vector<std::string>& errors) {
    const auto& tls = config.tls;
    if (!tls.certificate.empty() && tls.private_key.empty())
        errors.push_back(config.error_at("tls.certificate", "needs tls.private_key too"));
    if (tls.certificate.empty() && !tls.private_key.empty())
        errors.push_back(config.error_at("tls.private_key", "needs tls.certificate too"));
    if (config.lines.contains("tls") && tls.certificate.empty() && tls.private_key.empty())
        errors.push_back(config.error_at("tls", "needs certificate and private_key"));
    if (!tls.client_ca.empty() && tls.certificate.empty())
        errors.push_back(config.error_at("tls.client_ca", "needs tls.certificate too"));
    const auto& tokens = config.sasl.tokens;
    bool wants_tokens = !tokens.issuer.empty() || !tokens.audience.empty() || !tokens.scope.empty() ||
                        !tokens.configuration_url.empty() || !tokens.introspection_user.empty();
    if (wants_tokens && !tokens.enabled())
        errors.push_back(config.error_at("oauth", "needs keys or introspection_url"));
    if (tokens.enabled() && tokens.audience.empty())
        errors.push_back(config.error_at("oauth",
                                         "needs audience, the name that the issuer has for this service; "
                                         "\"*\" takes tokens for any service of that issuer"));
    if (!config.listen.pop3s.empty() && !config.lines.contains("tls"))
        errors.push_back(config.error_at("listen.pop3s", "needs a certificate: add a [tls] section"));
    check_listeners(config, errors);
    // RFC 2033 s5
    for (const auto& where : config.listen.lmtp)
        if (auto address = net::parse_address(where); address && address->port == 25)
            errors.push_back(config.error_at("listen.lmtp", "LMTP must not be served on port 25, which is SMTP's"));
    if (!config.group.empty() && config.user.empty()) errors.push_back(config.error_at("group", "needs user too"));
}

// The addresses of a real installation, if the file has no [listen].
void default_listeners(Config& config) {
    config.listen = {{"[::]:110"}, {}, {"[::]:25"}, {"unix:/run/poplar/lmtp.sock", "127.0.0.1:24"}};
    if (config.tls.configured()) config.listen.pop3s = {"[::]:995"};
}

}  // namespace

std::string Config::error_at(std::string_view key, std::string_view what) const {
    if (auto line = lines.find(key); line != lines.end())
        return fmt::format("{}:{}: {}: {}", file, line->second, key, what);
    return fmt::format("{}: {}: {}", file, key, what);
}

std::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& file) {
    Config config;
    ConfigErrors errors;
    config.file = file;
    try {
        auto table = toml::parse(text, file);
        std::vector<ConfigError> found;
        Reader(config, found).read(table, "");
        std::ranges::sort(found, {}, &ConfigError::line);  // the table is in the order of its keys
        for (auto& error : found) errors.lines.push_back(std::move(error.text));
    } catch (const toml::parse_error& error) {
        std::string what(error.description());
        std::ranges::replace(what, '\n', ' ');
        errors.lines.push_back(fmt::format("{}:{}: {}", file, error.source().begin.line, what));
        return std::unexpected(std::move(errors));
    }
    if (config.hostname.empty()) config.hostname = machine_name();
    if (!config.lines.contains("listen")) default_listeners(config);
    config.engine.directory = config.data_dir;
    config.mailstore.inline_octets = config.engine.large_body;
    if (errors.lines.empty()) check_together(config, errors.lines);
    if (!errors.lines.empty()) return std::unexpected(std::move(errors));
    return config;
}

std::expected<Config, ConfigErrors> load_config(const std::string& file) {
    std::string text;
    auto unreadable = [&] {
        return std::unexpected(ConfigErrors{{fmt::format("{}: cannot be read: {}", file, std::strerror(errno))}});
    };
    net::FileDescriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) return unreadable();
    for (char chunk[16 * 1024];;) {
        auto got = ::read(in.get(), chunk, sizeof chunk);
        if (got < 0) return unreadable();
        if (got == 0) break;
        text.append(chunk, static_cast<std::size_t>(got));
    }
    return parse_config(text, file);
}

ConfigChanges compare(const Config& before, const Config& after) {
    ConfigChanges changes;
    for (const auto& key : config_keys())
        if (key.show(before) != key.show(after))
            (key.change == ConfigKey::Change::live ? changes.live : changes.restart).push_back(key.name);
    return changes;
}

}  // namespace poplar::server
