// Messages with UTF-8 in headers as ASCII (RFC 6857): field by field, whole messages, and random ones.
#include "mail/downgrade.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "mail/address.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "tests/mail/letters.h"

namespace poplar::mail {
namespace {

using namespace std::string_literals;

std::string downgraded(std::string_view in, std::size_t step = std::string_view::npos) {
    std::string block, out;
    Downgrader downgrader(&block), measure;
    const auto size = static_cast<std::int64_t>(in.size());
    while (!in.empty()) {
        block.clear();
        downgrader.feed(in.substr(0, step));
        measure.feed(in.substr(0, step));
        out += block;
        in.remove_prefix(std::min(step, in.size()));
    }
    block.clear();
    downgrader.finish();
    measure.finish();
    out += block;
    EXPECT_EQ(measure.growth(), downgrader.growth());
    EXPECT_EQ(measure.needed(), downgrader.needed());
    EXPECT_EQ(size + measure.growth(), static_cast<std::int64_t>(out.size())) << "predicted and produced";
    return out;
}

/// RFC 2047 s2: at most 75 octets a word, 76 a line that has one; only ASCII; nothing that could end the field.
void expect_sound(std::string_view field) {
    EXPECT_FALSE(has_8bit(field)) << field;
    EXPECT_TRUE(field.ends_with("\r\n")) << field;
    for (std::size_t begin = 0; begin < field.size();) {
        const auto end = field.find("\r\n", begin);
        ASSERT_NE(end, field.npos);
        const auto line = field.substr(begin, end - begin);
        EXPECT_TRUE(begin == 0 || line.starts_with(' ') || line.starts_with('\t')) << field;
        EXPECT_NE(line.find_first_not_of(" \t"), line.npos) << "a line of nothing: " << field;
        if (line.contains("=?UTF-8?")) EXPECT_LE(line.size(), 76u) << line;
        constexpr std::string_view word = "=?UTF-8?";
        for (std::size_t at = 0; (at = line.find(word, at)) != line.npos;) {
            const auto last = line.find("?=", at + word.size() + 2);
            ASSERT_NE(last, line.npos) << line;
            EXPECT_LE(last + 2 - at, 75u) << line;
            at = last + 2;
        }
        begin = end + 2;
    }
}

struct Case {
    std::string_view in, out;
};

TEST(DowngradeField, EachKindOfFieldBecomesAsciiAsRfc6857Says) {
    for (auto [in, out] : {
             // s3.2.6, s3.2.8: unstructured
             Case{"Subject: Gr\u00fc\u00dfe", "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?="},
             {"Subject:\u00fc", "Subject:=?UTF-8?B?w7w=?="},
             {"Subject: Re: Gr\u00fc\u00dfe aus M\u00fcnchen am Freitag",
              "Subject: Re: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?= am Freitag"},
             {"Subject: \u65e5\u672c\u8a9e", "Subject: =?UTF-8?B?5pel5pys6Kqe?="},
             {"Subject: =?UTF-8?Q?a?= \u00fc =?UTF-8?Q?b?=",
              "Subject: =?UTF-8?Q?a?= =?UTF-8?Q?_=C3=BC_?= =?UTF-8?Q?b?="},
             {"X-Unknown:\t\u00fc  x", "X-Unknown:\t=?UTF-8?B?w7w=?=  x"},
             {"..dot: \u00fc", "..dot: =?UTF-8?B?w7w=?="},
             {"Content-Description: \u00fc", "Content-Description: =?UTF-8?B?w7w=?="},
             {"List-Id: \u00fc <list.example>", "List-Id: =?UTF-8?B?w7w=?= <list.example>"},
             // s3.2.1: addresses
             {"From: J\u00f6rg <joerg@example.com>", "From: =?UTF-8?Q?J=C3=B6rg?= <joerg@example.com>"},
             {"From: \"J\u00f6rg \\\"X\\\" M.\" <joerg@example.com>",
              "From: =?UTF-8?Q?J=C3=B6rg_=22X=22_M=2E?= <joerg@example.com>"},
             {"From: J\u00f6rg<joerg@example.com>", "From: =?UTF-8?Q?J=C3=B6rg?= <joerg@example.com>"},
             {"From: Joerg <joerg@b\u00fccher.example>", "From: Joerg <joerg@xn--bcher-kva.example>"},
             {"From: joerg@b\u00fccher.example (J\u00f6rg)",
              "From: joerg@xn--bcher-kva.example (=?UTF-8?Q?J=C3=B6rg?=)"},
             {"From: j\u00f6rg@example.com", "From: =?UTF-8?Q?j=C3=B6rg=40example=2Ecom?= :;"},
             {"From: <j\u00f6rg@example.com>", "From: =?UTF-8?Q?j=C3=B6rg=40example=2Ecom?= :;"},
             {"From: J\u00f6rg <j\u00f6rg@example.com>",
              "From: =?UTF-8?Q?J=C3=B6rg?= =?UTF-8?Q?_j=C3=B6rg=40example=2Ecom?= :;"},
             {"From: Joerg <j\u00f6rg@example.com>", "From: Joerg =?UTF-8?Q?j=C3=B6rg=40example=2Ecom?= :;"},
             {"Return-Path: <j\u00f6rg@example.com>", "Return-Path: =?UTF-8?Q?j=C3=B6rg=40example=2Ecom?= :;"},
             {"Return-Path: <joerg@b\u00fccher.example>", "Return-Path: <joerg@xn--bcher-kva.example>"},
             {"To: a@example.com, \"B, b\" <b@example.com>, \u00e7@example.com, D <d@example.com>",
              "To: a@example.com, \"B, b\" <b@example.com>,\r\n =?UTF-8?Q?=C3=A7=40example=2Ecom?= :;, D "
              "<d@example.com>"},
             {"To: Caf\u00e9: a@example.com, B <b@b\u00fccher.example>;",
              "To: =?UTF-8?Q?Caf=C3=A9?= : a@example.com, B <b@xn--bcher-kva.example>;"},
             {"To: friends: a@example.com, \u00fc@example.com;, c@example.com",
              "To: friends =?UTF-8?Q?a=40example=2Ecom=2C_=C3=BC=40example=2Ecom?= :;,\r\n c@example.com"},
             {"From: J\u00f6rg M\u00fcller", "From: =?UTF-8?Q?J=C3=B6rg_M=C3=BCller?= :;"},
             {"Cc: <a(\u00fc)@b\u00fccher.example>", "Cc: <a@xn--bcher-kva.example> (=?UTF-8?B?w7w=?=)"},
             {"Reply-To: (\u00fc) a@example.com", "Reply-To: a@example.com (=?UTF-8?B?w7w=?=)"},
             {"Sender: \"\u00fc <a@example.com>", "Sender: =?UTF-8?Q?=22=C3=BC_=3Ca=40example=2Ecom=3E?= :;"},
             // s3.2.2: comments
             {"Date: Mon, 1 Jan 2024 00:00:00 +0000 (Z\u00fcrich \\(CH\\))",
              "Date: Mon, 1 Jan 2024 00:00:00 +0000 (=?UTF-8?Q?Z=C3=BCrich_=28CH=29?=)"},
             {"Date: \u00fc", "Date: =?UTF-8?B?w7w=?="},
             // s3.2.3: message-ids
             {"Message-ID: <a@example.com> (\u00fc)", "Message-ID: <a@example.com> (=?UTF-8?B?w7w=?=)"},
             {"Message-ID: <\u00fc@example.com>", "Downgraded-Message-ID: =?UTF-8?Q?=3C=C3=BC=40example=2Ecom=3E?="},
             {"References: <a@b> <\u00fc@c>", "Downgraded-References: <a@b> =?UTF-8?Q?=3C=C3=BC=40c=3E?="},
             // s3.2.4: Received
             {"Received: from b\u00fccher.example ([192.0.2.1]) by mx.example.com with UTF8SMTPS id 7 for "
              "<j\u00f6rg@example.com>; Mon, 1 Jan 2024 00:00:00 +0000",
              "Received: from xn--bcher-kva.example ([192.0.2.1]) by mx.example.com with\r\n UTF8SMTPS id 7 "
              "(=?UTF-8?Q?for_=3Cj=C3=B6rg=40example=2Ecom=3E?=); Mon, 1\r\n Jan 2024 00:00:00 +0000"},
             {"Received: by mx.example.com id \u00fc for <a@b\u00fccher.example> (\u00fc); Mon",
              "Received: by mx.example.com (=?UTF-8?Q?id_=C3=BC?=) for\r\n <a@xn--bcher-kva.example> "
              "(=?UTF-8?B?w7w=?=); Mon"},
             {"Received: \u00fc from \u00fc\u00fc..x; \u00e4",
              "Received: (=?UTF-8?B?w7w=?=) (=?UTF-8?Q?from_=C3=BC=C3=BC=2E=2Ex?=);\r\n (=?UTF-8?B?w6Q=?=)"},
             // s3.2.5: MIME
             {"Content-Disposition: attachment; filename=\"R\u00e9sum\u00e9 1.pdf\"; size=5",
              "Content-Disposition: attachment; filename*=UTF-8''R%C3%A9sum%C3%A9%201.pdf;\r\n size=5"},
             {"Content-Type: text/plain; name=\u00fc.txt (\u00e9); charset=utf-8",
              "Content-Type: text/plain; name*=UTF-8''%C3%BC.txt\r\n (=?UTF-8?B?w6k=?=); charset=utf-8"},
             {"Content-Disposition: attachment; filename=\"\u00fc\"; filename*=UTF-8''%C3%BC",
              "Content-Disposition: attachment; filename*=UTF-8''%C3%BC"},
             {"Content-Disposition: attachment; filename=\"\u00fc\"; filename*0*=utf-8'de'%c3; filename*1*=%BC",
              "Content-Disposition: attachment; filename*0*=utf-8'de'%c3; filename*1*=%BC"},
             {"Content-Disposition: attachment; filename=\"\u00fc\"; filename*=UTF-8''ue",
              "Content-Disposition: attachment (=?UTF-8?B?w7w=?=); filename*=UTF-8''ue"},
             {"Content-Disposition: attachment; filename*=UTF-8''\u00fc",
              "Content-Disposition: attachment; filename*=UTF-8''%C3%BC"},
             {"Content-Disposition: attachment; filename*0=\"a\"; filename*1=\"\u00fc.txt\"; size=5",
              "Content-Disposition: attachment; filename*=UTF-8''a%C3%BC.txt; size=5"},
             {"Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%BC\u00e4 (\u00f6)",
              "Content-Disposition: attachment; filename*=UTF-8''%C3%BC%C3%A4\r\n (=?UTF-8?B?w7Y=?=)"},
             {"Content-Disposition: attachment; filename*0*=iso-8859-1''%FC; filename*1=\u00e4",
              "Content-Disposition: attachment; filename*0*=iso-8859-1''%FC\r\n (=?UTF-8?Q?filename*1=3D=C3=A4?=)"},
             {"Content-Type: text/\u00fc; \u00fc=1; \u00fc",
              "Content-Type: (=?UTF-8?Q?text/=C3=BC?=) (=?UTF-8?Q?=C3=BC=3D1?=)\r\n (=?UTF-8?B?w7w=?=)"},
             // s3.2.7: phrases
             {"Keywords: one, zw\u00f6lf Eier, \"drei, \u00fc\"",
              "Keywords: one, =?UTF-8?Q?zw=C3=B6lf?= Eier, =?UTF-8?Q?drei=2C_=C3=BC?="},
             // s3.1.9: typed addresses
             {"Original-Recipient: utf-8; j\u00f6rg+x@example.com",
              "Original-Recipient: utf-8; j\\x{F6}rg\\x{2B}x@example.com"},
             {"Final-Recipient: rfc822; \u00fc@example.com",
              "Downgraded-Final-Recipient: rfc822; =?UTF-8?Q?=C3=BC=40example=2Ecom?="},
             {"Original-Recipient: utf-8 (\u00fc); j\u00f6rg@example.com",
              "Original-Recipient: utf-8; j\\x{F6}rg@example.com\r\n (=?UTF-8?B?w7w=?=)"},
         }) {
        const auto result = downgrade_field(std::string(in) + "\r\n");
        EXPECT_EQ(result, std::string(out) + "\r\n") << in;
        expect_sound(result);
    }
}

TEST(DowngradeField, FoldedFieldsAreReadAsOneLine) {
    EXPECT_EQ(downgrade_field("Subject: a\r\n \u00fc\r\n\tb\r\n"), "Subject: a =?UTF-8?B?w7w=?=\tb\r\n");
    EXPECT_EQ(downgrade_field("To: \"J\u00f6rg\r\n X\"\r\n <a@example.com>\r\n"),
              "To: =?UTF-8?Q?J=C3=B6rg_X?= <a@example.com>\r\n");
}

TEST(DowngradeField, LongTextIsReadBackWhole) {
    std::string text;
    for (int i = 0; i < 300; ++i)
        text += i % 7 == 0 ? "\u20ac" : i % 11 == 0 ? " " : i % 13 == 0 ? "\U0001f600" : "\u00fcx";
    const auto field = downgrade_field("Subject: " + text + "\r\n");
    expect_sound(field);
    const auto parsed = parse_header(field);
    ASSERT_EQ(parsed.size(), 1u);
    EXPECT_EQ(decode_for_display(parsed[0].value), text);
}

TEST(DowngradeField, ALongFileNameIsCutIntoParts) {
    std::string name;
    for (int i = 0; i < 40; ++i) name += "\u00e4b";
    const auto field = downgrade_field("Content-Disposition: attachment; filename=\"" + name + "\"\r\n");
    expect_sound(field);
    std::string value;  // RFC 2231 s3, s4.1
    for (int part = 0;; ++part) {
        const auto begin = "filename*" + std::to_string(part) + "*=" + (part == 0 ? "UTF-8''" : "");
        const auto at = field.find(begin);
        if (at == field.npos) break;
        const auto end = field.find_first_of(";\r", at);
        EXPECT_LE(end - field.rfind('\n', at), 77u);
        value += field.substr(at + begin.size(), end - at - begin.size());
    }
    std::string expected;
    for (int i = 0; i < 40; ++i) expected += "%C3%A4b";
    EXPECT_EQ(value, expected);
}

TEST(DowngradeField, AFileNameInTooManyPartsIsNotLost) {
    std::string field = "Content-Disposition: attachment";
    for (int i = 0; i < 200; ++i) field += "; filename*" + std::to_string(i) + "=\u00fc" + std::to_string(i % 10);
    const auto out = downgrade_field(field + "\r\n");
    expect_sound(out);
    EXPECT_TRUE(test::says_all(out, field)) << out;
}

TEST(DowngradeField, MakesNotMuchOfLittle) {
    const std::string name(20'000, 'n');
    std::string value;
    for (int i = 0; i < 10'000; ++i) value += "\u00fc";
    for (const auto& field :
         {"Content-Type: a; " + name + "=" + value, "Subject: " + value, "Subject:" + name + value}) {
        const auto out = downgrade_field(field + "\r\n");
        EXPECT_LT(out.size(), 5 * field.size());
        EXPECT_FALSE(has_8bit(out));
    }
    std::string many = "To: ";
    for (int i = 0; i < 20'000; ++i) many += "\u00fc,";
    EXPECT_LT(downgrade_field(many + "\r\n").size(), 20 * many.size());
}

const std::string kMultipart =
    "From: a@example.com\r\n"
    "Subject: \u00fc\r\n"
    "Content-Type: multipart/mixed;\r\n boundary=\"outer (1)\"\r\n"
    "\r\n"
    "preamble \u00fc\r\n"
    "--outer (1)\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
    "K\u00f6rper\r\n-- \r\n--other\r\nSubject: \u00fc in the body\r\n"
    "--outer (1)  \r\n"
    "Content-Type: multipart/alternative; boundary=inner\r\n"
    "\r\n"
    "--inner\r\n"
    "Content-Description: \u00e4\r\n"
    "\r\n"
    "..\u00e4\r\n"
    "--inner--\r\n"
    "epilogue \u00fc\r\n"
    "--outer (1)\r\n"
    "Content-Disposition: attachment; filename=\"\u00f6.txt\"\r\n"
    "\r\n"
    "text\r\n"
    "--outer (1)\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: \u00df\r\n"
    "\r\n"
    "Subject: \u00df\r\n"
    "--outer (1)\r\n"
    "Content-Type: message/global-delivery-status\r\n"
    "\r\n"
    "Reporting-MTA: dns; mx.example.com\r\n"
    "\r\n"
    "Final-Recipient: utf-8; \u00fc@example.com\r\n"
    "--outer (1)--\r\n"
    "Subject: \u00fc\r\n";

TEST(Downgrade, RewritesHeadersAtEveryLevelAndNothingElse) {
    std::string expected = kMultipart;
    auto replace = [&](std::string_view from, std::string_view to) {
        const auto at = expected.find(from);
        ASSERT_NE(at, expected.npos) << from;
        expected.replace(at, from.size(), to);
    };
    replace("Subject: \u00fc", "Subject: =?UTF-8?B?w7w=?=");
    replace("Content-Description: \u00e4", "Content-Description: =?UTF-8?B?w6Q=?=");
    replace("attachment; filename=\"\u00f6.txt\"", "attachment; filename*=UTF-8''%C3%B6.txt");
    replace("Subject: \u00df", "Subject: =?UTF-8?B?w58=?=");
    replace("utf-8; \u00fc@", "utf-8; \\x{FC}@");
    for (std::size_t step :
         {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}})
        EXPECT_EQ(downgraded(kMultipart, step), expected) << step;
    EXPECT_EQ(downgraded(expected), expected) << "once is enough";
}

TEST(Downgrade, AsciiHeadersPassUntouchedWhateverTheBodyHas) {
    for (const auto& message :
         {""s, "\r\n"s, "Subject: a\r\n"s, "Subject: a\r\n\r\n\u00fc\r\n"s, "a\r\nb"s, "A: b\r\n c\r\n\r\n"s,
          "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nA: b\r\n\r\n\xff\r\n"s}) {
        EXPECT_EQ(downgraded(message), message);
        Downgrader downgrader;
        downgrader.feed(message);
        downgrader.finish();
        EXPECT_FALSE(downgrader.needed()) << message;
        EXPECT_EQ(downgrader.growth(), 0);
    }
}

TEST(Downgrade, PartsOfADigestAreMessages) {
    EXPECT_EQ(
        downgraded(
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: \u00fc\r\n\r\n\u00fc\r\n--b--\r\n"),
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
        "=?UTF-8?B?w7w=?=\r\n\r\n\u00fc\r\n--b--\r\n");
}

TEST(Downgrade, WhatIsNoHeaderFieldStaysAsItCame) {
    const std::string mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n", in = "Subject: \u00fc\r\n",
                      out = "Subject: =?UTF-8?B?w7w=?=\r\n", long_line(Downgrader::kFieldLimit + 10, 'n');
    struct Case {
        std::string in, out;
    };
    for (const auto& message : {
             // A header ends before the first line that is no field.
             Case{"St\u00f6rung: x\r\n" + in, "St\u00f6rung: x\r\n" + in},
             {" \u00fc\r\n" + in, " \u00fc\r\n" + in},
             {in + "T\u00fcr\r\n" + in, out + "T\u00fcr\r\n" + in},
             {in + "\u00fc", out + "\u00fc"},
             {in + long_line + "\u00fc\r\n" + in, out + long_line + "\u00fc\r\n" + in},
             {mixed + "--b\r\n\u00fc: x\r\n" + in + "--b\r\n" + in,
              mixed + "--b\r\n\u00fc: x\r\n" + in + "--b\r\n" + out},
             {mixed + "--b\r\n" + in + "T\u00fcr\r\n" + in + "--b--\r\n" + in,
              mixed + "--b\r\n" + out + "T\u00fcr\r\n" + in + "--b--\r\n" + in},
             {mixed + "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n--c\r\n" + in + "--b\r\n" + in,
              mixed + "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n--c\r\n" + out + "--b\r\n" + out},
             {"Content-Type: message/rfc822\r\n\r\nFrom a@b 1:1\r\n" + in,
              "Content-Type: message/rfc822\r\n\r\nFrom a@b 1:1\r\n" + in},
             {"Content-Type: message/delivery-status\r\n\r\n" + in + "\r\n" + in + "\u00fc\r\n\r\n" + in,
              "Content-Type: message/delivery-status\r\n\r\n" + out + "\r\n" + out + "\u00fc\r\n\r\n" + in},
             // Signed parts are left as they are.
             {"Content-Type: multipart/signed; boundary=b\r\n" + in + "\r\n--b\r\n" + in,
              "Content-Type: multipart/signed; boundary=b\r\n" + out + "\r\n--b\r\n" + in},
             {mixed + "--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n" + in + "--b\r\n" + in,
              mixed + "--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n" + in + "--b\r\n" + out},
             // Fields that are not UTF-8, and boundaries that are not ASCII.
             {"Subject: \xfc\r\n" + in, "Subject: \xfc\r\n" + out},
             {"From: \xfc <a@b>\r\n \u00fc\r\n" + in, "From: \xfc <a@b>\r\n \u00fc\r\n" + out},
             {"Content-Type: multipart/mixed; x=\u00e4; boundary=\"\u00fc 1\"\r\n\r\n--\u00fc 1\r\n" + in,
              "Content-Type: multipart/mixed; x*=UTF-8''%C3%A4; boundary=\"\u00fc 1\"\r\n\r\n--\u00fc 1\r\n" + out},
             {"Content-Type: multipart/mixed; x=\u00e4; boundary=\xfc\r\n\r\n--\xfc\r\n" + in,
              "Content-Type: multipart/mixed; x=\u00e4; boundary=\xfc\r\n\r\n--\xfc\r\n" + out},
         })
        for (std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{64}})
            EXPECT_EQ(downgraded(message.in, step), message.out) << step;
}

TEST(Downgrade, AClientWithoutUtf8NeedsAnotherFormOnlyOfFieldsInUtf8) {
    for (const auto& [message, needed] :
         {std::pair("Subject: \u00fc\r\n\r\n"s, true),
          {"Subject: \xfc\r\n\r\n", false},
          {"\u00fc: x\r\n", false},
          {"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nSubject: \u00fc\r\n", false},
          {"To: " + std::string(Downgrader::kFieldLimit, 'x') + "\u00fc\r\n\r\n", true}}) {
        Downgrader downgrader;
        downgrader.feed(message);
        downgrader.finish();
        EXPECT_EQ(downgrader.needed(), needed) << message.substr(0, 100);
    }
}

TEST(Downgrade, AFieldOverTheLimitPassesAsItIsInBoundedMemory) {
    for (std::size_t size : {Downgrader::kFieldLimit - 20, Downgrader::kFieldLimit, std::size_t{300'000}})
        for (bool folded : {false, true}) {
            std::string field = "Subject: ";
            while (field.size() < size) field += folded ? "\u00fc\r\n " : "\u00fc";
            const auto message = field + "\r\nTo: \u00fc@example.com\r\n\r\n\u00fc\r\n";
            const auto whole = downgraded(message);
            EXPECT_EQ(whole.starts_with(field), field.size() + 2 > Downgrader::kFieldLimit) << size;
            EXPECT_TRUE(whole.ends_with("To: =?UTF-8?Q?=C3=BC=40example=2Ecom?= :;\r\n\r\n\u00fc\r\n")) << size;
            for (std::size_t step : {1000, 4096, 65536}) EXPECT_TRUE(downgraded(message, step) == whole) << step;
        }
}

TEST(Downgrade, HeadersFedOctetByOctetAreNotReadAgainAndAgain) {
    std::string message = "Subject: " + std::string(60'000, 'x') + "\u00fc\r\n\r\n";
    EXPECT_FALSE(has_8bit(downgraded(message, 1)));
}

/// Messages of pieces that mean something, in any order and number.
class Maker {
public:
    std::string message() {
        static const std::vector<std::string> kPieces = {"\r\n",
                                                         "\r\n",
                                                         "\r\n",
                                                         " ",
                                                         "\t",
                                                         "a",
                                                         "\u00fc",
                                                         "\u20ac",
                                                         "\xff",
                                                         "<",
                                                         ">",
                                                         "@",
                                                         ",",
                                                         ":",
                                                         ";",
                                                         "\"",
                                                         "(",
                                                         ")",
                                                         "\\",
                                                         "[",
                                                         "]",
                                                         "=",
                                                         "--b\r\n",
                                                         "--b--\r\n",
                                                         "--c\r\n",
                                                         "..x",
                                                         "From: ",
                                                         "To: ",
                                                         "Subject: ",
                                                         "Received: from ",
                                                         " for <",
                                                         "Content-Type: ",
                                                         "multipart/mixed; boundary=b\r\n",
                                                         "multipart/digest; boundary=\"c\"\r\n",
                                                         "multipart/mixed; boundary=\u00fc\r\n",
                                                         "--\u00fc\r\n",
                                                         "multipart/signed; boundary=b\r\n",
                                                         "message/rfc822\r\n",
                                                         "message/delivery-status\r\n",
                                                         "Content-Disposition: a; filename=",
                                                         "*=",
                                                         "*0=",
                                                         "Message-ID: <",
                                                         "Date: ",
                                                         "Keywords: ",
                                                         "Final-Recipient: utf-8;",
                                                         "=?utf-8?q?x?=",
                                                         "a@b.example",
                                                         "b\u00fccher.example",
                                                         "example.com",
                                                         std::string(90, 'y'),
                                                         std::string(30, '\xc3')};
        std::string out;
        const auto count = random_() % 60;
        for (std::size_t i = 0; i < count; ++i) out += kPieces[random_() % kPieces.size()];
        return out + "\r\n";
    }
    std::size_t number(std::size_t below) { return random_() % below; }

private:
    std::mt19937 random_{6857};
};

TEST(Downgrade, WhateverComesNoLetterIsLostAndSizesAreExactHoweverItIsCut) {
    Maker make;
    for (int i = 0; i < 20'000; ++i) {
        const auto message = make.message();
        const auto out = downgraded(message);  // expects that predicted is produced
        EXPECT_TRUE(test::says_all(out, message)) << testing::PrintToString(message) << testing::PrintToString(out);
        EXPECT_EQ(downgraded(message, 1 + make.number(20)), out) << testing::PrintToString(message);
        EXPECT_EQ(downgraded(out), out) << testing::PrintToString(message);
        const auto body = [](std::string_view text) {
            HeaderWalk w;
            w.feed(text);
            return w.in_body();
        };
        EXPECT_EQ(body(out), body(message)) << "the header ends where it did";
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Downgrade, EveryFieldThatComesOutIsSound) {
    Maker make;
    for (int i = 0; i < 20'000; ++i) {
        auto text = make.message();
        std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
        static const std::vector<std::string> kNames = {
            "From",       "Subject",         "Received", "Content-Type",      "Keywords",
            "Message-ID", "Final-Recipient", "Date",     std::string(70, 'n')};
        if (!is_utf8(text) || text.contains("boundary")) continue;
        const auto field = kNames[make.number(kNames.size())] + ":" + text + "\u00fc\r\n";
        const auto out = downgrade_field(field);
        expect_sound(out);
        EXPECT_TRUE(test::says_all(out, field)) << out;
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << testing::PrintToString(text);
            break;
        }
    }
}

}  // namespace
}  // namespace poplar::mail
