// Lists of addresses (RFC 5782), names of addresses (RFC 8601 s3), and greetings.
#include "screening/client_checks.h"

#include <gtest/gtest.h>

#include "tests/outbound/fake_dns.h"
#include "tests/support/run.h"

namespace poplar::screening {
namespace {

using test::run;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

TEST(AddressLists, AreZonesWithOrWithoutAnAnswer) {
    EXPECT_EQ(parse_address_list_zone("BL.example")->zone, "bl.example");
    EXPECT_EQ(parse_address_list_zone("bl.example=127.0.0.4")->only, IpAddress::parse("127.0.0.4"));
    for (const char* bad : {"", "=127.0.0.1", "bl.example=", "bl.example=x", "bl.example=::1", "bl example"})
        EXPECT_FALSE(parse_address_list_zone(bad)) << bad;
}

TEST(AddressLists, AreAskedByTheAddressInReverse) {
    EXPECT_EQ(list_question(address("192.0.2.99"), {"bl.example"}), "99.2.0.192.bl.example");
    EXPECT_EQ(list_question(address("2001:db8::1"), {"bl.example"}),
              "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example");
}

TEST(AddressLists, OnlyAnswersThatSayListedCount) {
    struct Case {
        const char* answer;
        bool listed;
    };
    for (const auto& [answer, listed] : {Case{"127.0.0.2", true},
                                         {"127.0.1.255", true},
                                         {"127.255.255.254", false},  // the list does not answer whoever asks
                                         {"192.0.2.1", false}}) {     // its domain was sold
        test::FakeDns dns;
        dns.add_address("1.2.0.192.bl.example", answer);
        dns.add_txt("1.2.0.192.bl.example", "see http://bl.example/\r\n");
        const auto found =
            run(find_listing(dns, address("192.0.2.1"), {{"other.example"}, {"bl.example"}}, Texts::yes));
        EXPECT_EQ(found.zone, listed ? "bl.example" : "") << answer;
        EXPECT_EQ(found.text, listed ? "see http://bl.example/??" : "");
    }
    test::FakeDns dns;
    dns.add_address("1.2.0.192.bl.example", "127.0.0.2");
    EXPECT_EQ(run(find_listing(dns, address("192.0.2.1"), {{"bl.example", IpAddress::parse("127.0.0.4")}}, Texts::no)),
              Listing());
}

TEST(AddressLists, ThatDoNotAnswerSayNothing) {
    test::FakeDns dns;
    dns.fail_for("1.2.0.192.dead.example", Errc::timed_out);
    dns.add_address("1.2.0.192.bl.example", "127.0.0.2");
    EXPECT_EQ(run(find_listing(dns, address("192.0.2.1"), {{"dead.example"}, {"bl.example"}}, Texts::no)).zone,
              "bl.example");
}

TEST(Iprev, PassesWhereANameLeadsBack) {
    test::FakeDns dns;
    const auto outcome = [&](const char* text) { return run(check_iprev(dns, address(text))).outcome; };
    EXPECT_EQ(outcome("192.0.2.1"), Outcome::permerror);
    dns.add_ptr("1.2.0.192.in-addr.arpa", "other.example");
    EXPECT_EQ(outcome("192.0.2.1"), Outcome::fail);
    dns.add_ptr("1.2.0.192.in-addr.arpa", "mx.example");
    dns.add_address("mx.example", "192.0.2.1");
    const auto passed = run(check_iprev(dns, address("192.0.2.1")));
    EXPECT_EQ(format_results("host", {passed}), "host;\r\n\tiprev=pass (mx.example)\r\n\t policy.iprev=192.0.2.1");
    dns.fail_for("2.2.0.192.in-addr.arpa", Errc::timed_out);
    EXPECT_EQ(outcome("192.0.2.2"), Outcome::temperror);
}

TEST(Helo, PassesWhereItLeadsToTheClient) {
    test::FakeDns dns;
    dns.add_address("mx.example", "192.0.2.1");
    dns.add_address("other.example", "192.0.2.2");
    struct Case {
        const char* helo;
        Outcome outcome;
    };
    for (const auto& [helo, outcome] : {Case{"mx.example", Outcome::pass},
                                        {"MX.Example", Outcome::pass},
                                        {"[192.0.2.1]", Outcome::pass},
                                        {"[192.0.2.2]", Outcome::fail},
                                        {"other.example", Outcome::fail},
                                        {"localhost", Outcome::permerror},
                                        {"a b", Outcome::permerror}})
        EXPECT_EQ(run(check_helo(dns, address("192.0.2.1"), helo)).outcome, outcome) << helo;
}

}  // namespace
}  // namespace poplar::screening
