#include "dns/record.h"

#include <gtest/gtest.h>

namespace poplar::dns {
namespace {

using namespace std::string_literals;

TEST(DnsRecord, NamesAreReadInLowerCaseWithoutTheLastDot) {
    struct Case {
        std::string wire;
        std::optional<std::string> name;
    };
    for (const auto& [wire, name] :
         {Case{"\0"s, ""}, Case{"\x02mx\x03Org\0"s, "mx.org"}, Case{"\x02mx\x03Org\0more"s, "mx.org"},
          Case{""s, std::nullopt}, Case{"\x02mx"s, std::nullopt}, Case{"\x02m"s, std::nullopt},
          Case{"\xc0\x0c"s, std::nullopt}, Case{"\x03m.x\0"s, std::nullopt}, Case{"\x02m\xff\0"s, std::nullopt},
          Case{"\x02m \0"s, std::nullopt}})
        EXPECT_EQ(parse_name(wire), name) << testing::PrintToString(wire);
    std::string label = "\x3f" + std::string(63, 'a');
    EXPECT_FALSE(parse_name(label + label + label + label + "\0"s)) << "over 253 octets";
    EXPECT_TRUE(parse_name(label + label + label + "\0"s));
}

TEST(DnsRecord, AnMxHasAPreferenceAndAHost) {
    EXPECT_EQ(parse_mx("\x01\x02\x02mx\0"s), (Mx{258, "mx"}));
    EXPECT_EQ(parse_mx("\0\0\0"s), (Mx{0, ""})) << "null MX";
    EXPECT_FALSE(parse_mx("\0\x01"s));
    EXPECT_FALSE(parse_mx(""));
}

TEST(DnsRecord, AddressesHaveFourOrSixteenOctets) {
    EXPECT_EQ(parse_address("\xc0\0\x02\x01"s), "192.0.2.1");
    EXPECT_EQ(parse_address("\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"), "2001:db8::1");
    for (std::size_t size : {0, 3, 5, 15, 17}) EXPECT_FALSE(parse_address(std::string(size, 'x'))) << size;
}

TEST(DnsRecord, ATextIsItsStringsInARow) {
    EXPECT_EQ(parse_txt("\x03v=s\x02pf"s), "v=spf");
    EXPECT_EQ(parse_txt(""), "");
    EXPECT_FALSE(parse_txt("\x05short"s.substr(0, 4)));
}

TEST(Tlsa, HasThreeNumbersAndData) {
    EXPECT_EQ(parse_tlsa(std::string_view("\3\1\1ab", 5)), (Tlsa{3, 1, 1, "ab"}));
    EXPECT_EQ(parse_tlsa(std::string_view("\377\0\2\0", 4)), (Tlsa{255, 0, 2, std::string(1, '\0')}));
    EXPECT_FALSE(parse_tlsa("\3\1\1"));
    EXPECT_FALSE(parse_tlsa(""));
}

}  // namespace
}  // namespace poplar::dns
