// Messages with 8-bit bodies as 7-bit ones (RFC 6152, RFC 2045): what is encoded, how, and what may not be.
#include "mail/seven_bit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "mail/decode.h"
#include "mail/field_writer.h"

namespace poplar::mail {
namespace {

SevenBitPlan plan_of(std::string_view in, std::size_t step = std::string_view::npos) {
    SevenBitPlanner planner;
    for (; !in.empty(); in.remove_prefix(std::min(step, in.size()))) planner.feed(in.substr(0, step));
    return planner.finish();
}

std::string written(std::string_view in, const SevenBitPlan& plan, std::size_t step = std::string_view::npos) {
    std::string block, out;
    SevenBitWriter writer(plan, block);
    for (; !in.empty(); in.remove_prefix(std::min(step, in.size()))) {
        block.clear();
        writer.feed(in.substr(0, step));
        out += block;
    }
    block.clear();
    writer.finish();
    return out + block;
}

std::string seven_bit(std::string_view in) {
    const auto plan = plan_of(in);
    EXPECT_EQ(plan.obstacle, "") << in;
    const auto out = written(in, plan);
    for (const std::size_t step : {1u, 2u, 7u}) {
        EXPECT_EQ(plan_of(in, step).parts, plan.parts);
        EXPECT_EQ(written(in, plan, step), out) << "in pieces of " << step;
    }
    EXPECT_FALSE(has_8bit(out)) << out;
    for (std::size_t at = 0, end = 0; (end = out.find('\n', at)) != out.npos; at = end + 1) EXPECT_LE(end - at, 998u);
    return out;
}

constexpr std::string_view kText =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n";

TEST(SevenBit, QuotesTextAndKeepsItsLines) {
    const auto out = seven_bit(std::string(kText) +
                               "Gr\xc3\xbc\xc3\x9f"
                               "e aus dem Norden = \t\r\n.\r\nThe rest of this text is plain enough.  \r\n");
    EXPECT_EQ(out,
              "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
              "Gr=C3=BC=C3=9Fe aus dem Norden =3D =09\r\n.\r\nThe rest of this text is plain enough. =20\r\n");
}

TEST(SevenBit, WhatComesOutSaysWhatWentIn) {
    std::string text;
    for (int i = 0; i < 3000; ++i)
        text += static_cast<char>(i % 7 == 0 ? 0x80 + i % 120 : i % 50 == 0 ? '\t' : 'a' + i % 26);
    text += " \t \xff \r\n\r\n  \r\nend\xe9\r\n";
    for (const std::string type : {"text/plain", "application/octet-stream"}) {
        const auto in = "MIME-Version: 1.0\r\nContent-Type: " + type + "\r\n\r\n" + text;
        const auto out = seven_bit(in);
        const auto blank = out.find("\r\n\r\n");
        const auto encoding = type == "text/plain" ? "quoted-printable" : "base64";
        EXPECT_TRUE(out.substr(0, blank).ends_with(std::string("\r\nContent-Transfer-Encoding: ") + encoding)) << out;
        EXPECT_EQ(decode_transfer(std::string_view(out).substr(blank + 4), encoding), text);
        for (std::size_t at = 0, end = 0; (end = out.find("\r\n", at)) != out.npos; at = end + 2)
            EXPECT_LE(end - at, 76u) << out.substr(at, end - at);
    }
}

TEST(SevenBit, LettersThatAreMostlyNotAsciiBecomeBase64) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "\xd0\x96";
    const auto out = seven_bit(std::string(kText) + text + "\r\n");
    EXPECT_TRUE(out.contains("Content-Transfer-Encoding: base64\r\n\r\n")) << out;
}

TEST(SevenBit, AMessageWithoutMimeIsGivenIt) {
    EXPECT_EQ(seven_bit("Subject: x\r\n\r\na long enough text, and \xc3\xbc\r\n"),
              "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: quoted-printable\r\n\r\na long enough text, and =C3=BC\r\n");
    // Nobody knows which letters these are (RFC 1428 s3).
    EXPECT_TRUE(seven_bit("\r\na long enough text, and \xfc\r\n").contains("charset=unknown-8bit\r\n"));
}

TEST(SevenBit, EachPartIsEncodedByItselfAndContainersAreRelabelled) {
    const auto out = seven_bit(
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\npr\xe9"
        "amble\r\n--b\r\n"
        "Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nall of it is plain "
        "\xe9\r\n--b\r\n"
        "Content-Type: application/x; name=y\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\xfe\r\n--b\r\n"
        "Content-Type: text/plain\r\n\r\nASCII = this one stays  \r\n--b\r\n"
        "Content-Type: message/rfc822\r\n\r\nSubject: in it\r\n\r\nand this one is a message, with "
        "\xc3\xa9\r\n--b--\r\nepil\xe9\r\n");
    EXPECT_EQ(
        out,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        "pr?amble\r\n--b\r\nContent-Type: text/plain; charset=latin1\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nall of it is plain =E9\r\n--b\r\n"
        "Content-Type: application/x; name=y\r\nContent-Transfer-Encoding: base64\r\n\r\n//4=\r\n--b\r\n"
        "Content-Type: text/plain\r\n\r\nASCII = this one stays  \r\n--b\r\n"
        "Content-Type: message/rfc822\r\n\r\nSubject: in it\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "and this one is a message, with =C3=A9\r\n--b--\r\nepil?\r\n");
}

TEST(SevenBit, WhatIsAsciiStaysAsItIs) {
    const std::string message =
        "Subject: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n";
    const auto plan = plan_of(message);
    EXPECT_FALSE(plan.needed);
    EXPECT_EQ(written(message, plan), message);
}

TEST(SevenBit, SomeMessagesCanNotBeChanged) {
    for (const std::string_view message :
         {"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\ns\xe9\r\n--b--\r\n",
          "Subject: \xe9\r\n\r\ntext\r\n", "Content-Type: message/partial; id=x\r\n\r\n\xe9\r\n",
          "Content-Transfer-Encoding: base64\r\n\r\n\xe9\r\n",
          "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: \xe9\r\n\r\ntext\r\n--b--\r\n"})
        EXPECT_NE(plan_of(message).obstacle, "") << message;
}

TEST(SevenBit, OwnSignaturesThatDoNotFitAnyMoreAreLeftOut) {
    const auto out = seven_bit(
        "DKIM-Signature: ours;\r\n\tb=x\r\nReceived: by here\r\nDKIM-Signature: theirs\r\n\r\na text of some length "
        "\xc3\xa9\r\n");
    EXPECT_TRUE(out.starts_with("Received: by here\r\nDKIM-Signature: theirs\r\n")) << out;
    // A filter's user may write one below what this server puts on top: it is nothing that this server has signed.
    const auto forged =
        seven_bit("Delivered-To: joe@here.example\r\nDKIM-Signature: x\r\n\r\na text of some length \xc3\xa9\r\n");
    EXPECT_TRUE(forged.starts_with("Delivered-To: joe@here.example\r\nDKIM-Signature: x\r\n")) << forged;
}

}  // namespace
}  // namespace poplar::mail
