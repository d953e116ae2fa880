// Addresses: what is accepted, what is refused, and the one spelling of each.
#include "mail/address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace poplar::mail {
namespace {

using namespace std::string_literals;

TEST(Address, ParsesTheGrammarAndPrintsItBack) {
    struct Case {
        std::string text, local, domain;
    };
    const std::vector<Case> cases = {
        {"user@example.org", "user", "example.org"},
        {"first.last+detail@sub.example.org", "first.last+detail", "sub.example.org"},
        {"!#$%&'*+-/=?^_`{|}~@a", "!#$%&'*+-/=?^_`{|}~", "a"},
        {"\"a b\"@example.org", "a b", "example.org"},
        {"\"a@b\"@example.org", "a@b", "example.org"},
        {"\"q\\\"\\\\\"@example.org", "q\"\\", "example.org"},
        {"\".a..b.\"@example.org", ".a..b.", "example.org"},
        {"u@[192.0.2.1]", "u", "[192.0.2.1]"},
        {"u@[IPv6:2001:db8::1]", "u", "[IPv6:2001:db8::1]"},
        {"u@[ipv6:::]", "u", "[ipv6:::]"},
        {"jörg@bücher.example", "jörg", "bücher.example"},
        {"用户@例子.广告", "用户", "例子.广告"},
        {"u@xn--bcher-kva.example", "u", "xn--bcher-kva.example"},
        {"u@1.2.3", "u", "1.2.3"},
        {std::string(255, 'l') + "@e", std::string(255, 'l'), "e"},
    };
    for (const auto& [text, local, domain] : cases) {
        auto address = parse_address(text);
        ASSERT_TRUE(address) << text << ": " << address.error().detail();
        EXPECT_EQ(address->local, local) << text;
        EXPECT_EQ(address->domain, domain) << text;
        EXPECT_EQ(to_string(*address), text);
    }
}

TEST(Address, NeedlessQuotingIsNotKept) {
    for (std::string_view text : {"\"user\"@example.org", "\"\\u\\s\\e\\r\"@example.org"}) {
        auto address = parse_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(to_string(*address), "user@example.org");
    }
}

TEST(Address, RefusesWhatBreaksTheGrammar) {
    const std::vector<std::string> cases = {
        "",
        "@",
        "user",
        "user@",
        "@example.org",
        "a@b@c",
        ".a@e",
        "a.@e",
        "a..b@e",
        "a b@e",
        "a@e ",
        " a@e",
        "<a@e>",
        "a@-e",
        "a@e-",
        "a@e..f",
        "a@.e",
        "a@e.",
        "a@e_f",
        "a@e!",
        "\"a@e",
        "\"a\"b@e",
        "\"a\\\"@e",
        "\"a\"@",
        "\"\"@e",
        "\"a\\",
        "a\"b\"@e",
        "a@[",
        "a@[]",
        "a@[1.2.3]",
        "a@[1.2.3.256]",
        "a@[1.2.3.4",
        "a@[IPv6:]",
        "a@[IPv6:1]",
        "a@[2001:db8::1]",
        "a@[IPv6:fe80::1%eth0]",
        "a@[tag:x]",
        "a@[1.2.3.4]x",
        "a(c)@e",
        "a,b@e",
        "a:b@e",
        "a;b@e",
        "a\r\n@e",
        "a@e\r\nRCPT",
        "\"a\r\"@e",
        "a\0@e"s,
        "a@e\0"s,
        "a@[1.2.3.4\0]"s,
        "a\x7f@e",
        "\"a\x01\"@e",
        "\xff@e",
        "a@\xc3",
        "\"\\\xc3\xa9\"@e",
        "\xc0\xaf@e",
        "\xed\xa0\x80@e",
        "\xc2\x85@e",
        "a@e\xc2\x9f",
        std::string(256, 'l') + "@e",
        "a@" + std::string(64, 'd'),
        "a@" + std::string(1000, 'd'),
    };
    for (const auto& text : cases) {
        auto address = parse_address(text);
        ASSERT_FALSE(address) << testing::PrintToString(text);
        EXPECT_EQ(address.error().code(), Errc::invalid);
        EXPECT_EQ(address.error().detail().find_first_of("\r\n"), std::string::npos);
    }
}

TEST(Address, TakesWhatSendersInTheWildHaveIfAsked) {
    for (auto [text, written] : {std::pair{"a..b@e.example", "\"a..b\"@e.example"},
                                 {"a.@e.example", "\"a.\"@e.example"},
                                 {".a@e.example", "\".a\"@e.example"},
                                 {"a@b_c.example", "a@b_c.example"}}) {
        EXPECT_FALSE(parse_address(text)) << text;
        auto address = parse_address(text, Grammar::tolerant);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(to_string(*address), written);
    }
    for (auto text : {"@e", "a b@e", "a@e..f", "a@-e", "a\r@e", "a(c)@e", "a@e\x7f", "<a@e"})
        EXPECT_FALSE(parse_address(text, Grammar::tolerant)) << text;
}

TEST(Address, HoldsTheLengthLimitOfDomains) {  // RFC 5321 s4.5.3.1.2
    std::string domain;
    while (domain.size() < 252) domain += std::string(3, 'a') + ".";
    EXPECT_TRUE(parse_address("u@" + domain + "aaa"));
    EXPECT_FALSE(parse_address("u@" + domain + "aaaa"));
}

TEST(Address, TellsWhichNeedSmtputf8) {
    EXPECT_FALSE(needs_smtputf8({"user", "example.org"}));
    EXPECT_TRUE(needs_smtputf8({"jörg", "example.org"}));
    EXPECT_TRUE(needs_smtputf8({"user", "bücher.example"}));
}

TEST(CanonicalDomain, HasOneSpelling) {
    struct Case {
        std::string_view in, out;
    };
    for (auto [in, out] : {Case{"Example.ORG", "example.org"},
                           {"example.org.", "example.org"},
                           {"localhost", "localhost"},
                           {"Bücher.example", "xn--bcher-kva.example"},
                           {"BÜCHER.Example.", "xn--bcher-kva.example"},
                           {"bu\xcc\x88"
                            "cher.example",
                            "xn--bcher-kva.example"},
                           {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
                           {"straße.example", "xn--strae-oqa.example"},  // IDNA 2008 keeps the sharp s
                           {"例子。测试", "xn--fsqu00a.xn--0zwm56d"},
                           {"[192.0.2.1]", "[192.0.2.1]"},
                           {"[IPv6:2001:DB8:0:0::1]", "[ipv6:2001:db8::1]"}}) {
        auto canonical = canonical_domain(in);
        ASSERT_TRUE(canonical) << in << ": " << canonical.error().detail();
        EXPECT_EQ(*canonical, out) << in;
        EXPECT_EQ(canonical_domain(*canonical).value_or("refused"), *canonical) << in;
    }
}

TEST(CanonicalDomain, RefusesWhatIsNoDomain) {
    for (const auto& in :
         {""s, "."s, "a..b"s, "a.."s, "-a"s, "a-"s, "a b"s, "a\0b"s, "ä\0b"s, "a_b"s, "a/b"s,
          "a\xef\xbc\x8f"
          "b"s,
          "\xff"s, "[x]"s, "[1.2.3.4"s, std::string(64, 'a'), "\xe2\x80\x8f"s, std::string(300, 'a')}) {
        auto canonical = canonical_domain(in);
        EXPECT_FALSE(canonical) << testing::PrintToString(in) << " gave " << canonical.value_or("");
    }
}

TEST(CanonicalAddress, FoldsCaseAndNormalizes) {
    struct Case {
        std::string_view in, folded, kept;
    };
    for (auto [in, folded, kept] : {Case{"User", "user", "User"},
                                    {"JÖRG", "jörg", "JÖRG"},
                                    {"JO\xcc\x88RG", "jörg", "JÖRG"},
                                    {"ΣΊΣΥΦΟΣ", "σίσυφοσ", "ΣΊΣΥΦΟΣ"},
                                    {"Straße", "strasse", "Straße"},
                                    {"A b", "a b", "A b"}}) {
        auto one = canonical({std::string(in), "EXAMPLE.org"});
        ASSERT_TRUE(one) << in;
        EXPECT_EQ(*one, (Address{std::string(folded), "example.org"}));
        EXPECT_EQ(canonical(*one).value_or(Address{}), *one) << in;
        auto other = canonical({std::string(in), "EXAMPLE.org"}, LocalPartCase::keep);
        ASSERT_TRUE(other) << in;
        EXPECT_EQ(*other, (Address{std::string(kept), "example.org"}));
    }
}

TEST(CanonicalAddress, RefusesWhatCannotBeStored) {
    EXPECT_FALSE(canonical({"", "example.org"}));
    EXPECT_FALSE(canonical({"\xff", "example.org"}));
    EXPECT_FALSE(canonical({"a\nb", "example.org"}));
    EXPECT_FALSE(canonical({"a", "exa mple.org"}));
}

TEST(LocalPart, SplitsAtTheFirstSeparatorThatIsNotTheFirstOctet) {
    struct Case {
        std::string_view local, user, detail;
    };
    for (auto [local, user, detail] : {Case{"user+detail", "user", "detail"},
                                       {"user", "user", ""},
                                       {"user+", "user", ""},
                                       {"user+a+b", "user", "a+b"},
                                       {"+user", "+user", ""},
                                       {"+a+b", "+a", "b"},
                                       {"", "", ""},
                                       {"+", "+", ""}}) {
        auto split = split_detail(local);
        EXPECT_EQ(split.user, user) << local;
        EXPECT_EQ(split.detail, detail) << local;
    }
    EXPECT_EQ(split_detail("user-list-x", '-').detail, "list-x");
}

}  // namespace
}  // namespace poplar::mail
