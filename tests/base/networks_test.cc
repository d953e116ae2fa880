#include "base/networks.h"

#include <gtest/gtest.h>

namespace {

using namespace poplar;
using namespace poplar;

TEST(Networks, ContainWhatIsInThemAndNothingElse) {
    struct Case {
        std::vector<std::string> networks;
        std::string_view address;
        bool inside;
    };
    for (const auto& [networks, address, inside] : {Case{{"192.0.2.0/24"}, "192.0.2.255", true},
                                                    {{"192.0.2.0/24"}, "192.0.3.0", false},
                                                    {{"192.0.2.128/25"}, "192.0.2.128", true},
                                                    {{"192.0.2.128/25"}, "192.0.2.127", false},
                                                    {{"192.0.2.7"}, "192.0.2.7", true},
                                                    {{"192.0.2.7"}, "192.0.2.6", false},
                                                    {{"0.0.0.0/0"}, "203.0.113.9", true},
                                                    {{"0.0.0.0/0"}, "2001:db8::1", false},
                                                    {{"2001:db8::/33"}, "2001:db8:7fff::1", true},
                                                    {{"2001:db8::/33"}, "2001:db8:8000::1", false},
                                                    {{"::/0"}, "2001:db8::1", true},
                                                    {{"::ffff:192.0.2.0/120"}, "192.0.2.4", true},
                                                    {{"192.0.2.0/24"}, "::ffff:192.0.2.4", true},
                                                    {{"::1", "192.0.2.1"}, "192.0.2.1", true},
                                                    {{"unix"}, "unix", true},
                                                    {{"0.0.0.0/0", "::/0"}, "unix", false},
                                                    {{"unix"}, "127.0.0.1", false},
                                                    {{"0.0.0.0/0", "::/0"}, "unknown", false},
                                                    {{}, "127.0.0.1", false}}) {
        auto parsed = Networks::parse(networks);
        ASSERT_TRUE(parsed) << parsed.error().detail();
        EXPECT_EQ(parsed->contains(address), inside) << address;
        EXPECT_EQ(parsed->empty(), networks.empty());
    }
}

TEST(Networks, RefuseWhatIsNoneByItsName) {
    using std::string_literals::operator""s;
    for (auto text : {""s, "192.0.2.0/33"s, "192.0.2.0/"s, "192.0.2.0/-1"s, "192.0.2.0/24x"s, "2001:db8::/129"s,
                      "192.0.2.0 /24"s, "192.0.2"s, "localhost"s, "mail.example.org"s, "/24"s, "unix:"s,
                      "192.0.2.1/24"s, "2001:db8::1/32"s, "192.0.2.1\0"s}) {
        auto parsed = Networks::parse(std::span(&text, 1));
        ASSERT_FALSE(parsed) << text;
        EXPECT_TRUE(parsed.error().detail().starts_with('"' + text + '"')) << parsed.error().detail();
    }
}

}  // namespace
