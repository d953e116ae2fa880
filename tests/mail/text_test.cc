// Transfer encodings, HTML as text, and texts as i;unicode-casemap compares them.
#include <gtest/gtest.h>

#include <string>

#include "mail/casemap.h"
#include "mail/decode.h"
#include "mail/html_text.h"
#include "mail/mime_value.h"

namespace poplar::mail {
namespace {

std::string decoded(TransferEncoding encoding, std::string_view in, std::size_t step) {
    TransferDecoder decoder(encoding);
    std::string out;
    for (std::size_t at = 0; at < in.size(); at += step) decoder.decode(in.substr(at, step), out);
    decoder.finish(out);
    return out;
}

TEST(TransferDecoder, DecodesHoweverTheOctetsCome) {
    using enum TransferEncoding;
    struct Case {
        TransferEncoding encoding;
        std::string_view in, out;
    };
    for (const auto& [encoding, in, out] : {Case{base64, "", ""},
                                            {base64, "QUJD", "ABC"},
                                            {base64, "QU\r\nJDRA==\r\n", "ABCD"},
                                            {base64, "QUJDRA==QUJD", "ABCDABC"},
                                            {base64, "Q*U J-D", "ABC"},
                                            {base64, "QUJDR", "ABC"},
                                            {quoted_printable, "a=3Db", "a=b"},
                                            {quoted_printable, "a=\r\nb\r\nc", "ab\r\nc"},
                                            {quoted_printable, "a= \t\r\nb", "ab"},
                                            {quoted_printable, "a  \r\nb \t", "a\r\nb"},
                                            {quoted_printable, "a=xyz=4", "a=xyz=4"},
                                            {quoted_printable, "=c3=A4=", "\xc3\xa4"},
                                            {quoted_printable, "a = b\r\n", "a = b\r\n"},
                                            {quoted_printable, "a\nb=\nc", "a\r\nbc"},
                                            {identity, "a=3Db\r\n", "a=3Db\r\n"}})
        for (const std::size_t step : {1u, 2u, 3u, 100u})
            EXPECT_EQ(decoded(encoding, in, step), out) << in << " in " << step;
}

TEST(TransferDecoder, HoldsNoEndlessLine) {
    const std::string spaces(1 << 20, ' ');
    TransferDecoder decoder(TransferEncoding::quoted_printable);
    std::string out;
    decoder.decode(spaces, out);
    EXPECT_GT(out.size(), spaces.size() - TransferDecoder::kMostHeld - 1);
}

TEST(TransferEncoding, IsKnownByItsName) {
    EXPECT_EQ(find_transfer_encoding(" Base64 "), TransferEncoding::base64);
    EXPECT_EQ(find_transfer_encoding("8BIT"), TransferEncoding::identity);
    EXPECT_EQ(find_transfer_encoding("x-uuencode"), std::nullopt);
}

TEST(HtmlText, IsWhatPeopleRead) {
    struct Case {
        std::string_view html, text;
    };
    for (const auto& [html, text] :
         {Case{"plain", "plain"},
          {"<p>one</p><p>two</p>", "one\ntwo\n"},
          {"a<b>b</b>c", "abc"},
          {"a &lt;b&gt; &amp;c &nosuch; &#228;&#xE4; &#0; &", "a <b> &c &nosuch; \xc3\xa4\xc3\xa4 &#0; &"},
          {"a\r\n   b", "a b"},
          {"<head><title>t</title></head>x", "x"},
          {"<script>if (a < b) x('</p>')</script>y", "y"},
          {"a<!-- <b> -->c", "ac"},
          {"a<!-- open", "a"},
          {"<a title=\"x > y\">z</a>", "z"},
          {"<a title=\"open>z", "z"},
          {"1 < 2", "1 < 2"},
          {"a<br>b<br/>c", "a\nb\nc"},
          {"<style>never ends", ""}}) {
        std::string out;
        append_html_text(html, out);
        EXPECT_EQ(out, text) << html;
    }
}

TEST(Casemap, ComparesWithoutCaseAndForm) {
    for (const auto& [a, b] : {std::pair<std::string_view, std::string_view>{"Stra\xc3\x9f"
                                                                             "e x",
                                                                             "STRA\xc3\x9f"
                                                                             "E X"},
                               {"\xc3\xa4", "A\xcc\x88"},
                               {"\xd0\xbf\xd1\x80", "\xd0\x9f\xd0\xa0"},
                               {"\xf0\x90\x90\xa8", "\xf0\x90\x90\x80"}})
        EXPECT_EQ(casemapped(a), casemapped(b)) << a;
    EXPECT_EQ(casemapped("a\xff"
                         "b"),
              "A\xff"
              "B")
        << "octets that are no UTF-8 stay";
    EXPECT_NE(casemapped("a"), casemapped("b"));
}

TEST(MimeValue, RawIsAsItStands) {
    const auto value = parse_raw_mime_value("Text/Plain; Name*0*=utf-8''a%20; name*1=\"b \\\"c\"; x=y (z)");
    ASSERT_TRUE(value);
    EXPECT_EQ(value->type, "Text");
    ASSERT_EQ(value->parameters.size(), 3u);
    EXPECT_EQ(value->parameters[0].name, "Name*0*");
    EXPECT_EQ(value->parameters[0].value, "utf-8''a%20");
    EXPECT_EQ(value->parameters[1].value, "b \"c");
    EXPECT_EQ(value->parameters[2].value, "y");
    EXPECT_FALSE(parse_raw_mime_value("; x"));
    EXPECT_FALSE(parse_raw_mime_value("text/"));
}

}  // namespace
}  // namespace poplar::mail
