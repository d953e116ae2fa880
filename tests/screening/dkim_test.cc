// DKIM, with the signed message of RFC 8463 and with our own signatures.
#include "screening/dkim.h"

#include <gtest/gtest.h>

#include "screening/signing.h"
#include "screening/tag_list.h"
#include "tests/outbound/fake_dns.h"
#include "tests/support/run.h"

namespace poplar::screening {
namespace {

using test::run;

/// RFC 8463 A.3.
constexpr std::string_view kSigned =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

constexpr const char* kEd25519Record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
constexpr const char* kRsaRecord =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/"
    "J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTI"
    "KT+l/K4w3QIDAQAB";

const Timestamp kNow = Timestamp(std::chrono::seconds(1'700'000'000));

class DkimTest : public testing::Test {
protected:
    DkimTest() {
        dns_.add_txt("brisbane._domainkey.football.example.com", kEd25519Record);
        dns_.add_txt("test._domainkey.football.example.com", kRsaRecord);
    }

    std::vector<DkimAnswer> verify(std::string_view message) {
        const auto end = message.find("\r\n\r\n") + 4;
        const Header header(std::string(message.substr(0, end)));
        HashedBodies bodies;
        for (const auto form : body_forms(header, 10)) {
            BodyHash hash(form);
            hash.feed(message.substr(end));
            auto finished = hash.finish();
            bodies.emplace(form, HashedBody{std::move(finished), hash.octets()});
        }
        std::vector<DkimAnswer> answers;
        for (const auto at : header.named("dkim-signature"))
            answers.push_back(
                run(verify_signature(dns_, header, header.fields()[at], Signature::Kind::dkim, bodies, kNow)));
        return answers;
    }
    std::string outcomes(std::string_view message) {
        std::string out;
        for (const auto& one : verify(message))
            out += std::string(out.empty() ? "" : " ") + std::string(name_of(one.outcome));
        return out;
    }
    static std::string changed(std::string_view from, std::string_view to) {
        std::string text(kSigned);
        text.replace(text.find(from), from.size(), to);
        return text;
    }

    test::FakeDns dns_;
};

TEST_F(DkimTest, VerifiesTheMessageOfRfc8463) {
    const auto answers = verify(kSigned);
    ASSERT_EQ(answers.size(), 2u);
    for (const auto& one : answers) {
        EXPECT_EQ(one.outcome, Outcome::pass) << one.reason;
        EXPECT_EQ(one.domain, "football.example.com");
    }
    EXPECT_EQ(answers[0].algorithm, "ed25519-sha256");
    EXPECT_EQ(answers[1].bits, 1024);
    EXPECT_EQ(answers[0].shown, "/gCrinpc");
}

TEST_F(DkimTest, TellsWhatWasChanged) {
    struct Case {
        std::string_view from, to, outcomes;
    };
    for (const auto& [from, to, wanted] :
         {Case{"We lost", "We won", "fail fail"},
          {"Is dinner", "Is supper", "fail fail"},
          {"To: Suzie Q", "To:   Suzie    Q", "pass pass"},
          {"hungry yet?\r\n", "hungry  yet? \r\n", "pass pass"},
          {"From: Joe", "From: Evil <evil@example.net>\r\nFrom: Joe", "fail fail"},
          {"Joe.\r\n", "Joe.\r\nBuy this.\r\n", "fail fail"},
          {"Joe.\r\n", "Joe.\r\n\r\n\r\n", "pass pass"},
          {"a=ed25519-sha256", "a=rsa-sha1", "policy pass"},
          {"a=ed25519-sha256", "a=rsa-sha256", "permerror pass"},
          {"v=1; a=ed", "v=2; a=ed", "permerror pass"},
          {"s=brisbane", "s=nowhere", "permerror pass"},
          {"t=1528637909; h=from : to :\r\n", "t=1528637909; x=1528637910; h=from : to :\r\n", "fail pass"},
          {"i=@football.example.com", "i=@example.com", "permerror pass"},
          {"h=from : to :\r\n subject", "h=to :\r\n subject", "fail pass"},
          {"q=dns/txt; s=brisbane", "q=dns/txt; l=3; s=brisbane", "policy pass"},
          {"q=dns/txt; s=brisbane", "q=dns/txt; l=3000; s=brisbane", "fail pass"}})
        EXPECT_EQ(outcomes(changed(from, to)), wanted) << from << " -> " << to;
}

TEST_F(DkimTest, ASilentDnsIsNoFailureOfTheSignature) {
    dns_.fail_for("brisbane._domainkey.football.example.com", Errc::timed_out);
    EXPECT_EQ(outcomes(kSigned), "temperror pass");
}

TEST(PublicKeyRecord, IsRefusedWithAReason) {
    struct Case {
        const char *record, *reason;
    };
    for (const auto& [record, reason] : {Case{"v=DKIM1; p=", "key revoked"},
                                         {"v=DKIM2; p=x", "key record has another version"},
                                         {"k=rsa", "key record without a key"},
                                         {"v=DKIM1; k=dsa; p=aGVsbG8=", "key of an unknown type"},
                                         {"v=DKIM1; h=sha1; p=aGVsbG8=", "key not for SHA-256"},
                                         {"v=DKIM1; s=tlsrpt; p=aGVsbG8=", "key not for mail"},
                                         {"v=DKIM1; p=!", "key is no base64"},
                                         {"v=DKIM1; p=aGVsbG8=", "key can't be read"},
                                         {"v=DKIM1; k=ed25519; p=aGVsbG8=", "key can't be read"},
                                         {"hello", "key record can't be read"},
                                         {"v=DKIM1; "
                                          "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAM3ZVYvkvi1aLitZMRW9dGXyHMcDJUi8E/"
                                          "cpLzsK5W+JUGGPhhnlOftp7r4In+o5OLajX7fUQn+A3dkoWqNHyM0CAwEAAQ==",
                                          "key of 512 bits is too short"}}) {
        const auto key = PublicKey::parse(record);
        ASSERT_FALSE(key) << record;
        EXPECT_EQ(key.error().detail(), reason) << record;
    }
}

class SigningTest : public DkimTest {
protected:
    void add_keys(const std::string& domain, const std::string& selector, Timestamp from = {}) {
        std::vector<SigningKey> keys;
        for (const auto algorithm : {Algorithm::rsa_sha256, Algorithm::ed25519_sha256}) {
            auto made = PrivateKey::make(algorithm);
            auto loaded = PrivateKey::load(made.der());
            ASSERT_TRUE(loaded);
            const auto name = selector + (algorithm == Algorithm::rsa_sha256 ? "" : "-ed25519");
            dns_.add_txt(name + "._domainkey." + domain, loaded->record());
            keys.push_back({name, from, std::move(*loaded)});
        }
        ring_.set(domain, std::move(keys));
    }
    std::string sign(std::string_view wire, std::string_view added, std::size_t cut) {
        MessageSigner signer(ring_, kNow);
        for (std::size_t at = 0; at < wire.size(); at += cut) signer.feed(wire.substr(at, cut));
        signer.finish();
        return signer.fields(added);
    }
    KeyRing ring_;
};

TEST_F(SigningTest, SignsSoThatItVerifies) {
    add_keys("example.org", "s1");
    const std::string message =
        "From: jane@example.org\r\nTo: Bob <bob@far.example>\r\nSubject: a long subject that goes on\r\n and on\r\n"
        "References: <a@b>\r\n\r\nHello.\r\n\r\n. a dot\r\n";
    std::string wire = message;
    wire.replace(wire.find("\r\n. a"), 3, "\r\n..");  // stuffed
    const std::string added = "Message-ID: <1@example.org>\r\n";
    for (std::size_t cut : {1u, 7u, 1000u}) {
        const auto fields = sign(wire, added, cut);
        EXPECT_EQ(outcomes(fields + "Received: from a\r\n" + added + message), "pass pass") << fields;
        EXPECT_EQ(outcomes(fields + "From: evil@example.net\r\n" + added + message), "fail fail");
        EXPECT_EQ(outcomes(fields + "Subject: another\r\n" + added + message), "fail fail");
        EXPECT_EQ(outcomes(fields + added + message + "more\r\n"), "fail fail");
        for (std::size_t at = 0; at < fields.size();) {
            const auto end = fields.find("\r\n", at);
            EXPECT_LE(end - at, 78u) << fields.substr(at, end - at);
            at = end + 2;
        }
    }
}

TEST_F(SigningTest, SignsByTheNearestDomainAndOnlyItsOwn) {
    add_keys("example.org", "s1");
    const auto signed_by = [&](std::string_view from) {
        const auto fields = sign(std::string("From: ") + std::string(from) + "\r\n\r\nHello.\r\n", "", 1000);
        const auto at = fields.find(" d=");
        return at == fields.npos ? std::string() : fields.substr(at + 3, fields.find(';', at) - at - 3);
    };
    EXPECT_EQ(signed_by("jane@example.org"), "example.org");
    EXPECT_EQ(signed_by("jane@mail.EXAMPLE.org"), "example.org");
    EXPECT_EQ(signed_by("jane@org"), "");
    EXPECT_EQ(signed_by("jane@notexample.org"), "");
    EXPECT_EQ(signed_by("jane@example.org, joe@far.example"), "");
    EXPECT_EQ(sign("Subject: no author\r\n\r\n", "", 1000), "");
    EXPECT_EQ(sign("From: jane@example.org", "", 1000).empty(), false) << "a message without a body";
}

TEST_F(SigningTest, ANewKeySignsFromItsTimeOn) {
    std::vector<SigningKey> keys;
    keys.push_back({"old", kNow - std::chrono::days(100), PrivateKey::make(Algorithm::ed25519_sha256)});
    keys.push_back({"new", kNow + std::chrono::days(1), PrivateKey::make(Algorithm::ed25519_sha256)});
    ring_.set("example.org", std::move(keys));
    const auto selector = [&](Timestamp at) { return ring_.signer("example.org", at)->keys.at(0)->selector; };
    EXPECT_EQ(ring_.signer("example.org", kNow)->keys.size(), 1u);
    EXPECT_EQ(selector(kNow), "old");
    EXPECT_EQ(selector(kNow + std::chrono::days(1)), "new");
    ring_.set("example.org", {});
    EXPECT_TRUE(ring_.empty());
    EXPECT_FALSE(ring_.signer("example.org", kNow));
}

}  // namespace
}  // namespace poplar::screening
