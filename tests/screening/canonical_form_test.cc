#include "screening/canonical_form.h"

#include <gtest/gtest.h>

#include "screening/tag_list.h"

namespace poplar::screening {
namespace {

std::string hash_of(std::string_view body, Canonical form, std::size_t cut) {
    BodyHash hash(form);
    for (std::size_t at = 0; at < body.size(); at += cut) hash.feed(body.substr(at, cut));
    return encode_base64(hash.finish());
}

// RFC 6376 s3.4.5 has the text; the hashes are those of its canonical forms.
TEST(CanonicalForm, MakesTheRfcsExample) {
    EXPECT_EQ(canonical_field("A: X\r\n", Canonical::relaxed), "a:X\r\n");
    EXPECT_EQ(canonical_field("B : Y\t\r\n\tZ  \r\n", Canonical::relaxed), "b:Y Z\r\n");
    EXPECT_EQ(canonical_field("B : Y\t\r\n\tZ  \r\n", Canonical::simple), "B : Y\t\r\n\tZ  \r\n");
    const std::string_view body = " C \r\nD \t E\r\n\r\n\r\n";
    for (std::size_t cut : {1u, 2u, 3u, 5u, 100u}) {
        EXPECT_EQ(hash_of(body, Canonical::relaxed, cut), encode_base64(sha256(" C\r\nD E\r\n"))) << cut;
        EXPECT_EQ(hash_of(body, Canonical::simple, cut), encode_base64(sha256(" C \r\nD \t E\r\n"))) << cut;
    }
}

TEST(CanonicalForm, ABodyEndsWithOneLineEndOrIsEmpty) {
    struct Case {
        std::string_view body, simple, relaxed;
    };
    for (const auto& [body, simple, relaxed] : {Case{"", "\r\n", ""},
                                                {"\r\n", "\r\n", ""},
                                                {"\r\n\r\n", "\r\n", ""},
                                                {" \r\n", " \r\n", ""},
                                                {"a", "a\r\n", "a\r\n"},
                                                {"a\r\n \r\n", "a\r\n \r\n", "a\r\n"},
                                                {"\r\na", "\r\na\r\n", "\r\na\r\n"},
                                                {"a\rb\n", "a\rb\n\r\n", "a\rb\n\r\n"},
                                                {"a\r", "a\r\r\n", "a\r\r\n"},
                                                {"a \r\n\r\n b", "a \r\n\r\n b\r\n", "a\r\n\r\n b\r\n"}})
        for (std::size_t cut : {1u, 100u}) {
            EXPECT_EQ(hash_of(body, Canonical::simple, cut), encode_base64(sha256(simple))) << body;
            EXPECT_EQ(hash_of(body, Canonical::relaxed, cut), encode_base64(sha256(relaxed))) << body;
        }
}

TEST(TagList, TakesWhatTheRfcAllowsAndNothingElse) {
    struct Case {
        std::string_view text;
        bool good;
    };
    for (const auto& [text, good] : {Case{"v=1; a=b", true},
                                     {"v=1;", true},
                                     {"", true},
                                     {" v = 1 ; p= ", true},
                                     {"v=1;;a=b", false},
                                     {"v", false},
                                     {"v=1; v=2", false},
                                     {"1v=1", false},
                                     {"=1", false},
                                     {"v=1; a=b=c", true}})
        EXPECT_EQ(TagList::parse(text).has_value(), good) << text;
    const auto tags = TagList::parse(" a = x y ;\r\n\tb=");
    ASSERT_TRUE(tags);
    EXPECT_EQ(tags->value("a"), "x y");
    ASSERT_NE(tags->find("b"), nullptr);
    EXPECT_EQ(*tags->find("b"), "");
    EXPECT_EQ(tags->find("A"), nullptr);
}

}  // namespace
}  // namespace poplar::screening
