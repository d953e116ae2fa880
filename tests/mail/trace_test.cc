// Trace header fields: dates, Received, Return-Path; and that nothing in them can break a header.
#include "mail/trace.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace poplar::mail {
namespace {

using namespace std::string_literals;

Timestamp at(std::int64_t millis) { return Timestamp(std::chrono::milliseconds(millis)); }
constexpr std::int64_t kMorning = 1'795'316'709'000;  // 2026-11-22 03:05:09

TEST(Trace, FormatsDatesInUtc) {  // RFC 5322 s3.3
    EXPECT_EQ(format_date(at(kMorning)), "Sun, 22 Nov 2026 03:05:09 +0000");
    EXPECT_EQ(format_date(at(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
    EXPECT_EQ(format_date(at(-1)), "Wed, 31 Dec 1969 23:59:59 +0000");
    EXPECT_EQ(format_date(at(951'782'400'999)), "Tue, 29 Feb 2000 00:00:00 +0000");
}

Received example() {
    Received received;
    received.helo = "client.example";
    received.peer = "192.0.2.1";
    received.by = "mail.example.org";
    received.with = "ESMTPS";
    received.tls = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384";
    received.id = "0abc1";
    received.recipient = "user@example.org";
    received.time = at(kMorning);
    return received;
}

TEST(Trace, FormatsReceived) {  // RFC 5321 s4.4
    auto received = example();
    EXPECT_EQ(format_received(received),
              "Received: from client.example ([192.0.2.1])\r\n"
              "\t(TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
              "\tby mail.example.org with ESMTPS id 0abc1\r\n"
              "\tfor <user@example.org>; Sun, 22 Nov 2026 03:05:09 +0000\r\n");
    received.tls.clear();
    received.recipient.clear();
    received.peer = "2001:db8::1";
    EXPECT_EQ(format_received(received),
              "Received: from client.example ([IPv6:2001:db8::1])\r\n"
              "\tby mail.example.org with ESMTPS id 0abc1;\r\n"
              "\tSun, 22 Nov 2026 03:05:09 +0000\r\n");
    received.helo.clear();
    EXPECT_TRUE(format_received(received).starts_with("Received: from [IPv6:2001:db8::1]\r\n\tby mail"));
    received.peer.clear();
    EXPECT_EQ(format_received(received),
              "Received: by mail.example.org with ESMTPS id 0abc1;\r\n"
              "\tSun, 22 Nov 2026 03:05:09 +0000\r\n");
}

TEST(Trace, FoldsUnder78ColumnsWhereItCanBe) {
    auto received = example();
    received.helo = std::string(60, 'h');
    received.peer = "2001:db8:1111:2222:3333:4444:5555:6666";
    received.by = std::string(55, 'b');
    received.id = std::string(30, 'i');
    received.recipient = std::string(40, 'r') + "@example.org";
    const std::string all = format_received(received);
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t end = all.find("\r\n", begin);
        EXPECT_LE(end - begin, 78u) << all.substr(begin, end - begin);
        begin = end + 2;
    }
    EXPECT_EQ(std::ranges::count(all, '\n'), 7) << all;
}

/// One header field: lines end in CRLF, all but the first begin with a tab, and nothing in them is a control.
void expect_one_field(const std::string& text) {
    ASSERT_TRUE(text.ends_with("\r\n"));
    for (std::size_t i = 0; i + 2 < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (text[i] == '\r') {
            ASSERT_EQ(text[i + 1], '\n') << testing::PrintToString(text);
            ASSERT_EQ(text[i + 2], '\t') << testing::PrintToString(text);
        } else if (c < 0x20 && c != '\n' && c != '\t') {
            FAIL() << testing::PrintToString(text);
        } else if (c == '\n') {
            ASSERT_EQ(text[i - 1], '\r') << testing::PrintToString(text);
        }
    }
}

TEST(Trace, NothingAPeerSaysLeavesItsPlace) {
    std::mt19937 random(11);
    constexpr std::string_view kAlphabet("\r\n\t\0 ()<>\"\\;,:@.-a[]\x7f\xc3\xa9\xff\xc2\x85", 26);
    auto nasty = [&] {
        std::string text(random() % 500, '\0');
        for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
        return text;
    };
    for (int i = 0; i < 3000; ++i) {
        Received received{nasty(), nasty(), nasty(), nasty(), nasty(), nasty(), nasty(), at(kMorning)};
        const std::string text = format_received(received);
        expect_one_field(text);
        EXPECT_TRUE(text.starts_with("Received: "));
        std::size_t longest = 0;
        for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
            longest = std::max(longest, end - begin);
        EXPECT_LE(longest, 998u);
        expect_one_field(format_return_path(nasty()));
        expect_one_field(format_delivered_to(nasty()));
    }
}

TEST(Trace, ReplacesWhatIsUnfit) {
    auto received = example();
    received.helo = "a (b)\r\nX: y;";
    received.tls = "x) by evil (y";
    received.recipient = "\"a>b\"@example.org";
    EXPECT_EQ(format_received(received),
              "Received: from a??b???X:?y? ([192.0.2.1])\r\n"
              "\t(x? by evil ?y)\r\n"
              "\tby mail.example.org with ESMTPS id 0abc1\r\n"
              "\tfor <\"a>b\"@example.org>; Sun, 22 Nov 2026 03:05:09 +0000\r\n");
    received = example();
    received.helo =
        "b\xc3\xbc"
        "cher.example\xff";
    EXPECT_TRUE(
        format_received(received).starts_with("Received: from b\xc3\xbc"
                                              "cher.example? (["))
        << "RFC 6531 s3.7.3";
}

TEST(Trace, FormatsPathsOfTheEnvelope) {
    EXPECT_EQ(format_return_path("user@example.org"), "Return-Path: <user@example.org>\r\n");
    EXPECT_EQ(format_return_path(""), "Return-Path: <>\r\n");
    EXPECT_EQ(format_return_path("a>\r\nX: <b"), "Return-Path: <a???X:??b>\r\n");
    EXPECT_EQ(format_return_path("\"a b\"@e"), "Return-Path: <\"a b\"@e>\r\n");
    EXPECT_EQ(format_delivered_to("jörg@bücher.example"), "Delivered-To: jörg@bücher.example\r\n");
    EXPECT_EQ(format_delivered_to("a\nX: y"), "Delivered-To: a?X:?y\r\n");
}

}  // namespace
}  // namespace poplar::mail
