#include "outbound/hosts.h"

#include <gtest/gtest.h>

#include "tests/outbound/fake_dns.h"
#include "tests/support/run.h"

namespace poplar::outbound {
namespace {

using test::run;

class HostsTest : public testing::Test {
protected:
    /// "mx1 mx2", or the status and whether it is for good: "5.1.2!".
    std::string hosts(const std::string& domain) {
        auto found = run(hosts_of(dns_, domain, "mx.example.test"));
        if (!found) return found.error().status + (found.error().permanent ? "!" : "");
        std::string names;
        for (const auto& host : *found) names += (names.empty() ? "" : " ") + host.name;
        return names;
    }
    std::string addresses(const std::string& host) {
        auto found = run(addresses_of(dns_, host));
        if (!found) return found.error().status + (found.error().permanent ? "!" : "");
        std::string all;
        for (const auto& address : found->all) all += (all.empty() ? "" : " ") + address;
        return all;
    }
    test::FakeDns dns_;
};

TEST_F(HostsTest, AreInTheOrderOfTheirPreference) {
    dns_.add_mx("x.test", 300, "c.test");
    dns_.add_mx("x.test", 10, "a.test");
    dns_.add_mx("x.test", 20, "b.test");
    EXPECT_EQ(hosts("x.test"), "a.test b.test c.test");
}

TEST_F(HostsTest, ADomainWithoutMxIsItsOwnHostIfItHasAnAddress) {
    dns_.add_address("x.test", "192.0.2.1");
    EXPECT_EQ(hosts("x.test"), "x.test");
    dns_.add_name("empty.test");
    EXPECT_EQ(hosts("empty.test"), "5.1.2!");
    EXPECT_EQ(hosts("none.test"), "5.1.2!");
}

TEST_F(HostsTest, AnMxTakesThePlaceOfTheDomainsOwnAddress) {
    dns_.add_address("x.test", "192.0.2.1");
    dns_.add_mx("x.test", 10, "dead.test");
    EXPECT_EQ(hosts("x.test"), "dead.test");
}

TEST_F(HostsTest, NullMxTakesNoMail) {
    dns_.add_mx("x.test", 0, "");
    EXPECT_EQ(hosts("x.test"), "5.1.10!");
    dns_.add_mx("y.test", 0, "");
    dns_.add_mx("y.test", 10, "a.test");
    EXPECT_EQ(hosts("y.test"), "a.test") << "null MX stands alone, or is a mistake";
}

TEST_F(HostsTest, OurOwnNameEndsTheList) {
    dns_.add_mx("x.test", 10, "a.test");
    dns_.add_mx("x.test", 20, "MX.example.test");
    dns_.add_mx("x.test", 20, "equal.test");
    dns_.add_mx("x.test", 30, "worse.test");
    EXPECT_EQ(hosts("x.test"), "a.test");
    dns_.add_mx("y.test", 10, "mx.example.test");
    dns_.add_mx("y.test", 20, "worse.test");
    EXPECT_EQ(hosts("y.test"), "5.4.6!");
}

TEST_F(HostsTest, ADnsWithoutAnswerIsAskedAgainLater) {
    dns_.fail_for("x.test", Errc::timed_out);
    EXPECT_EQ(hosts("x.test"), "4.4.3");
    dns_.fail_for("bad name", Errc::invalid);
    EXPECT_EQ(hosts("bad name"), "5.1.2!");
    EXPECT_EQ(addresses("x.test"), "4.4.3");
}

TEST_F(HostsTest, AnAddressLiteralIsAHost) {
    EXPECT_EQ(hosts("[192.0.2.7]"), "192.0.2.7");
    EXPECT_EQ(hosts("[IPv6:2001:db8::7]"), "2001:db8::7");
    EXPECT_EQ(hosts("[nonsense]"), "5.1.2!");
    EXPECT_EQ(dns_.asked, 0);
    EXPECT_EQ(addresses("192.0.2.7"), "192.0.2.7");
}

TEST_F(HostsTest, AddressesOfBothFamiliesComeInTurn) {
    for (const char* address : {"192.0.2.1", "192.0.2.2", "2001:db8::1"}) dns_.add_address("a.test", address);
    EXPECT_EQ(addresses("a.test"), "2001:db8::1 192.0.2.1 192.0.2.2");
    EXPECT_EQ(addresses("none.test"), "5.4.4!");
}

TEST(Destinations, AreTheSameForTheSameHosts) {
    EXPECT_EQ(key_of({{"a", 10}, {"b", 20}}), key_of({{"b", 20}, {"a", 10}}));
    EXPECT_NE(key_of({{"a", 10}}), key_of({{"a", 20}}));
}

TEST_F(HostsTest, AreSecureIfTheAnswersAre) {
    dns_.add_mx("x.test", 10, "a.test");
    dns_.add_address("a.test", "192.0.2.1");
    dns_.add_address("a.test", "2001:db8::1");
    EXPECT_FALSE(run(hosts_of(dns_, "x.test", ""))->front().secure);
    EXPECT_FALSE(run(addresses_of(dns_, "a.test"))->secure);
    dns_.sign("x.test");
    EXPECT_TRUE(run(hosts_of(dns_, "x.test", ""))->front().secure);
    dns_.sign("a.test");
    EXPECT_TRUE(run(addresses_of(dns_, "a.test"))->secure);
    EXPECT_FALSE(run(addresses_of(dns_, "192.0.2.1"))->secure);
}

}  // namespace
}  // namespace poplar::outbound
