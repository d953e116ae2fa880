#include "net/proxy_header.h"

#include <gtest/gtest.h>

namespace {

using namespace poplar;
using namespace poplar::net;
using Source = ProxyHeader::Source;
using std::string_literals::operator""s;

const auto kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(char command, char family, std::string_view addresses, std::string_view more = "") {
    const auto size = addresses.size() + more.size();
    return kSignature + command + family + static_cast<char>(size >> 8) + static_cast<char>(size & 0xff) +
           std::string(addresses) + std::string(more);
}
const auto kV4 = "\xc0\x00\x02\x07\xcb\x00\x71\x01\xa8\x2a\x00\x6e"s;
const auto kV6 =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xa8\x2a\x00\x6e"s;

TEST(ProxyHeader, SaysWhoTheClientIs) {
    struct Case {
        std::string header;
        Source source;
        std::string_view address;
        std::uint16_t port;
    };
    const auto more = "\x04\x00\x03zzz\x20\x00\x01y"s;
    for (const auto& [header, source, address, port] : {
             Case{"PROXY TCP4 192.0.2.7 203.0.113.1 43050 110\r\n", Source::client, "192.0.2.7", 43050},
             {"PROXY TCP4 192.0.2.7 203.0.113.1 0 65535\r\n", Source::client, "192.0.2.7", 0},
             {"PROXY TCP6 2001:DB8::7 2001:db8:0::1 43050 110\r\n", Source::client, "2001:db8::7", 43050},
             {"PROXY TCP6 ::ffff:192.0.2.7 ::1 43050 110\r\n", Source::client, "192.0.2.7", 43050},
             {"PROXY UNKNOWN\r\n", Source::unknown, "", 0},
             {"PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n", Source::unknown, "", 0},
             {binary(0x21, 0x11, kV4), Source::client, "192.0.2.7", 43050},
             {binary(0x21, 0x11, kV4, more), Source::client, "192.0.2.7", 43050},
             {binary(0x21, 0x21, kV6), Source::client, "2001:db8::7", 43050},
             {binary(0x21, 0x21, kV6, more), Source::client, "2001:db8::7", 43050},
             {binary(0x21, 0x00, ""), Source::unknown, "", 0},
             {binary(0x21, 0x00, "", more), Source::unknown, "", 0},
             {binary(0x21, 0x31, std::string(216, 'x')), Source::unknown, "", 0},
             {binary(0x20, 0x00, ""), Source::proxy, "", 0},
             {binary(0x20, 0x11, kV4), Source::proxy, "", 0},
         }) {
        auto size = proxy_header_size(header);
        ASSERT_TRUE(size) << size.error().detail();
        EXPECT_EQ(*size, header.size());
        auto parsed = parse_proxy_header(header);
        ASSERT_TRUE(parsed) << header << parsed.error().detail();
        EXPECT_EQ(parsed->source, source) << header;
        EXPECT_EQ(parsed->client.address, address);
        EXPECT_EQ(parsed->client.port, port);
    }
}

TEST(ProxyHeader, ShowsItsSizeHoweverItIsCutAndWhateverFollows) {
    for (const auto& header : {"PROXY TCP4 192.0.2.7 203.0.113.1 43050 110\r\n"s, binary(0x21, 0x21, kV6, "abc")}) {
        for (std::size_t cut = 0; cut < header.size(); ++cut) {
            auto size = proxy_header_size(std::string_view(header).substr(0, cut));
            ASSERT_TRUE(size) << cut;
            EXPECT_TRUE(!*size || *size == header.size()) << cut;
        }
        EXPECT_EQ(proxy_header_size(header + "USER fred\r\n").value(), header.size());
    }
}

TEST(ProxyHeader, IsRefusedAsSoonAsItCanBeNone) {
    for (const auto& octets : {"QUIT"s, "E"s, "PROXYTCP4"s, "proxy TCP4"s, "\x16\x03\x01"s, "\r\n\r\n\r\n"s,
                               "PROXY TCP4 "s + std::string(96, '1'), kSignature + "\x11", kSignature + "\x22",
                               kSignature + "\x31", binary(0x21, 0x11, kV4, std::string(4097, 'x'))})
        EXPECT_FALSE(proxy_header_size(octets)) << octets;
    EXPECT_TRUE(proxy_header_size(binary(0x21, 0x11, kV4, std::string(4096 - 28, 'x'))));
}

TEST(ProxyHeader, IsRefusedIfItSaysSomethingElse) {
    for (const auto& header : {
             "PROXY \r\n"s,
             "PROXY TCP4\r\n"s,
             "PROXY TCP5 192.0.2.7 203.0.113.1 43050 110\r\n"s,
             "PROXY UNKNOWNx\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 43050\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 43050 110 \r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 43050 110 1\r\n"s,
             "PROXY TCP4  192.0.2.7 203.0.113.1 43050 110\r\n"s,
             "PROXY TCP4 192.0.2.256 203.0.113.1 43050 110\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113 43050 110\r\n"s,
             "PROXY TCP4 2001:db8::7 2001:db8::1 43050 110\r\n"s,
             "PROXY TCP6 192.0.2.7 203.0.113.1 43050 110\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 65536 110\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 043 110\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 -1 110\r\n"s,
             "PROXY TCP4 192.0.2.7 203.0.113.1 43050 x\r\n"s,
             "PROXY TCP4 192.0.2.7\0 203.0.113.1 43050 110\r\n"s,
             binary(0x21, 0x11, kV4.substr(0, 11)),
             binary(0x21, 0x21, kV4),
             binary(0x21, 0x12, kV4),
             binary(0x21, 0x41, kV4),
         }) {
        auto parsed = parse_proxy_header(header);
        ASSERT_FALSE(parsed) << header;
        EXPECT_EQ(parsed.error().code(), Errc::invalid);
    }
}

TEST(ProxyHeader, SaysWhatTheProxyKnowsOfTheClientsTls) {
    const auto noop = "\x04\0\x03zzz"s;
    const auto parts =
        "\x21\0\x07TLSv1.3\x22\0\x03"
        "bob\x23\0\x16TLS_AES_128_GCM_SHA256"s;
    auto ssl = [](char client, std::string_view verify, std::string_view inside) {
        const auto size = 5 + inside.size();
        return "\x20"s + static_cast<char>(size >> 8) + static_cast<char>(size & 0xff) + client + std::string(verify) +
               std::string(inside);
    };
    auto tls_of = [](const std::string& more) { return parse_proxy_header(binary(0x21, 0x11, kV4, more))->tls; };
    const auto good = "\0\0\0\0"s, bad = "\0\0\0\x01"s;
    auto tls = tls_of(noop + ssl(3, good, parts));
    ASSERT_TRUE(tls);
    EXPECT_EQ(tls->version, "TLSv1.3");
    EXPECT_EQ(tls->cipher, "TLS_AES_128_GCM_SHA256");
    EXPECT_TRUE(tls->certificate);
    EXPECT_FALSE(tls_of(ssl(3, bad, parts))->certificate) << "shown, and not good";
    EXPECT_FALSE(tls_of(ssl(1, good, parts))->certificate) << "none shown";
    EXPECT_FALSE(tls_of(ssl(0, good, parts))) << "no TLS";
    EXPECT_FALSE(tls_of(noop));
    EXPECT_FALSE(tls_of("\x20\0\x09"s)) << "cut off";
    EXPECT_EQ(tls_of(ssl(1, good,
                         "\x21\0\xff"
                         "TLS"s))
                  ->version,
              "")
        << "cut off within";
    EXPECT_EQ(tls_of(ssl(1, good, "\x21\0\x04\x1b[0m"s))->version, "?[0m");
    EXPECT_EQ(tls_of(ssl(1, good, "\x21\0\x64"s + std::string(100, 'x')))->version.size(), 64u);
}

}  // namespace
