// HAProxy's PROXY protocol, versions 1 and 2, as octets.
#include "net/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace poplar::net {

namespace {

using std::string_view_literals::operator""sv;

// Version 1 (s2.1): a line, CRLF included.
constexpr std::string_view kTextStart = "PROXY ";
constexpr std::size_t kTextLimit = 107;

// Version 2 (s2.2): 12 octets that are no protocol's, version and command, family and transport, two octets of length.
constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kFixedOctets = 16;
constexpr unsigned kVersion2 = 2, kLocal = 0, kProxy = 1;
constexpr unsigned kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31;

unsigned octet(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }
unsigned two_octets(std::string_view text, std::size_t at) { return octet(text, at) << 8 | octet(text, at + 1); }

/// The peer of an address that is written as `family` has it.
std::optional<Peer> peer_of(int family, std::string_view address, std::uint16_t port) {
    return address.contains(':') == (family == AF_INET6) ? peer_at(std::string(address), port) : std::nullopt;
}

// s2.1: decimal, 0 to 65535, no leading zeros.
std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc{} || rest != end || (text.size() > 1 && text.front() == '0')) return std::nullopt;
    return port;
}

Result<ProxyHeader> parse_text(std::string_view line) {
    line.remove_prefix(kTextStart.size());
    line.remove_suffix(2);
    if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return ProxyHeader{};  // the rest of it means nothing
    std::array<std::string_view, 5> words;  // family, source, destination, the port of each
    std::size_t count = 0;
    for (; count < words.size(); ++count) {
        const auto end = line.find(' ');
        words[count] = line.substr(0, end);
        line.remove_prefix(std::min(line.size(), words[count].size() + 1));
        if (end == line.npos) break;
    }
    if (count != words.size() - 1) return fail(Errc::invalid, "has not five words");
    const bool v4 = words[0] == "TCP4";
    if (!v4 && words[0] != "TCP6") return fail(Errc::invalid, "names an unknown kind of address");
    const int family = v4 ? AF_INET : AF_INET6;
    const auto port = parse_port(words[3]);
    if (!port || !parse_port(words[4])) return fail(Errc::invalid, "has no ports");
    auto client = peer_of(family, words[1], *port);
    if (!client || !peer_of(family, words[2], 0)) return fail(Errc::invalid, "has no addresses");
    return ProxyHeader{ProxyHeader::Source::client, std::move(*client)};
}

// s2.2: type, two octets of length, value. Takes the first off `octets`; nothing: none is left, or it is cut off.
struct Addition {
    unsigned type;
    std::string_view value;
};
std::optional<Addition> next_addition(std::string_view& octets) {
    if (octets.size() < 3) return std::nullopt;
    const auto size = two_octets(octets, 1);
    if (octets.size() - 3 < size) return std::nullopt;
    Addition found{octet(octets, 0), octets.substr(3, size)};
    octets.remove_prefix(3 + size);
    return found;
}

std::string printable(std::string_view text) {
    constexpr std::size_t kMost = 64;
    std::string out(text.substr(0, kMost));
    for (char& c : out)
        if (c <= ' ' || c > '~') c = '?';
    return out;
}

// s2.2.5: what is said about the client and about its certificate, then additions of its own.
std::optional<ProxyHeader::Tls> tls_in(std::string_view additions) {
    constexpr unsigned kSsl = 0x20, kVersion = 0x21, kCipher = 0x23;
    constexpr unsigned kOverSsl = 1, kShownHere = 2, kShownBefore = 4;
    constexpr std::size_t kFixed = 5;
    while (auto addition = next_addition(additions)) {
        auto& value = addition->value;
        if (addition->type != kSsl || value.size() < kFixed || (octet(value, 0) & kOverSsl) == 0) continue;
        ProxyHeader::Tls tls;
        const bool shown = (octet(value, 0) & (kShownHere | kShownBefore)) != 0;
        tls.certificate = shown && value.substr(1, 4) == "\0\0\0\0"sv;
        value.remove_prefix(kFixed);
        while (auto part = next_addition(value)) {
            if (part->type == kVersion) tls.version = printable(part->value);
            if (part->type == kCipher) tls.cipher = printable(part->value);
        }
        return tls;
    }
    return std::nullopt;
}

Result<ProxyHeader> parse_binary(std::string_view octets) {
    if (octet(octets, 12) == (kVersion2 << 4 | kLocal)) return ProxyHeader{ProxyHeader::Source::proxy};
    const auto addresses = octets.substr(kFixedOctets);
    // Addresses of both ends, then their ports; of what follows (s2.2.1) only the client's TLS is of use here.
    const auto client = [&](int family, std::size_t size) -> Result<ProxyHeader> {
        if (addresses.size() < 2 * size + 4) return fail(Errc::invalid, "is too short for its addresses");
        char text[INET6_ADDRSTRLEN] = "";
        inet_ntop(family, addresses.data(), text, sizeof text);
        const auto port = static_cast<std::uint16_t>(two_octets(addresses, 2 * size));
        return ProxyHeader{ProxyHeader::Source::client, *peer_at(std::string(text), port),
                           tls_in(addresses.substr(2 * size + 4))};
    };
    switch (octet(octets, 13)) {
        case kUnspecified:
        case kUnixStream: return ProxyHeader{};  // a socket's name says nothing here
        case kTcp4: return client(AF_INET, 4);
        case kTcp6: return client(AF_INET6, 16);
        default: return fail(Errc::invalid, "names an unknown kind of address");
    }
}

}  // namespace

Result<std::optional<std::size_t>> proxy_header_size(std::string_view octets) {
    const auto begins_as = [&](std::string_view start) { return start.starts_with(octets.substr(0, start.size())); };
    if (begins_as(kTextStart)) {
        const auto end = octets.substr(0, kTextLimit).find("\r\n");
        if (end != octets.npos) return end + 2;
        if (octets.size() >= kTextLimit) return fail(Errc::invalid, "has no end of line");
        return std::nullopt;
    }
    if (!begins_as(kSignature)) return fail(Errc::invalid, "is none");
    if (octets.size() > kSignature.size()) {
        const auto version = octet(octets, 12) >> 4, command = octet(octets, 12) & 0xf;
        if (version != kVersion2 || command > kProxy) return fail(Errc::invalid, "has an unknown version or command");
    }
    if (octets.size() < kFixedOctets) return std::nullopt;
    const auto size = kFixedOctets + two_octets(octets, 14);
    if (size > kProxyHeaderLimit) return fail(Errc::invalid, "is too long");
    return size;
}

Result<ProxyHeader> parse_proxy_header(std::string_view header) {
    auto size = proxy_header_size(header);
    if (!size) return pass_on(size);
    if (*size != header.size()) return fail(Errc::invalid, "is not whole");
    return header.starts_with(kTextStart) ? parse_text(header) : parse_binary(header);
}

}  // namespace poplar::net
