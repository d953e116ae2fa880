#include "screening/dmarc.h"

#include <gtest/gtest.h>

#include "tests/outbound/fake_dns.h"
#include "tests/support/run.h"

namespace poplar::screening {
namespace {

using test::run;

TEST(DmarcRecord, TakesAPolicyOrNothing) {
    struct Case {
        const char* text;
        bool good;
        DmarcPolicy policy;
    };
    for (const auto& [text, good, policy] : {Case{"v=DMARC1; p=reject", true, DmarcPolicy::reject},
                                             {"v=DMARC1;p=Quarantine;", true, DmarcPolicy::quarantine},
                                             {"v=DMARC1; p=none; rua=mailto:a@b.test", true, DmarcPolicy::none},
                                             {"v=DMARC1; p=maybe; rua=mailto:a@b.test", true, DmarcPolicy::none},
                                             {"v=DMARC1; rua=mailto:a@b.test", true, DmarcPolicy::none},
                                             {"v=DMARC1; p=maybe", false, DmarcPolicy::none},
                                             {"v=DMARC1", false, DmarcPolicy::none},
                                             {"v=DMARC2; p=reject", false, DmarcPolicy::none},
                                             {"p=reject; v=DMARC1", false, DmarcPolicy::none},
                                             {"v=DMARC1; p=reject; sp=maybe", false, DmarcPolicy::none}}) {
        const auto record = DmarcRecord::parse(text);
        ASSERT_EQ(record.has_value(), good) << text;
        if (record) EXPECT_EQ(record->policy, policy) << text;
    }
    const auto all = DmarcRecord::parse("v=DMARC1; p=reject; sp=quarantine; adkim=s; aspf=S; t=y; psd=n");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->subdomains, DmarcPolicy::quarantine);
    EXPECT_EQ(all->nonexistent, DmarcPolicy::quarantine);
    EXPECT_TRUE(all->strict_dkim && all->strict_spf && all->testing);
    EXPECT_EQ(all->public_suffix, DmarcRecord::PublicSuffix::no);
}

class DmarcTest : public testing::Test {
protected:
    DmarcAnswer ask(const std::string& author, const std::string& spf, std::vector<std::string> dkim) {
        return run(check_dmarc(dns_, {author, spf, std::move(dkim)}));
    }
    void record(const std::string& domain, const std::string& text) {
        dns_.add_txt("_dmarc." + domain, "v=DMARC1; " + text);
    }
    test::FakeDns dns_;
};

TEST_F(DmarcTest, PassesWhatIsAligned) {
    record("example.org", "p=reject");
    struct Case {
        const char *author, *spf, *dkim;
        Outcome outcome;
    };
    for (const auto& [author, spf, dkim, outcome] : {Case{"example.org", "example.org", "", Outcome::pass},
                                                     {"example.org", "", "example.org", Outcome::pass},
                                                     {"example.org", "mail.example.org", "", Outcome::pass},
                                                     {"example.org", "", "a.b.example.org", Outcome::pass},
                                                     {"news.example.org", "", "example.org", Outcome::pass},
                                                     {"example.org", "far.example", "", Outcome::fail},
                                                     {"example.org", "", "notexample.org", Outcome::fail},
                                                     {"example.org", "", "", Outcome::fail},
                                                     {"far.example", "", "far.example", Outcome::none}})
        EXPECT_EQ(ask(author, spf, *dkim ? std::vector<std::string>{dkim} : std::vector<std::string>{}).outcome,
                  outcome)
            << author << " " << spf << " " << dkim;
    EXPECT_EQ(ask("example.org", "", {}).wanted, DmarcPolicy::reject);
    EXPECT_EQ(ask("example.org", "example.org", {}).wanted, DmarcPolicy::none);
}

TEST_F(DmarcTest, AStrangersSilentDnsDecidesNothing) {
    record("example.org", "p=reject");
    record("strict.org", "p=reject; adkim=s; aspf=s");
    dns_.fail_for("_dmarc.evil.org", Errc::io);
    const auto answer = ask("example.org", "evil.org", {"evil.org"});
    EXPECT_EQ(answer.outcome, Outcome::fail);
    EXPECT_EQ(answer.wanted, DmarcPolicy::reject);
    struct Case {
        const char *author, *undecided;
        Outcome outcome;
    };
    for (const auto& [author, undecided, outcome] : {Case{"example.org", "evil.org", Outcome::fail},
                                                     {"example.org", "notexample.org", Outcome::fail},
                                                     {"example.org", "mail.example.org", Outcome::temperror},
                                                     {"mail.example.org", "example.org", Outcome::temperror},
                                                     {"strict.org", "mail.strict.org", Outcome::fail},
                                                     {"strict.org", "strict.org", Outcome::temperror}}) {
        EXPECT_EQ(run(check_dmarc(dns_, {author, "", {}, undecided, {}})).outcome, outcome) << author << undecided;
        EXPECT_EQ(run(check_dmarc(dns_, {author, "", {}, "", {undecided}})).outcome, outcome) << author << undecided;
    }
}

TEST_F(DmarcTest, StrictAlignmentWantsTheSameDomain) {
    record("example.org", "p=reject; adkim=s");
    EXPECT_EQ(ask("example.org", "", {"mail.example.org"}).outcome, Outcome::fail);
    EXPECT_EQ(ask("example.org", "mail.example.org", {}).outcome, Outcome::pass);
    EXPECT_EQ(ask("example.org", "", {"far.test", "example.org"}).outcome, Outcome::pass);
}

TEST_F(DmarcTest, SubdomainsHaveTheirOwnPolicy) {
    record("example.org", "p=reject; sp=none; np=quarantine");
    dns_.add_address("news.example.org", "192.0.2.1");
    EXPECT_EQ(ask("example.org", "", {}).policy, DmarcPolicy::reject);
    EXPECT_EQ(ask("news.example.org", "", {}).policy, DmarcPolicy::none);
    EXPECT_EQ(ask("nothing.example.org", "", {}).policy, DmarcPolicy::quarantine);
    record("own.example.org", "p=quarantine");
    EXPECT_EQ(ask("own.example.org", "", {}).policy, DmarcPolicy::quarantine);
}

TEST_F(DmarcTest, TheTreeWalkFindsTheOrganization) {
    // Below a public suffix that says so, two names are two organizations.
    record("bank", "p=reject; psd=y");
    record("one.bank", "p=reject");
    EXPECT_EQ(ask("a.one.bank", "", {"b.one.bank"}).outcome, Outcome::pass);
    EXPECT_EQ(ask("one.bank", "", {"two.bank"}).outcome, Outcome::fail);
    EXPECT_EQ(ask("three.bank", "", {}).policy, DmarcPolicy::reject) << "the suffix has a policy for those without";
    // psd=n is the top of an organization below another one's name.
    record("example.org", "p=reject");
    record("campus.example.org", "p=none; psd=n");
    EXPECT_EQ(ask("campus.example.org", "", {"example.org"}).outcome, Outcome::fail);
    EXPECT_EQ(ask("a.campus.example.org", "", {"campus.example.org"}).outcome, Outcome::pass);
}

TEST_F(DmarcTest, ALongNameCostsEightQuestions) {
    const std::string name = "a.b.c.d.e.f.g.h.i.j.k.l.example.org";
    EXPECT_EQ(ask(name, "", {}).outcome, Outcome::none);
    EXPECT_EQ(dns_.asked, 8);
    record("example.org", "p=reject");
    EXPECT_EQ(ask(name, "", {"example.org"}).outcome, Outcome::pass);
}

TEST_F(DmarcTest, TestingLowersThePolicyAndASilentDnsRefusesNothing) {
    record("example.org", "p=reject; t=y");
    EXPECT_EQ(ask("example.org", "", {}).wanted, DmarcPolicy::quarantine);
    dns_.fail_for("_dmarc.silent.test", Errc::timed_out);
    const auto answer = ask("silent.test", "", {});
    EXPECT_EQ(answer.outcome, Outcome::temperror);
    EXPECT_EQ(answer.wanted, DmarcPolicy::none);
    record("twice.test", "p=reject");
    record("twice.test", "p=none");
    EXPECT_EQ(ask("twice.test", "", {}).outcome, Outcome::none);
}

}  // namespace
}  // namespace poplar::screening
