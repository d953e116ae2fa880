#include "dns/record.h"

#include <arpa/inet.h>

#include <array>

#include "base/ascii.h"

namespace poplar::dns {

std::optional<std::string> parse_name(std::string_view wire) {
    std::string name;
    for (;;) {
        if (wire.empty()) return std::nullopt;
        const auto size = static_cast<unsigned char>(wire.front());
        wire.remove_prefix(1);
        if (size == 0) return name;
        if (size > 63 || wire.size() < size) return std::nullopt;
        if (!name.empty()) name += '.';
        for (char c : wire.substr(0, size)) {
            if (c <= ' ' || c == '.' || c == 0x7f) return std::nullopt;  // char is signed: octets over 0x7f, too
            name += ascii::lower(c);
        }
        if (name.size() > kNameLimit) return std::nullopt;
        wire.remove_prefix(size);
    }
}

std::optional<Mx> parse_mx(std::string_view rdata) {
    if (rdata.size() < 3) return std::nullopt;
    auto host = parse_name(rdata.substr(2));
    if (!host) return std::nullopt;
    const auto high = static_cast<unsigned char>(rdata[0]), low = static_cast<unsigned char>(rdata[1]);
    return Mx{static_cast<std::uint16_t>(high << 8 | low), std::move(*host)};
}

std::optional<std::string> parse_address(std::string_view rdata) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = rdata.size() == 4 ? AF_INET : AF_INET6;
    if (rdata.size() != 4 && rdata.size() != 16) return std::nullopt;
    if (!inet_ntop(family, rdata.data(), text.data(), text.size())) return std::nullopt;
    return std::string(text.data());
}

std::optional<Tlsa> parse_tlsa(std::string_view rdata) {
    if (rdata.size() < 4) return std::nullopt;
    const auto octet = [&](std::size_t at) { return static_cast<std::uint8_t>(rdata[at]); };
    return Tlsa{octet(0), octet(1), octet(2), std::string(rdata.substr(3))};
}

std::optional<std::string> parse_txt(std::string_view rdata) {
    std::string text;
    while (!rdata.empty()) {
        const auto size = static_cast<unsigned char>(rdata.front());
        rdata.remove_prefix(1);
        if (rdata.size() < size) return std::nullopt;
        text += rdata.substr(0, size);
        rdata.remove_prefix(size);
    }
    return text;
}

}  // namespace poplar::dns
