#include "imap/fetch_octets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace poplar::imap {
namespace {

mail::Structure read(std::string_view wire) {
    mail::StructureReader reader;
    reader.feed(wire);
    return reader.finish();
}

/// FETCH's answer when the message comes in pieces of this size.
std::string fetch(std::string_view wire, std::string_view text, std::size_t step = 1 << 20) {
    const auto structure = read(wire);
    Cursor in(text);
    const auto items = parse_fetch_items(in);
    if (!items) return "refused: " + items.error().detail();
    ItemWriter writer(items->front(), structure, TextForm::ascii);
    if (writer.unknown_encoding()) return "UNKNOWN-CTE";
    std::string out;
    auto next = writer.start(out);
    for (int rounds = 0; next != ItemWriter::Next::done; ++rounds) {
        if (rounds == 3) return "never done: " + out;
        next = ItemWriter::Next::more;
        for (std::size_t at = 0; at < wire.size() && next == ItemWriter::Next::more; at += step)
            next = writer.feed(at, wire.substr(at, step), out);
        if (next == ItemWriter::Next::more) return "wants more: " + out;
    }
    return out;
}

constexpr std::string_view kLetter =
    "Subject: outer\r\n"
    "From: a@b\r\n"
    "X-Folded: one\r\n two\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "preamble\r\n"
    "--b\r\n"
    "Content-Type: text/plain\r\n"
    "\r\n"
    "..dot\r\n"
    "second\r\n"
    "--b\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: inner\r\n"
    "Content-Type: multipart/alternative; boundary=c\r\n"
    "\r\n"
    "--c\r\n"
    "Content-Type: text/html\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "\r\n"
    "<p>gr=C3=BC=\r\n"
    "n</p>\r\n"
    "--c\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "Content-Type: application/octet-stream\r\n"
    "\r\n"
    "AGFiYw==\r\n"
    "--c--\r\n"
    "--b\r\n"
    "Content-Transfer-Encoding: x-rot13\r\n"
    "\r\n"
    "uryyb\r\n"
    "--b--\r\n";

const std::string kPlain = [] {
    std::string plain;
    mail::WireDecoder().decode(kLetter, plain);
    return plain;
}();

std::string literal(std::string_view octets) {
    return "{" + std::to_string(octets.size()) + "}\r\n" + std::string(octets);
}

TEST(FetchOctets, GivesEverySection) {
    const auto inner_at = kPlain.find("Subject: inner");
    const auto inner = std::string_view(kPlain).substr(
        inner_at, kPlain.find("\r\n--b\r\nContent-Transfer-Encoding: x-rot13") - inner_at);
    const auto header = std::string_view(kPlain).substr(0, kPlain.find("preamble"));
    struct Case {
        std::string_view item;
        std::string answer;
    };
    const std::vector<Case> cases = {
        {"BODY[]", "BODY[] " + literal(kPlain)},
        {"RFC822", "RFC822 " + literal(kPlain)},
        {"BODY.PEEK[HEADER]", "BODY[HEADER] " + literal(header)},
        {"RFC822.HEADER", "RFC822.HEADER " + literal(header)},
        {"BODY[TEXT]", "BODY[TEXT] " + literal(std::string_view(kPlain).substr(header.size()))},
        {"RFC822.TEXT", "RFC822.TEXT " + literal(std::string_view(kPlain).substr(header.size()))},
        {"BODY[1]", "BODY[1] " + literal(".dot\r\nsecond")},
        {"BODY[1]<2.3>", "BODY[1]<2> " + literal("ot\r")},
        {"BODY[1]<11.99>", "BODY[1]<11> " + literal("d")},
        {"BODY[1]<12.99>", "BODY[1]<12> \"\""},
        {"BODY[1]<99.1>", "BODY[1]<99> \"\""},
        {"BODY[1.MIME]", "BODY[1.MIME] " + literal("Content-Type: text/plain\r\n\r\n")},
        {"BODY[2]", "BODY[2] " + literal(inner)},
        {"BODY[2.HEADER]",
         "BODY[2.HEADER] " + literal("Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n")},
        {"BODY[2.1]", "BODY[2.1] " + literal("<p>gr=C3=BC=\r\nn</p>")},
        {"BODY[2.2]", "BODY[2.2] " + literal("AGFiYw==")},
        {"BODY[HEADER.FIELDS (SUBJECT x-folded None)]",
         "BODY[HEADER.FIELDS (SUBJECT x-folded None)] " + literal("Subject: outer\r\nX-Folded: one\r\n two\r\n\r\n")},
        {"BODY[HEADER.FIELDS.NOT (Subject X-Folded)]",
         "BODY[HEADER.FIELDS.NOT (Subject X-Folded)] " +
             literal("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")},
        {"BODY[HEADER.FIELDS (Nothing)]<0.1>", "BODY[HEADER.FIELDS (Nothing)]<0> " + literal("\r")},
        {"BODY[2.HEADER.FIELDS (Subject)]", "BODY[2.HEADER.FIELDS (Subject)] " + literal("Subject: inner\r\n\r\n")},
        {"BODY[4]", "BODY[4] NIL"},
        {"BODY[1.1]", "BODY[1.1] NIL"},
        {"BODY[1.HEADER]", "BODY[1.HEADER] NIL"},
        {"BODY[2.3.TEXT]", "BODY[2.3.TEXT] NIL"},
        {"BODY[2.1.1]", "BODY[2.1.1] NIL"},
        {"BINARY[2.1]", "BINARY[2.1] ~" + literal("<p>gr\xc3\xbcn</p>")},
        {"BINARY[2.1]<3.4>", "BINARY[2.1]<3> ~" + literal("gr\xc3\xbc")},
        {"BINARY[2.2]", "BINARY[2.2] ~" + literal(std::string_view("\0abc", 4))},
        {"BINARY[1]", "BINARY[1] ~" + literal(".dot\r\nsecond")},
        {"BINARY.SIZE[2.2]", "BINARY.SIZE[2.2] 4"},
        {"BINARY.SIZE[1]", "BINARY.SIZE[1] 12"},
        {"BINARY[3]", "UNKNOWN-CTE"},
        {"BINARY[9]", "BINARY[9] NIL"},
        {"PREVIEW", "PREVIEW \".dot second\""},
    };
    for (const auto& [item, answer] : cases)
        for (const std::size_t step : {1u, 2u, 7u, 1000u})
            EXPECT_EQ(fetch(kLetter, item, step), answer) << item << " in " << step;
}

TEST(FetchOctets, AMessageWithoutPartsIsItsPart1) {
    EXPECT_EQ(fetch("Subject: x\r\n\r\nbody", "BODY[1]"), "BODY[1] {4}\r\nbody");
    EXPECT_EQ(fetch("Subject: x\r\n\r\nbody", "BODY[1.MIME]"), "BODY[1.MIME] {14}\r\nSubject: x\r\n\r\n");
    EXPECT_EQ(fetch("Subject: x\r\n\r\nbody", "BODY[2]"), "BODY[2] NIL");
    EXPECT_EQ(fetch("Subject: x\r\n\r\nbody", "BODY[1.1]"), "BODY[1.1] NIL");
    EXPECT_EQ(fetch("no header\r\n", "BODY[HEADER]"), "BODY[HEADER] \"\"");
    EXPECT_EQ(fetch("no header\r\n", "BODY[TEXT]"), "BODY[TEXT] {11}\r\nno header\r\n");
    EXPECT_EQ(fetch("", "BODY[]"), "BODY[] \"\"");
    EXPECT_EQ(fetch("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx", "BODY[1.HEADER]"),
              "BODY[1.HEADER] {15}\r\nSubject: in\r\n\r\n");
    EXPECT_EQ(fetch("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx", "BODY[1.1]"), "BODY[1.1] {1}\r\nx");
}

TEST(FetchOctets, ALargeDecodedPartIsReadTwiceAndNeverHeld) {
    std::string wire = "Content-Transfer-Encoding: base64\r\n\r\n";
    for (int i = 0; i < 20'000; ++i)
        wire += "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU2Nzg5\r\n";  // 36 octets a line
    const auto answer = fetch(wire, "BINARY[1]", 4096);
    ASSERT_TRUE(answer.starts_with("BINARY[1] ~{720000}\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABC"))
        << answer.substr(0, 80);
    EXPECT_EQ(answer.size(), 21u + 720'000u);
    EXPECT_EQ(fetch(wire, "BINARY[1]<719999.10>", 4096), "BINARY[1]<719999> ~{1}\r\n9");
    EXPECT_EQ(fetch(wire, "BINARY.SIZE[1]", 4096), "BINARY.SIZE[1] 720000");
}

TEST(FetchOctets, APreviewIsWhatPeopleRead) {
    struct Case {
        std::string_view wire, preview;
    };
    for (const auto& [wire, preview] : {
             Case{"\r\n", "\"\""},
             {"\r\nHello,\r\n\r\n  this is\tit.\r\n", "\"Hello, this is it.\""},
             {"\r\n> quoted\r\nanswer\r\n-- \r\nsignature", "\"answer\""},
             {"\r\n> only quoted\r\n", "\"> only quoted\""},
             {"Content-Type: text/html\r\n\r\n<html><head><style>x{}</style></head><p>Hi &amp; <b>bye</b></p>",
              "\"Hi & bye\""},
             {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
              "quoted-printable\r\n\r\ngr=FCn",
              "{5}\r\ngr\xc3\xbcn"},
             {"Content-Type: image/png\r\n\r\nx", "\"\""},
         })
        EXPECT_EQ(fetch(wire, "PREVIEW"), "PREVIEW " + std::string(preview)) << wire;
    std::string longer;
    for (int i = 0; i < 300; ++i) longer += "\xc3\xa4";
    EXPECT_EQ(preview_of(longer).size(), 400u) << "200 characters";
}

}  // namespace
}  // namespace poplar::imap
