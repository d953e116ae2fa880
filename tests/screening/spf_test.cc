// SPF: the grammar and macros of RFC 7208, and records evaluated against a DNS.
#include "screening/spf.h"

#include <gtest/gtest.h>

#include "tests/outbound/fake_dns.h"
#include "tests/support/run.h"

namespace poplar::screening {
namespace {

using test::run;

TEST(SpfRecord, TakesWhatTheRfcAllowsAndNothingElse) {
    struct Case {
        const char* text;
        bool good;
    };
    for (const auto& [text, good] : {Case{"v=spf1", true},
                                     {"V=SPF1 -ALL", true},
                                     {"v=spf1  a  mx -all ", true},
                                     {"v=spf1 a:x.test/24//64", true},
                                     {"v=spf1 a/24 a//64 mx:x.test/0", true},
                                     {"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32", true},
                                     {"v=spf1 include:%{d2}.x.test exists:%{ir}.%{v}.x.test", true},
                                     {"v=spf1 redirect=x.test exp=y.test", true},
                                     {"v=spf1 unknown=%{d} -all", true},
                                     {"v=spf1 a:x.test.", true},
                                     {"v=spf1 ptr ?ptr:x.test", true},
                                     {"v=spf10", false},
                                     {"v=spf1 all:x", false},
                                     {"v=spf1 foo", false},
                                     {"v=spf1 ip4:192.0.2", false},
                                     {"v=spf1 ip4:192.0.2.0/33", false},
                                     {"v=spf1 ip4:2001:db8::1", false},
                                     {"v=spf1 ip6:192.0.2.1", false},
                                     {"v=spf1 include", false},
                                     {"v=spf1 include:", false},
                                     {"v=spf1 a:localhost", false},
                                     {"v=spf1 a:x.test/33", false},
                                     {"v=spf1 a/024", false},
                                     {"v=spf1 a/", false},
                                     {"v=spf1 a//129", false},
                                     {"v=spf1 a:x.123", false},
                                     {"v=spf1 redirect=x.test redirect=y.test", false},
                                     {"v=spf1 exists:%{z}.x.test", false},
                                     {"v=spf1 exists:%{d0}.x.test", false},
                                     {"v=spf1 a:%x.test", false},
                                     {"v=spf1 -", false},
                                     {"v=spf1 ptr:", false},
                                     {"v=spf1 a:x.test%", false}})
        EXPECT_EQ(SpfRecord::parse(text).has_value(), good) << text;
}

// RFC 7208 s7.4.
TEST(SpfMacros, ExpandTheRfcsExamples) {
    SpfMacros macros;
    macros.local = "strong-bad";
    macros.sender_domain = macros.domain = "email.example.com";
    macros.address = *IpAddress::parse("192.0.2.3");
    struct Case {
        const char *spec, *expanded;
    };
    for (const auto& [spec, expanded] :
         {Case{"%{s}", "strong-bad@email.example.com"},
          {"%{o}", "email.example.com"},
          {"%{d}", "email.example.com"},
          {"%{d4}", "email.example.com"},
          {"%{d3}", "email.example.com"},
          {"%{d2}", "example.com"},
          {"%{d1}", "com"},
          {"%{dr}", "com.example.email"},
          {"%{d2r}", "example.email"},
          {"%{l}", "strong-bad"},
          {"%{l-}", "strong.bad"},
          {"%{lr}", "strong-bad"},
          {"%{lr-}", "bad.strong"},
          {"%{l1r-}", "strong"},
          {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
          {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
          {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
          {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
          {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
          {"a%%b%_c%-d", "a%b c%20d"},
          {"%{S}", "strong-bad%40email.example.com"},
          {"%{p}", "unknown"}}) {
        const auto out = expand_macros(spec, macros);
        ASSERT_TRUE(out) << spec;
        EXPECT_EQ(*out, expanded) << spec;
    }
    macros.address = *IpAddress::parse("2001:db8::cb01");
    EXPECT_EQ(*expand_macros("%{ir}.%{v}._spf.%{d2}", macros),
              "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
    macros.domain = std::string(200, 'a') + "." + std::string(100, 'b') + ".test";
    EXPECT_EQ(*expand_macros("%{d}", macros), std::string(100, 'b') + ".test") << "too long names lose labels";
}

TEST(SpfMacros, ThatStandForMegabytesAreCut) {
    SpfMacros macros;
    macros.local = std::string(64, 'l');
    macros.domain = "b.c";
    std::string spec;
    for (int i = 0; i < 200; ++i) spec += "a.";
    const auto cut = expand_macros(spec + "%{d}", macros);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->size(), 253u);
    EXPECT_TRUE(cut->ends_with("a.b.c")) << *cut;
    for (int i = 0; i < 2000; ++i) spec += "%{l}";
    EXPECT_FALSE(expand_macros(spec, macros));
}

class SpfTest : public testing::Test {
protected:
    Outcome check(const std::string& record, const std::string& address = "192.0.2.3") {
        dns_ = std::make_unique<test::FakeDns>();
        prepare();
        if (!record.empty()) dns_->add_txt("x.test", record);
        return ask("x.test", address);
    }
    Outcome ask(const std::string& domain, const std::string& address) {
        answer_ = run(check_spf(*dns_, {*IpAddress::parse(address), "jane", domain, "helo.x.test"}));
        return answer_.outcome;
    }
    void prepare() {
        dns_->add_address("mail.x.test", "192.0.2.3");
        dns_->add_address("mail.x.test", "2001:db8::3");
        dns_->add_address("x.test", "192.0.2.100");
        dns_->add_mx("x.test", 10, "mail.x.test");
        dns_->add_txt("pass.test", "v=spf1 ip4:192.0.2.3 -all");
        dns_->add_txt("fail.test", "v=spf1 -all");
        dns_->add_txt("broken.test", "v=spf1 foo");
        dns_->add_txt("self.test", "v=spf1 include:self.test");
        dns_->add_address("3.2.0.192.in-addr.list.test", "127.0.0.2");
        dns_->add_ptr("3.2.0.192.in-addr.arpa", "other.test");
        dns_->add_ptr("3.2.0.192.in-addr.arpa", "mail.x.test");
        dns_->fail_for("silent.test", Errc::timed_out);
    }
    std::unique_ptr<test::FakeDns> dns_;
    SpfAnswer answer_;
};

TEST_F(SpfTest, EvaluatesTermsInTheirOrder) {
    struct Case {
        const char* record;
        Outcome outcome;
    };
    for (const auto& [record, outcome] : {Case{"", Outcome::none},
                                          {"some text", Outcome::none},
                                          {"v=spf1", Outcome::neutral},
                                          {"v=spf1 -all", Outcome::fail},
                                          {"v=spf1 ~all", Outcome::softfail},
                                          {"v=spf1 ?all", Outcome::neutral},
                                          {"v=spf1 +all -all", Outcome::pass},
                                          {"v=spf1 ip4:192.0.2.0/24 -all", Outcome::pass},
                                          {"v=spf1 ip4:192.0.2.4 -all", Outcome::fail},
                                          {"v=spf1 ip4:192.0.2.2/31 -all", Outcome::pass},
                                          {"v=spf1 ip6:2001:db8::/32 -all", Outcome::fail},
                                          {"v=spf1 a -all", Outcome::fail},
                                          {"v=spf1 a/24 -all", Outcome::pass},
                                          {"v=spf1 a:mail.x.test -all", Outcome::pass},
                                          {"v=spf1 mx -all", Outcome::pass},
                                          {"v=spf1 -mx all", Outcome::fail},
                                          {"v=spf1 include:pass.test -all", Outcome::pass},
                                          {"v=spf1 include:fail.test ~all", Outcome::softfail},
                                          {"v=spf1 include:none.test -all", Outcome::permerror},
                                          {"v=spf1 include:broken.test", Outcome::permerror},
                                          {"v=spf1 include:self.test", Outcome::permerror},
                                          {"v=spf1 redirect=pass.test", Outcome::pass},
                                          {"v=spf1 redirect=fail.test", Outcome::fail},
                                          {"v=spf1 redirect=none.test", Outcome::permerror},
                                          {"v=spf1 ?all redirect=fail.test", Outcome::neutral},
                                          {"v=spf1 ptr -all", Outcome::pass},
                                          {"v=spf1 ptr:other.test -all", Outcome::fail},
                                          {"v=spf1 exists:%{ir}.%{v}.list.test -all", Outcome::pass},
                                          {"v=spf1 exists:%{l}.list.test -all", Outcome::fail},
                                          {"v=spf1 include:silent.test -all", Outcome::temperror},
                                          {"v=spf1 a:silent.test -all", Outcome::temperror},
                                          {"v=spf1 all a:silent.test", Outcome::pass},
                                          {"v=spf1 all foo", Outcome::permerror},
                                          {"v=spf1 exists:%{p}.list.test ?all", Outcome::neutral}})
        EXPECT_EQ(check(record), outcome) << record << ": " << answer_.reason;
    EXPECT_EQ(check("v=spf1 a:mail.x.test -all", "2001:db8::3"), Outcome::pass);
    EXPECT_EQ(check("v=spf1 a:mail.x.test//64 -all", "2001:db8::ffff"), Outcome::pass);
    EXPECT_EQ(check("v=spf1 ip4:192.0.2.3 -all", "::ffff:192.0.2.3"), Outcome::pass);
}

TEST_F(SpfTest, ASecondRecordIsAMistake) {
    check("v=spf1 all");
    dns_->add_txt("x.test", "v=spf1 -all");
    EXPECT_EQ(ask("x.test", "192.0.2.3"), Outcome::permerror);
}

TEST_F(SpfTest, ADomainThatIsNoneHasNoRecord) {
    check("v=spf1 all");
    for (const char* domain : {"", "test", "a..test", "[192.0.2.1]"})
        EXPECT_EQ(ask(domain, "192.0.2.3"), Outcome::none);
}

// RFC 7208 s4.6.4.
TEST_F(SpfTest, AsksTenTimesAndTwiceInVainAtMost) {
    std::string record = "v=spf1";
    for (int i = 0; i < 10; ++i) record += " a:mail.x.test/32";
    EXPECT_EQ(check(record + " -all", "192.0.2.9"), Outcome::fail);
    EXPECT_EQ(check(record + " mx -all", "192.0.2.9"), Outcome::permerror);
    EXPECT_EQ(check("v=spf1 a:no1.test a:no2.test -all"), Outcome::fail);
    EXPECT_EQ(check("v=spf1 a:no1.test a:no2.test a:no3.test -all"), Outcome::permerror);
    check("v=spf1 mx:many.test -all");
    for (int i = 0; i < 11; ++i) dns_->add_mx("many.test", 10, "mail.x.test");
    EXPECT_EQ(ask("x.test", "192.0.2.3"), Outcome::permerror);
}

}  // namespace
}  // namespace poplar::screening
