#include "directory/outside/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/ascii.h"
#include "config/keys.h"
#include "directory/outside/words.h"
#include "http/url.h"
#include "mail/address.h"

namespace poplar::directory::outside {

namespace {

std::string check_domain(std::string& domain) {
    auto canonical = mail::canonical_domain(domain);
    if (!canonical) return "\"" + domain + "\" is not a domain";
    domain = *canonical;
    return {};
}

void add_keys(config::Keys& keys, Settings& one) {
    using std::chrono::days;
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    constexpr auto kMay = config::Empty::allowed;
    keys.texts("domains", one.domains, "domains", check_domain, "");
    keys.choice<Kind>("source", one.source,
                      config::Words<Kind>{{"passwd-file", Kind::passwd_file},
                                          {"ldap", Kind::ldap},
                                          {"pam", Kind::pam},
                                          {"postgresql", Kind::postgresql},
                                          {"sqlite", Kind::sqlite},
                                          {"http", Kind::http}},
                      "");
    keys.duration("timeout", one.timeout, milliseconds(50), minutes(1), "");
    keys.duration("fresh", one.fresh, seconds(0), days(1), "");
    keys.duration("cache", one.cache, seconds(0), days(30), "");
    keys.number("connections", one.connections, 1, 256, "");
    keys.number("waiting", one.waiting, 1, 1'000'000, "");
    keys.number("entries", one.entries, 100, 100'000'000, "");
    keys.path("file", one.file, "", kMay);
    keys.text("default_scheme", one.default_scheme, "", config::Empty::refused);
    keys.text("url", one.url, "", kMay);
    keys.path("ca_file", one.ca_file, "", kMay);
    keys.boolean("starttls", one.starttls, "");
    keys.text("base", one.base, "", kMay);
    keys.text("bind_dn", one.bind_dn, "", kMay);
    keys.path("bind_password_file", one.bind_password_file, "", kMay);
    keys.text("filter", one.filter, "", config::Empty::refused);
    keys.text("verify", one.verify, "", kMay);
    keys.text("password_attribute", one.password_attribute, "", kMay);
    keys.text("service", one.service, "", kMay);
    keys.text("user", one.user, "", config::Empty::refused);
    keys.text("connect", one.connect, "", kMay);
    keys.text("password_query", one.password_query, "", kMay);
}

/// The keys that are set and that only other sources have.
std::string check_strangers(const Settings& one) {
    using Kinds = std::vector<Kind>;
    const Settings plain;
    const std::vector<std::tuple<std::string_view, bool, Kinds>> keys = {
        {"file", !one.file.empty(), {Kind::passwd_file}},
        {"default_scheme", one.default_scheme != plain.default_scheme, {Kind::passwd_file}},
        {"url", !one.url.empty(), {Kind::ldap, Kind::http}},
        {"ca_file", !one.ca_file.empty(), {Kind::ldap, Kind::http}},
        {"starttls", one.starttls != plain.starttls, {Kind::ldap}},
        {"base", !one.base.empty(), {Kind::ldap}},
        {"bind_dn", !one.bind_dn.empty(), {Kind::ldap}},
        {"bind_password_file", !one.bind_password_file.empty(), {Kind::ldap}},
        {"filter", one.filter != plain.filter, {Kind::ldap}},
        {"verify", !one.verify.empty(), {Kind::ldap}},
        {"password_attribute", !one.password_attribute.empty(), {Kind::ldap}},
        {"service", !one.service.empty(), {Kind::pam}},
        {"user", one.user != plain.user, {Kind::pam}},
        {"connect", !one.connect.empty(), {Kind::postgresql, Kind::sqlite}},
        {"password_query", !one.password_query.empty(), {Kind::postgresql, Kind::sqlite}}};
    for (const auto& [name, set, kinds] : keys)
        if (set && std::ranges::find(kinds, one.source) == kinds.end())
            return fmt::format("{} is not for this source", name);
    return {};
}

bool is_this_machine(std::string_view url) {
    auto host = url.substr(std::min(url.find("://") + 3, url.size()));
    host = host.substr(0, host.find('/'));
    if (!host.starts_with('[')) host = host.substr(0, host.find(':'));
    return host == "localhost" || host == "127.0.0.1" || host.starts_with("[::1]");
}

std::string check_ldap(const Settings& one) {
    const bool local = one.url.starts_with("ldapi://"), tls = one.url.starts_with("ldaps://");
    if (!local && !tls && !one.url.starts_with("ldap://")) return "url must begin with ldaps://, ldap:// or ldapi://";
    if (one.url.starts_with("ldap://") && !one.starttls && !is_this_machine(one.url))
        return "starttls = false would send passwords in the clear over the network; it is for this machine alone";
    if (one.bind_dn.empty() != one.bind_password_file.empty()) return "bind_dn and bind_password_file need each other";
    if (!one.verify.empty() && one.verify != "bind") return "verify can only be \"bind\"";
    if (one.verify.empty() == one.password_attribute.empty())
        return "give one of verify = \"bind\" and password_attribute";
    if (auto filter = filter_for(one.filter, {"a", "b"}); !filter) return "filter: " + filter.error().detail();
    return {};
}

std::string check_pam(const Settings& one) {
    auto is_usual = [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_'; };
    if (one.service.empty() || !std::ranges::all_of(one.service, is_usual))
        return "service must be the name of a file in /etc/pam.d";
    if (auto user = text_for(one.user, {"a", "b"}); !user) return "user: " + user.error().detail();
    return {};
}

std::string check_sql(const Settings& one) {
    if (one.connect.empty()) return "connect is missing";
    if (auto query = query_of(one.password_query); !query) return "password_query: " + query.error().detail();
    return {};
}

std::string check_http(const Settings& one) {
    auto url = http::parse_url(one.url);
    if (!url) return "url: " + url.error().detail();
    if (!url->tls && !is_this_machine(one.url)) return "http:// is for this machine alone; use https://";
    return {};
}

}  // namespace

void add_settings(config::Keys& keys, std::vector<Settings>& directories) {
    keys.tables<Settings>(
        "directory", directories, add_keys,
        "Domains whose accounts are known to another directory. See [directories.md](directories.md).");
}

std::string check(const Settings& one) {
    if (one.domains.empty()) return "domains is missing";
    if (one.cache < one.fresh) return "cache must be as long as fresh at least";
    if (auto wrong = check_strangers(one); !wrong.empty()) return wrong;
    switch (one.source) {
        case Kind::none: break;
        case Kind::passwd_file: return one.file.empty() ? "file is missing" : "";
        case Kind::ldap: return check_ldap(one);
        case Kind::pam: return check_pam(one);
        case Kind::postgresql:
        case Kind::sqlite: return check_sql(one);
        case Kind::http: return check_http(one);
    }
    return "source is missing";
}

std::string described(const Settings& one) {
    switch (one.source) {
        case Kind::none: break;
        case Kind::passwd_file: return "the passwd-file " + one.file;
        case Kind::ldap: return "LDAP, " + one.url;
        case Kind::pam: return "PAM, service " + one.service;
        case Kind::postgresql: return "PostgreSQL";  // `connect` may hold a password
        case Kind::sqlite: return "SQLite, " + one.connect;
        case Kind::http: return "HTTP, " + one.url;
    }
    return {};
}

}  // namespace poplar::directory::outside
