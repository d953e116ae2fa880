// A whole message: its results as a field, what is refused, forged fields, and the chain of ARC.
#include "screening/screener.h"

#include <gtest/gtest.h>

#include "screening/signing.h"
#include "tests/outbound/fake_dns.h"
#include "tests/support/manual_clock.h"

namespace poplar::screening {
namespace {

std::string pass(std::string_view text, std::size_t cut) {
    ForgedResultsFilter filter("mx.example.test");
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += cut) out += filter.pass(text.substr(at, cut));
    out += filter.finish();
    EXPECT_EQ(out.size() + filter.removed(), text.size());
    return out;
}

TEST(ForgedResults, AreTakenOutAndNothingElseIs) {
    struct Case {
        const char *text, *kept;
    };
    for (const auto& [text, kept] :
         {Case{"Authentication-Results: mx.example.test; spf=pass\r\nA: b\r\n\r\nx", "A: b\r\n\r\nx"},
          {"A: b\r\nAUTHENTICATION-RESULTS :\r\n (a (b)\r\n c) MX.example.TEST.; a=b;\r\n\tc=d\r\nC: d\r\n\r\n",
           "A: b\r\nC: d\r\n\r\n"},
          {"Authentication-Results: \"mx.example.test\" 1; none\r\n\r\n", "\r\n"},
          {"Authentication-Results: mx.example.test", ""},
          {"Authentication-Results: other.test; a=b\r\n\r\n", "Authentication-Results: other.test; a=b\r\n\r\n"},
          {"Authentication-Results-X: mx.example.test\r\n\r\n", "Authentication-Results-X: mx.example.test\r\n\r\n"},
          {"A: b\r\n\r\nAuthentication-Results: mx.example.test; a=b\r\n",
           "A: b\r\n\r\nAuthentication-Results: mx.example.test; a=b\r\n"},
          {"", ""}})
        for (std::size_t cut : {1u, 2u, 13u, 1000u}) EXPECT_EQ(pass(text, cut), kept) << text << " by " << cut;
}

TEST(Results, AreWrittenSoThatNothingEscapes) {
    std::vector<MethodResult> results;
    EXPECT_EQ(format_results("mx.example.test", results), "mx.example.test; none");
    results.push_back({"spf", Outcome::pass, "a)b\r\nX: y", "it's \"so\"", {{"smtp.mailfrom", "a b@x.test"}}});
    results.push_back({"dkim", Outcome::none, "", "", {{"header.d", ""}, {"header.i", "@x.test"}}});
    EXPECT_EQ(format_results("mx.example.test", results),
              "mx.example.test;\r\n\tspf=pass (a?b??X: y) reason=\"it's \\\"so\\\"\"\r\n\t smtp.mailfrom=\"a b@x.test\""
              ";\r\n\tdkim=none\r\n\t header.i=@x.test");
}

class ScreenerTest : public testing::Test {
protected:
    ScreenerTest() {
        for (const auto algorithm : {Algorithm::rsa_sha256}) {
            auto key = PrivateKey::make(algorithm);
            dns_.add_txt("s1._domainkey.example.org", key.record());
            std::vector<SigningKey> keys;
            keys.push_back({"s1", {}, std::move(key)});
            ring_.set("example.org", std::move(keys));
        }
        dns_.add_txt("example.org", "v=spf1 ip4:192.0.2.1 -all");
        dns_.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
        dns_.add_txt("_dmarc.soft.example", "v=DMARC1; p=quarantine");
        options_.spf = options_.dkim = options_.arc = true;
        options_.dmarc = Options::Dmarc::enforce;
    }

