#include "outbound/sts_policy.h"

#include <gtest/gtest.h>

#include "outbound/sts_record.h"

namespace poplar::outbound {
namespace {

using namespace std::chrono_literals;

TEST(StsId, IsThatOfTheOneRecordOfTheVersion) {
    struct Case {
        std::vector<std::string> texts;
        std::string_view id;
    };
    for (const auto& [texts, id] : {Case{{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
                                    {{"v=STSv1;id=1"}, "1"},
                                    {{"v=STSv1 ; x=y; id = a1 ; id=2"}, "a1"},
                                    {{"some other text", "v=STSv1; id=2;"}, "2"},
                                    {{"v=STSv1; id=1;", "v=STSv1; id=2;"}, ""},
                                    {{"v=STSv1; id=a-b;"}, ""},
                                    {{"v=STSv1; id=123456789012345678901234567890123;"}, ""},
                                    {{"v=STSv1;"}, ""},
                                    {{"v=STSv2; id=1"}, ""},
                                    {{"id=1; v=STSv1"}, ""},
                                    {{}, ""}})
        EXPECT_EQ(sts_id(texts), id) << (texts.empty() ? "" : texts.front());
}

TEST(StsPolicy, IsReadAsTheRfcHasIt) {
    auto policy = parse_sts_policy(
        "version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\n"
        "max_age: 604800\r\n");
    ASSERT_TRUE(policy);
    EXPECT_EQ(policy->mode, StsMode::enforce);
    EXPECT_EQ(policy->hosts, (std::vector<std::string>{"mail.example.com", "*.example.net", "backupmx.example.com"}));
    EXPECT_EQ(policy->max_age, 604800s);
    EXPECT_TRUE(parse_sts_policy("version:STSv1\nmax_age:1\nmode:none\nunknown: x\n"));
    EXPECT_EQ(parse_sts_policy("version:STSv1\nmax_age:9999999999\nmode:none")->max_age, kStsOldest);
    EXPECT_EQ(parse_sts_policy("version:STSv1\nmax_age:1\nmode:testing\nmode:enforce\nmx:a.b")->mode, StsMode::testing);
}

TEST(StsPolicy, ThatIsMalformedIsNone) {
    for (const char* text :
         {"", "version: STSv1\nmode: enforce\nmax_age: 1\n", "version: STSv2\nmode: none\nmax_age: 1\n",
          "mode: none\nmax_age: 1\n", "version: STSv1\nmax_age: 1\n", "version: STSv1\nmode: none\n",
          "version: STSv1\nmode: Enforce\nmx: a.b\nmax_age: 1\n", "version: STSv1\nmode: none\nmax_age: -1\n",
          "version: STSv1\nmode: none\nmax_age: 99999999999\n", "version: STSv1\nmode: none\nmax_age: 1\nnonsense\n",
          "version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n",
          "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n", "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n",
          "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1\n"})
        EXPECT_FALSE(parse_sts_policy(text)) << text;
    std::string many = "version: STSv1\nmode: enforce\nmax_age: 1\n";
    for (std::size_t i = 0; i <= kStsHosts; ++i) many += "mx: a.b\n";
    EXPECT_FALSE(parse_sts_policy(many));
}

TEST(StsPolicy, AStarStandsForOneLabel) {
    StsPolicy policy{StsMode::enforce, {"mx.x.test", "*.y.test"}, 1s};
    for (const char* host : {"mx.x.test", "MX.x.test", "mx.x.test.", "a.y.test"})
        EXPECT_TRUE(policy.names(host)) << host;
    for (const char* host : {"x.test", "a.mx.x.test", "y.test", "a.b.y.test", ".y.test", "", "ay.test"})
        EXPECT_FALSE(policy.names(host)) << host;
}

TEST(KeptStsPolicies, ComeBackAsTheyWereUnlessTheirTimeIsOver) {
    const Timestamp now(1'800'000'000s);
    KeptPolicies policies;
    policies["x.test"] = {{StsMode::enforce, {"mx.x.test"}, 100s}, "1", now - 99s};
    policies["y.test"] = {{StsMode::testing, {"mx.y.test"}, 100s}, "2", now - 100s};
    auto read = decode_policies(encode(policies, now, 1000));
    policies.erase("y.test");
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, policies);
    EXPECT_TRUE(decode_policies("")->empty());
}

TEST(KeptStsPolicies, TheOldestGoWhereTheyAreTooMany) {
    const Timestamp now(1'800'000'000s);
    KeptPolicies policies;
    for (int i = 0; i < 100; ++i)
        policies["d" + std::to_string(i)] = {{StsMode::enforce, {"mx.x.test"}, 1h}, "1", now - std::chrono::seconds(i)};
    const auto value = encode(policies, now, 1000);
    EXPECT_LE(value.size(), 1000u);
    auto read = decode_policies(value);
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->contains("d0"));
    EXPECT_FALSE(read->contains("d99"));
    EXPECT_GT(read->size(), 10u);
}

TEST(KeptStsPolicies, ALargeOneTakesNobodysPlace) {
    const Timestamp now(1'800'000'000s);
    KeptPolicies policies;
    policies["x.test"] = {{StsMode::enforce, {"mx.x.test"}, 1h}, "1", now - 2s};
    policies["half.test"] = {{StsMode::enforce, {std::string(900, 'a')}, 1h}, "1", now - 1s};
    policies["large.test"] = {{StsMode::enforce, {std::string(4096, 'a')}, 1h}, "1", now};
    auto read = decode_policies(encode(policies, now, 10'000));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->contains("x.test") && read->contains("half.test") && !read->contains("large.test"));
    read = decode_policies(encode(policies, now, 500));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->contains("x.test") && read->size() == 1);
}

TEST(KeptStsPolicies, ThatAreDamagedAreNotBelieved) {
    const Timestamp now(1'800'000'000s);
    KeptPolicies policies;
    policies["x.test"] = {{StsMode::enforce, {"mx.x.test"}, 100s}, "1", now};
    const auto value = encode(policies, now, 1000);
    for (std::size_t size = 1; size < value.size(); ++size)
        EXPECT_TRUE(size == 1 || !decode_policies(value.substr(0, size))) << size;
    EXPECT_FALSE(decode_policies("\2"));
}

}  // namespace
}  // namespace poplar::outbound
