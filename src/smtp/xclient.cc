#include "smtp/xclient.h"

#include <algorithm>

#include "base/ascii.h"
#include "smtp/parameters.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kValueLimit = 255;  // octets, decoded
constexpr std::string_view kIpv6Tag = "IPV6:";

using Read = bool (*)(std::string_view value, Xclient& client);
struct Attribute {
    std::string_view name;
    Read read;
};

bool nothing_known(std::string_view value) {
    return ascii::same(value, "[UNAVAILABLE]") || ascii::same(value, "[TEMPUNAVAIL]");
}

std::string_view without_tag(std::string_view address) {
    const bool tagged = ascii::starts_with(address, kIpv6Tag);
    return tagged ? address.substr(kIpv6Tag.size()) : address;
}

bool read_address(std::string_view value, Xclient& client) {
    client.address = nothing_known(value) ? "" : without_tag(value);
    return true;
}

bool is_port(std::string_view value) {
    auto port = parse_number(value);
    return nothing_known(value) || (port && *port <= 0xffff);
}

bool read_port(std::string_view value, Xclient& client) {
    if (!nothing_known(value) && is_port(value)) client.port = static_cast<std::uint16_t>(*parse_number(value));
    return is_port(value);
}

bool read_protocol(std::string_view value, Xclient& client) {
    client.extended = ascii::same(value, "ESMTP");
    return *client.extended || ascii::same(value, "SMTP");
}

bool read_helo(std::string_view value, Xclient& client) {
    const bool printable = std::ranges::all_of(value, [](unsigned char c) { return c > 32 && c != 127; });
    if (!nothing_known(value)) client.helo = std::string(value);
    return printable;
}

bool pass_over(std::string_view, Xclient&) { return true; }

constexpr Attribute kAttributes[] = {
    {"ADDR", read_address},
    {"PORT", read_port},
    {"PROTO", read_protocol},
    {"HELO", read_helo},
    // Not used here: the server looks no names up, and a front server's login is not ours.
    {"NAME", pass_over},
    {"REVERSE_NAME", pass_over},
    {"LOGIN", pass_over},
    {"DESTADDR", pass_over},
    {"DESTPORT", [](std::string_view value, Xclient&) { return is_port(value); }},
};

}  // namespace

std::expected<Xclient, Reply> parse_xclient(std::string_view text) {
    Xclient client;
    std::size_t count = 0;
    for (;; ++count) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        if (text.empty()) break;
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(word.size());
        const auto equals = std::min(word.find('='), word.size());
        const auto known = std::ranges::find_if(
            kAttributes, [&](const Attribute& one) { return ascii::same(one.name, word.substr(0, equals)); });
        if (known == std::end(kAttributes) || equals == word.size()) return std::unexpected(replies::kBadArgument);
        const auto value = decode_xtext(word.substr(equals + 1));
        if (!value || value->empty() || value->size() > kValueLimit || !known->read(*value, client))
            return std::unexpected(replies::kBadArgument);
    }
    if (count == 0) return std::unexpected(replies::kBadArgument);
    return client;
}

}  // namespace poplar::smtp
