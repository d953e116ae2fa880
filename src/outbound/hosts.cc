#include "outbound/hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "dns/record.h"
#include "outbound/route.h"

namespace poplar::outbound {

namespace {

constexpr std::size_t kMostHosts = 30;      // of a domain; more are not asked
constexpr std::size_t kMostAddresses = 16;  // of a host, of each family

std::unexpected<NoWay> later(std::string text) { return std::unexpected(NoWay{false, "4.4.3", std::move(text)}); }
std::unexpected<NoWay> never(std::string status, std::string text) {
    return std::unexpected(NoWay{true, std::move(status), std::move(text)});
}

}  // namespace

Task<std::expected<std::vector<Host>, NoWay>> hosts_of(dns::Lookup& dns, std::string domain, std::string own_name) {
    if (domain.starts_with('[')) {  // RFC 5321 s4.1.3
        auto literal = domain.substr(1, domain.find(']') - 1);
        if (ascii::starts_with(literal, "IPv6:")) literal.erase(0, 5);
        if (!is_address(literal)) co_return never("5.1.2", fmt::format("{} is no address of a host", domain));
        co_return std::vector<Host>{{.name = literal}};
    }
    auto answer = co_await dns.ask(domain, dns::Type::mx);
    if (!answer && answer.error().code() == Errc::invalid)
        co_return never("5.1.2", fmt::format("{} is no domain", domain));
    if (!answer) co_return later(fmt::format("the hosts of {} can't be found: {}", domain, answer.error().detail()));
    if (!answer->exists) co_return never("5.1.2", fmt::format("there is no domain {}", domain));
    std::vector<Host> hosts;
    for (const auto& record : answer->records) {
        auto mx = dns::parse_mx(record);
        if (!mx) continue;
        if (mx->host.empty()) {
            if (answer->records.size() == 1)  // RFC 7505 s3
                co_return never("5.1.10", fmt::format("{} takes no mail (null MX)", domain));
            continue;
        }
        hosts.push_back({std::move(mx->host), mx->preference, answer->secure});
    }
    if (answer->records.empty()) {  // RFC 5321 s5.1: the implicit MX
        auto addresses = co_await addresses_of(dns, domain);
        if (!addresses && addresses.error().permanent)
            co_return never("5.1.2", fmt::format("{} has neither an MX record nor an address", domain));
        if (!addresses) co_return std::unexpected(addresses.error());
        hosts.push_back({domain, 0, answer->secure});
    }
    if (hosts.empty()) co_return never("5.1.2", fmt::format("no MX record of {} names a host", domain));
    std::ranges::sort(hosts, {}, &Host::preference);
    const auto own = std::ranges::find_if(hosts, [&](const auto& host) { return ascii::same(host.name, own_name); });
    if (own != hosts.end()) {
        const auto preference = own->preference;
        std::erase_if(hosts, [&](const auto& host) { return host.preference >= preference; });
        if (hosts.empty())
            co_return never("5.4.6", fmt::format("the MX of {} is this server, which has no such domain", domain));
    }
    if (hosts.size() > kMostHosts) hosts.resize(kMostHosts);
    co_return hosts;
}

Task<std::expected<Addresses, NoWay>> addresses_of(dns::Lookup& dns, std::string host) {
    if (is_address(host)) co_return Addresses{{host}};
    auto six = co_await dns.ask(host, dns::Type::aaaa);
    auto four = co_await dns.ask(host, dns::Type::a);
    std::vector<std::string> of[2];
    std::size_t n = 0;
    for (const auto* answer : {&six, &four}) {
        if (*answer)
            for (const auto& record : (*answer)->records)
                if (auto address = dns::parse_address(record); address && of[n].size() < kMostAddresses)
                    of[n].push_back(std::move(*address));
        ++n;
    }
    Addresses found;
    auto& all = found.all;
    for (std::size_t i = 0; i < std::max(of[0].size(), of[1].size()); ++i)
        for (const auto& family : of)
            if (i < family.size()) all.push_back(family[i]);
    found.secure = true;
    for (const auto* answer : {&six, &four}) {
        if (!*answer || (*answer)->records.empty()) continue;
        found.secure = found.secure && (*answer)->secure;
        if (!ascii::same((*answer)->canonical, host)) found.canonical = (*answer)->canonical;
    }
    if (!all.empty()) co_return found;
    for (const auto* answer : {&four, &six})
        if (!*answer && answer->error().code() != Errc::invalid)
            co_return later(fmt::format("the address of {} can't be found: {}", host, answer->error().detail()));
    co_return never("5.4.4", fmt::format("the host {} has no address", host));
}

std::string key_of(const std::vector<Host>& hosts) {
    std::vector<std::string> names;
    for (const auto& host : hosts) names.push_back(fmt::format("{} {}", host.preference, host.name));
    std::ranges::sort(names);
    std::string key;
    for (const auto& name : names) key.append(key.empty() ? "" : ",").append(name);
    return key;
}

}  // namespace poplar::outbound
