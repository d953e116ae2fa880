#include "screening/client_checks.h"

#include <algorithm>

#include "base/ascii.h"
#include "dns/record.h"
#include "mail/address.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kMostNames = 10;     // of an address that are looked up (as RFC 7208 s4.6.4)
constexpr std::size_t kLongestText = 200;  // octets of a list's words

std::string_view without_ending(std::string_view name) {
    for (const std::string_view ending : {".in-addr.arpa", ".ip6.arpa"})
        if (name.ends_with(ending)) name.remove_suffix(ending.size());
    return name;
}

Task<Result<bool>> leads_to(dns::Lookup& dns, std::string name, IpAddress address) {
    auto answer = co_await dns.ask(std::move(name), address.v6 ? dns::Type::aaaa : dns::Type::a);
    if (!answer && answer.error().code() == Errc::invalid) co_return false;
    if (!answer) co_return pass_on(answer);
    co_return std::ranges::any_of(answer->records, [&](const auto& record) {
        const auto text = dns::parse_address(record);
        const auto found = text ? IpAddress::parse(*text) : std::nullopt;
        return found && *found == address;
    });
}

Task<std::string> words_of(dns::Lookup& dns, std::string question) {
    auto answer = co_await dns.ask(std::move(question), dns::Type::txt);
    if (!answer || answer->records.empty()) co_return std::string();
    auto text = dns::parse_txt(answer->records.front()).value_or("").substr(0, kLongestText);
    for (char& c : text)
        if (c < ' ' || c == 0x7f) c = '?';  // char is signed: octets over 0x7f, too
    co_return text;
}

}  // namespace

Result<AddressList> parse_address_list_zone(std::string_view text) {
    AddressList list;
    const auto equals = text.find('=');
    const auto zone = mail::canonical_domain(text.substr(0, equals));
    if (!zone || zone->empty() || zone->starts_with('['))
        return fail(Errc::invalid, "\"" + std::string(text) + "\" is no domain of a list");
    list.zone = *zone;
    if (equals == text.npos) return list;
    list.only = IpAddress::parse(text.substr(equals + 1));
    if (!list.only || list.only->v6)
        return fail(Errc::invalid, "\"" + std::string(text) + "\": no IPv4 address behind =");
    return list;
}

std::string list_question(const IpAddress& address, const AddressList& list) {
    const auto name = address.reverse_name();
    return std::string(without_ending(name)) + "." + list.zone;
}

bool says_listed(std::string_view record, const AddressList& list) {
    const auto text = dns::parse_address(record);
    const auto answer = text ? IpAddress::parse(*text) : std::nullopt;
    if (!answer || answer->v6 || answer->octets[0] != 127) return false;
    if (list.only) return *answer == *list.only;
    // Lists tell so whoever asks too much of them, or by a resolver that all use.
    const bool refused = answer->octets[1] == 255 && answer->octets[2] == 255;
    const bool refused_by_dnswl = answer->octets[1] == 0 && answer->octets[2] == 0 && answer->octets[3] == 255;
    return !refused && !refused_by_dnswl;
}

Task<Listing> find_listing(dns::Lookup& dns, IpAddress address, std::vector<AddressList> lists, Texts texts) {
    for (const auto& list : lists) {
        const auto question = list_question(address, list);
        auto answer = co_await dns.ask(question, dns::Type::a);
        const auto listed = [&](const auto& record) { return says_listed(record, list); };
        if (!answer || std::ranges::none_of(answer->records, listed)) continue;
        Listing found{list.zone, ""};
        if (texts == Texts::yes) found.text = co_await words_of(dns, question);
        co_return found;
    }
    co_return Listing();
}

Task<MethodResult> check_iprev(dns::Lookup& dns, IpAddress address) {
    MethodResult result{"iprev", Outcome::permerror, "", ""};
    result.properties.emplace_back("policy.iprev", address.text());
    auto answer = co_await dns.ask(address.reverse_name(), dns::Type::ptr);
    if (!answer) {
        result.outcome = Outcome::temperror;
        result.reason = answer.error().detail();
        co_return result;
    }
    std::size_t tried = 0;
    for (const auto& record : answer->records) {
        auto name = dns::parse_name(record);
        if (!name || name->empty()) continue;
        if (++tried > kMostNames) break;
        auto back = co_await leads_to(dns, *name, address);
        if (back && *back) {
            result.outcome = Outcome::pass;
            result.comment = *name;
            result.reason.clear();
            co_return result;
        }
        if (result.outcome != Outcome::temperror) result.outcome = back ? Outcome::fail : Outcome::temperror;
        if (!back) result.reason = back.error().detail();
    }
    if (result.outcome == Outcome::permerror) result.reason = "the address has no name";
    co_return result;
}

Task<MethodResult> check_helo(dns::Lookup& dns, IpAddress address, std::string helo) {
    MethodResult result{"x-helo", Outcome::fail, "", ""};
    result.properties.emplace_back("smtp.helo", helo);
    if (helo.starts_with('[') && helo.ends_with(']')) {  // RFC 5321 s4.1.3
        auto literal = std::string_view(helo).substr(1, helo.size() - 2);
        if (literal.size() > 5 && ascii::same(literal.substr(0, 5), "ipv6:")) literal.remove_prefix(5);
        const auto named = IpAddress::parse(literal);
        if (named && *named == address) result.outcome = Outcome::pass;
        co_return result;
    }
    const auto name = mail::canonical_domain(helo);
    if (!name || !name->contains('.')) {
        result.outcome = Outcome::permerror;
        result.reason = "no name of a host";
        co_return result;
    }
    auto leads = co_await leads_to(dns, *name, address);
    if (!leads) {
        result.outcome = Outcome::temperror;
        result.reason = leads.error().detail();
    } else if (*leads) {
        result.outcome = Outcome::pass;
    }
    co_return result;
}

}  // namespace poplar::screening