    /// Returns what it comes to; `sealed`: the message with our link of the chain on top.
    Judgement judge(const std::string& message, const std::string& address, const std::string& from,
                    std::string* sealed = nullptr) {
        asio::io_context context(1);
        Screener screener(context.get_executor(), dns_, clock_, "mx.example.test", options_);
        Examination examination(screener, {address, "helo.example.org"}, from);
        for (std::size_t at = 0; at < message.size(); at += 11)
            examination.feed(std::string_view(message).substr(at, 11));
        examination.finish();
        Judgement judgement;
        auto work = [](Examination& one, Judgement& into) -> Task<> { into = co_await one.judge(); };
        asio::co_spawn(context, work(examination, judgement), asio::detached);
        context.run();
        if (sealed) *sealed = examination.seal(judgement, *ring_.signer("example.org", clock_.now())) + message;
        return judgement;
    }
    std::string signed_message(const std::string& message) {
        MessageSigner signer(ring_, clock_.now());
        signer.feed(message);
        signer.finish();
        return signer.fields("") + message;
    }
    static bool says(const Judgement& judgement, std::string_view what) {
        return judgement.results.find(what) != std::string::npos;
    }

    static constexpr const char* kMessage = "From: jane@example.org\r\nSubject: hello\r\n\r\nA line.\r\n";
    test::FakeDns dns_;
    test::ManualClock clock_;
    Options options_;
    KeyRing ring_;
};

using Action = Judgement::Action;

TEST_F(ScreenerTest, TellsWhatItFoundAndObeysThePolicy) {
    auto good = judge(signed_message(kMessage), "192.0.2.1", "jane@example.org");
    EXPECT_EQ(good.action, Action::keep);
    EXPECT_TRUE(good.results.starts_with("mx.example.test;\r\n\tspf=pass")) << good.results;
    EXPECT_TRUE(says(good, "dkim=pass (2048 bits)") && says(good, "dmarc=pass (p=reject)")) << good.results;
    EXPECT_TRUE(good.received_spf.starts_with("Received-SPF: pass (mx.example.test:")) << good.received_spf;

    auto bad = judge(kMessage, "192.0.2.9", "jane@example.org");
    EXPECT_EQ(bad.action, Action::reject);
    EXPECT_TRUE(says(bad, "spf=fail") && says(bad, "dkim=none") && says(bad, "dmarc=fail")) << bad.results;

    options_.dmarc = Options::Dmarc::mark;
    EXPECT_EQ(judge(kMessage, "192.0.2.9", "jane@example.org").action, Action::keep);
    options_.dmarc = Options::Dmarc::enforce;
    EXPECT_EQ(judge("From: a@soft.example\r\n\r\nx\r\n", "192.0.2.9", "").action, Action::quarantine);
    EXPECT_EQ(judge("From: a@x.test\r\nFrom: b@example.org\r\n\r\nx\r\n", "192.0.2.9", "").action, Action::quarantine);
    EXPECT_EQ(judge("From: a@unknown.example\r\n\r\nx\r\n", "192.0.2.9", "").action, Action::keep);
}

TEST_F(ScreenerTest, ASilentDnsRefusesNothing) {
    dns_.fail_for("s1._domainkey.example.org", Errc::timed_out);
    auto judgement = judge(signed_message(kMessage), "192.0.2.9", "jane@example.org");
    EXPECT_EQ(judgement.action, Action::keep);
    EXPECT_TRUE(says(judgement, "dkim=temperror") && says(judgement, "dmarc=temperror")) << judgement.results;
}

TEST_F(ScreenerTest, SealsAChainThatTheNextServerBelieves) {
    std::string first, second, third;
    judge(signed_message(kMessage), "192.0.2.1", "jane@example.org", &first);
    auto one = judge(first, "192.0.2.9", "list@far.example", &second);
    EXPECT_TRUE(says(one, "arc=pass (i=1)")) << one.results;
    auto two = judge(second, "192.0.2.9", "list@far.example", &third);
    EXPECT_TRUE(says(two, "arc=pass (i=2)")) << two.results << second;

    // Whoever changes the text breaks the chain, and says so for good.
    auto changed = first;
    changed.replace(changed.find("A line."), 7, "A lime.");
    std::string ignored;
    auto broken = judge(changed, "192.0.2.9", "list@far.example", &ignored);
    EXPECT_TRUE(says(broken, "arc=fail")) << broken.results;
    EXPECT_EQ(broken.action, Action::reject);
    EXPECT_NE(ignored.find("cv=fail"), std::string::npos);
    EXPECT_TRUE(says(judge(ignored, "192.0.2.9", ""), "arc=fail")) << "a broken chain stays broken";

    auto forged = second;
    forged.replace(forged.find("i=2; mx.example.test"), 20, "i=2; mx.example.evil");
    EXPECT_TRUE(says(judge(forged, "192.0.2.9", ""), "arc=fail"));
}

TEST_F(ScreenerTest, ATrustedForwarderMayHaveBrokenASignature) {
    std::string sealed;
    judge(kMessage, "192.0.2.1", "jane@example.org", &sealed);  // passes by SPF, which ends at the forwarder
    EXPECT_EQ(judge(sealed, "192.0.2.9", "jane@example.org").action, Action::reject);
    options_.trusted_sealers = {"example.org"};
    auto kept = judge(sealed, "192.0.2.9", "jane@example.org");
    EXPECT_EQ(kept.action, Action::keep) << kept.results;
    EXPECT_TRUE(says(kept, "dmarc=fail (p=reject, passed at a trusted forwarder)")) << kept.results;
}

TEST_F(ScreenerTest, WhatStandsInQuotesOrCommentsIsNoResultOfAForwarders) {
    options_.trusted_sealers = {"example.org"};
    const auto after = [&](const std::string& results) {
        Judgement none;
        none.results = "mx.example.test; " + results;
        asio::io_context context(1);
        Screener screener(context.get_executor(), dns_, clock_, "mx.example.test", options_);
        Examination examination(screener, {"192.0.2.9", "helo.example.org"}, "");
        examination.feed(kMessage);
        examination.finish();
        auto work = [](Examination& one) -> Task<> { (void)co_await one.judge(); };
        asio::co_spawn(context, work(examination), asio::detached);
        context.run();
        const auto sealed = examination.seal(none, *ring_.signer("example.org", clock_.now())) + kMessage;
        const auto judged = judge(sealed, "192.0.2.9", "list@far.example");
        EXPECT_TRUE(says(judged, "arc=pass")) << judged.results;
        return judged.action;
    };
    for (const std::string good :
         {"dmarc=pass", "spf=none; DMARC=pass (p=none) header.from=a", "a=\"\\\"\"; dmarc=pass"})
        EXPECT_EQ(after(good), Action::keep) << good;
    for (const std::string bad :
         {"dmarc=fail", "dmarc=passed", "spf=pass smtp.mailfrom=\"; dmarc=pass\"", "spf=pass (; dmarc=pass)",
          "spf=pass (\\); dmarc=pass)", "spf=pass x=\"(\" (; dmarc=pass)", "x=\"\\\"; dmarc=pass\"",
          "spf=pass (\")\" ((; dmarc=pass)", "xdmarc=pass"})
        EXPECT_EQ(after(bad), Action::reject) << bad;
}

TEST_F(ScreenerTest, AStrangersSilentDnsDoesNotSwitchThePolicyOff) {
    dns_.fail_for("evil.test", Errc::io);
    dns_.fail_for("_dmarc.evil.test", Errc::io);
    dns_.fail_for("s._domainkey.evil.test", Errc::io);
    const std::string signature =
        "DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=s; h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; "
        "b=AAAA\r\n";
    EXPECT_EQ(judge(signature + kMessage, "192.0.2.9", "x@evil.test").action, Action::reject);
}

TEST_F(ScreenerTest, ASealsSelectorEndsWhereItEnds) {
    std::string sealed;
    judge(kMessage, "192.0.2.1", "jane@example.org", &sealed);
    const auto at = sealed.find("s=s1", sealed.find("ARC-Seal:"));
    ASSERT_NE(at, sealed.npos);
    sealed.insert(at + 4, 1, '\0');
    EXPECT_TRUE(says(judge(sealed, "192.0.2.9", ""), "arc=fail"));
}

}  // namespace
}  // namespace poplar::screening
