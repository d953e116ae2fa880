// Every mechanism, against GNU SASL's client where that knows it.
#include "auth/exchange.h"

#include <gtest/gtest.h>

#include <map>

#include "auth/password.h"
#include "auth/sasl.h"
#include "tests/auth/sasl_peer.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using test::run;

/// Says who a token stands for: "token:NAME" is NAME's.
struct FakeTokens final : TokenVerifier {
    Task<Result<TokenHolder>> holder_of(std::string token) override {
        ++asked;
        if (token == "down") co_return fail(Errc::io, "the issuer is down");
        if (!token.starts_with("for.")) co_return fail(Errc::denied, "token: no good");
        co_return token.substr(4) + domain;
    }
    std::string domain = "@example.org";
    int asked = 0;
};

/// bob has everything; carol only an Argon2 hash; off is disabled.
class ExchangeTest : public testing::Test {
protected:
    void SetUp() override {
        options.failure_delay = 0ms;
        options.failures_per_peer = options.failures_per_account = 0;
        options.scram_iterations = 4096;
        sasl_options.mechanisms = all_mechanisms();
        sasl_options.hostname = "mail.example.org";
        ASSERT_TRUE(run(directory.add_domain("example.org")));
        add("bob", "pencil");
        add("off", "pencil");
        ASSERT_TRUE(run(directory.set_status("off@example.org", directory::AccountStatus::disabled)));
        ASSERT_TRUE(run(directory.add_account("carol@example.org", "{PLAIN}pencil")));
        ASSERT_TRUE(run(directory.set_shared_secret("bob@example.org", "a secret of both")));
        ASSERT_TRUE(run(directory.set_shared_secret("off@example.org", "a secret of both")));
    }
    void add(const std::string& name, const std::string& password) {
        auto keys = to_string(derive_scram_keys(ScramHash::sha256, password, 4096)) +
                    to_string(derive_scram_keys(ScramHash::sha1, password, 4096));
        ASSERT_TRUE(run(directory.add_account(name + "@example.org", {"{PLAIN}" + password, keys})));
    }
    Authenticator& authenticator() {
        if (!authenticator_) authenticator_.emplace(directory, options);
        return *authenticator_;
    }
    Sasl& sasl() {
        if (!sasl_) sasl_.emplace(authenticator(), clock, sasl_options, tokens);
        return *sasl_;
    }

    static std::string shown(const Verified& verified) {
        return "ok " + verified.account.address + (verified.mailbox ? " in " + *verified.mailbox : "");
    }

    /// Plays `responses`, the first as initial response; what came of it: "ok NAME", "challenge", or the error's code
    /// and detail. A mailbox that the name has follows: "ok NAME in MAILBOX". Challenges are kept.
    std::string play(const std::string& mechanism, std::vector<std::optional<std::string>> responses) {
        challenges.clear();
        auto begun = sasl().begin(mechanism, channel);
        if (!begun) return "begin: " + std::string(to_string(begun.error().code()));
        auto& exchange = **begun;
        auto step = run(exchange.start(responses[0]));
        for (std::size_t i = 1;; ++i) {
            if (!step) return std::string(to_string(step.error().code())) + ": " + step.error().detail();
            if (auto* verified = std::get_if<Verified>(&*step)) return shown(*verified);
            challenges.push_back(std::get<Challenge>(*step).text);
            if (i == responses.size()) return "challenge";
            step = run(exchange.respond(*responses[i]));
        }
    }

    /// The same with GNU SASL's client.
    std::string play_gnu(const std::string& mechanism, const std::map<Gsasl_property, std::string>& properties) {
        challenges.clear();
        auto begun = sasl().begin(mechanism, channel);
        if (!begun) return "begin: " + std::string(to_string(begun.error().code()));
        GnuClient client(mechanism, properties);
        auto step = run((*begun)->start(std::nullopt));
        for (;;) {
            if (!step) return std::string(to_string(step.error().code())) + ": " + step.error().detail();
            if (auto* verified = std::get_if<Verified>(&*step)) {
                EXPECT_EQ(client.result, GSASL_OK) << "the client is content with the server too";
                return shown(*verified);
            }
            challenges.push_back(std::get<Challenge>(*step).text);
            auto answer = client.answer(challenges.back());
            if (!answer) return "client: "s + gsasl_strerror_name(client.result);
            step = run((*begun)->respond(*answer));
        }
    }

    std::string offered() {
        std::string list;
        for (auto mechanism : sasl().offered(channel)) list.append(list.empty() ? "" : " ").append(name_of(mechanism));
        return list;
    }

    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory{engine, clock, {}};
    Options options;
    SaslOptions sasl_options;
    FakeChannel channel;
    std::shared_ptr<FakeTokens> tokens = std::make_shared<FakeTokens>();
    std::vector<std::string> challenges;

private:
    std::optional<Authenticator> authenticator_;
    std::optional<Sasl> sasl_;
};

TEST_F(ExchangeTest, OffersWhatTheConnectionAndTheConfigurationAllow) {
    EXPECT_EQ(offered(),
              "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN");
    channel.addresses = {"bob@example.org"};
    EXPECT_TRUE(offered().contains("EXTERNAL"));
    channel.tls = false;
    EXPECT_EQ(offered(), "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5");
    channel.plaintext = true;
    EXPECT_EQ(offered(), "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN") << "RFC 7628 s3: no tokens without TLS";
}

TEST_F(ExchangeTest, OffersOnlyWhatIsInUse) {
    tokens = nullptr;
    sasl_options.mechanisms = SaslOptions().mechanisms;
    EXPECT_EQ(offered(), "PLAIN LOGIN");
    EXPECT_EQ(play("CRAM-MD5", {std::nullopt}), "begin: not_found");
    EXPECT_EQ(play("OAUTHBEARER", {std::nullopt}), "begin: not_found");
    EXPECT_EQ(play("NO-SUCH", {std::nullopt}), "begin: not_found");
    EXPECT_EQ(play("EXTERNAL", {std::nullopt}), "begin: conflict");
    channel.tls = false;
    EXPECT_EQ(play("PLAIN", {std::nullopt}), "begin: denied");
}

TEST_F(ExchangeTest, PlainAndLoginTakeThePassword) {
    EXPECT_EQ(play("plain", {"\0bob@example.org\0pencil"s}), "ok bob@example.org");
    EXPECT_EQ(play("PLAIN", {std::nullopt, "\0bob@example.org\0pencil"s}), "ok bob@example.org");
    EXPECT_EQ(challenges, std::vector{""s});
    EXPECT_EQ(play("PLAIN", {"carol@example.org\0bob@example.org\0pencil"s}).substr(0, 7), "denied:");
    EXPECT_EQ(play("PLAIN", {"nonsense"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("LOGIN", {std::nullopt, "bob@example.org", "pencil"}), "ok bob@example.org");
    EXPECT_EQ(challenges, (std::vector{"Username:"s, "Password:"s}));
    EXPECT_EQ(play("LOGIN", {"bob@example.org", "pencil"}), "ok bob@example.org") << "the name as initial response";
    EXPECT_EQ(play("LOGIN", {std::nullopt, "bob@example.org", "pencils"}), "denied: wrong password");
    EXPECT_EQ(play("LOGIN", {std::nullopt, ""}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("LOGIN", {std::nullopt, "bob@example.org", ""}).substr(0, 8), "invalid:");
}

TEST_F(ExchangeTest, GnuSaslsClientLogsInWithEveryMechanismItHas) {
    std::map<Gsasl_property, std::string> bob{{GSASL_AUTHID, "bob@example.org"}, {GSASL_PASSWORD, "pencil"}};
    for (auto mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
        EXPECT_EQ(play_gnu(mechanism, bob), "ok bob@example.org") << mechanism;
    auto bound = bob;
    bound[GSASL_CB_TLS_EXPORTER] = base64_encode(channel.bindings["tls-exporter"]);
    for (auto mechanism : {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"})
        EXPECT_EQ(play_gnu(mechanism, bound), "ok bob@example.org") << mechanism;
    bound[GSASL_CB_TLS_EXPORTER] = base64_encode(std::string(32, 'x'));
    EXPECT_EQ(play_gnu("SCRAM-SHA-256-PLUS", bound), "denied: SCRAM: another channel binding");
    auto wrong = bob;
    wrong[GSASL_PASSWORD] = "pen";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", wrong), "denied: wrong password");
    auto shared = bob;
    shared[GSASL_PASSWORD] = "a secret of both";
    EXPECT_EQ(play_gnu("CRAM-MD5", shared), "ok bob@example.org");
    EXPECT_EQ(play_gnu("CRAM-MD5", bob), "denied: wrong digest");
}

TEST_F(ExchangeTest, ChannelBindingCantBeTakenAway) {
    // RFC 5802 s6: with "y" the client says that it could bind, and believes that we can't.
    EXPECT_EQ(play("SCRAM-SHA-256", {"y,,n=bob@example.org,r=abc"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256", {"n,,n=bob@example.org,r=abc"}), "challenge");
    EXPECT_EQ(play("SCRAM-SHA-256", {"p=tls-exporter,,n=bob@example.org,r=abc"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256-PLUS", {"n,,n=bob@example.org,r=abc"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256-PLUS", {"p=tls-unique,,n=bob@example.org,r=abc"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256-PLUS", {"p=tls-server-end-point,,n=bob@example.org,r=abc"}), "challenge");
    channel.tls = false;
    EXPECT_EQ(play("SCRAM-SHA-256", {"y,,n=bob@example.org,r=abc"}), "challenge") << "we did not offer it";
    EXPECT_EQ(play("SCRAM-SHA-256-PLUS", {std::nullopt}), "begin: denied");
}

TEST_F(ExchangeTest, AStrangerCantTellWhichAccountsThereAre) {
    auto ask = [&](const std::string& name, const std::string& mechanism = "SCRAM-SHA-256") {
        EXPECT_EQ(play(mechanism, {"n,,n=" + name + ",r=abc"}), "challenge") << name;
        return challenges.back().substr(challenges.back().find(",s="));
    };
    auto form = [](const std::string& text) { return std::pair(text.size(), text.substr(text.find(",i="))); };
    // For a name that is nobody's, without keys or disabled the challenge has the same form, and is the same each time.
    for (std::string name : {"nobody@example.org", "carol@example.org", "off@example.org", "nobody"}) {
        auto first = ask(name);
        EXPECT_EQ(ask(name), first);
        EXPECT_EQ(form(first), form(ask("bob@example.org")));
        EXPECT_NE(first, ask("bob@example.org"));
    }
    EXPECT_EQ(ask("NoBody@Example.ORG"), ask("nobody@example.org"));
    EXPECT_EQ(ask("Bob@Example.ORG"), ask("bob@example.org"));
    EXPECT_NE(ask("nobody@example.org", "SCRAM-SHA-1"), ask("nobody@example.org"));
    // And the same end.
    std::map<Gsasl_property, std::string> who{{GSASL_PASSWORD, "pencil"}};
    for (auto [name, reason] : {std::pair("nobody@example.org", "unknown user"),
                                {"carol@example.org", "wrong password"},
                                {"off@example.org", "account is disabled"}}) {
        who[GSASL_AUTHID] = name;
        EXPECT_EQ(play_gnu("SCRAM-SHA-256", who), "denied: "s + reason);
    }
    for (auto [name, reason] : {std::pair("nobody@example.org", "unknown user"),
                                {"carol@example.org", "the account has no shared secret"},
                                {"off@example.org", "account is disabled"}})
        EXPECT_EQ(play("CRAM-MD5", {std::nullopt, name + " 0123456789abcdef0123456789abcdef"s}), "denied: "s + reason);
}

TEST_F(ExchangeTest, WhatIsMadeUpSurvivesARestart) {
    EXPECT_EQ(play("SCRAM-SHA-256", {"n,,n=nobody@example.org,r=abc"}), "challenge");
    auto salt = challenges[0].substr(challenges[0].find(",s="));
    directory::Directory again{engine, clock, {}};
    Authenticator other(again, options);
    auto keys = run(other.scram_keys("nobody@example.org", std::nullopt, ScramHash::sha256));
    ASSERT_TRUE(keys);
    EXPECT_EQ(",s=" + base64_encode(keys->salt) + ",i=4096", salt);
}

TEST_F(ExchangeTest, ScramEndsWithAnEmptyResponse) {
    // GNU SASL's client plays the first two steps, then we say too much.
    auto begun = sasl().begin("SCRAM-SHA-256", channel);
    GnuClient client("SCRAM-SHA-256", {{GSASL_AUTHID, "bob@example.org"}, {GSASL_PASSWORD, "pencil"}});
    auto first = run((*begun)->start(*client.answer("")));
    auto second = run((*begun)->respond(*client.answer(std::get<Challenge>(*first).text)));
    ASSERT_TRUE(second);
    EXPECT_TRUE(std::get<Challenge>(*second).text.starts_with("v="));
    auto last = run((*begun)->respond("more"));
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code(), Errc::invalid);
}

TEST_F(ExchangeTest, ScramRefusesAnotherIdentityAndNonsense) {
    EXPECT_EQ(play("SCRAM-SHA-256", {"nonsense"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256", {std::nullopt, ""}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("SCRAM-SHA-256", {"n,,n=bob@example.org,r=abc", "c=biws"}).substr(0, 8), "invalid:");
    std::map<Gsasl_property, std::string> bob{{GSASL_AUTHID, "bob@example.org"}, {GSASL_PASSWORD, "pencil"}};
    bob[GSASL_AUTHZID] = "carol@example.org";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", bob), "denied: the authorization identity is another one");
    bob[GSASL_AUTHZID] = "bob@example.org";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", bob), "ok bob@example.org");
}

TEST_F(ExchangeTest, ImportedScramKeysServePlainToo) {
    auto keys = to_string(derive_scram_keys(ScramHash::sha1, "imported", 5000));
    ASSERT_TRUE(run(directory.add_account("dave@example.org", {keys})));
    EXPECT_EQ(play_gnu("SCRAM-SHA-1", {{GSASL_AUTHID, "dave@example.org"}, {GSASL_PASSWORD, "imported"}}),
              "ok dave@example.org");
    EXPECT_TRUE(challenges[1].ends_with(",i=5000"));
    EXPECT_EQ(play("PLAIN", {"\0dave@example.org\0imported"s}), "ok dave@example.org");
    EXPECT_EQ(play("PLAIN", {"\0dave@example.org\0wrong"s}), "denied: wrong password");
}

TEST_F(ExchangeTest, AGoodPasswordMakesTheScramKeysThatAreWanted) {
    options.scram_keys = {ScramHash::sha256};
    std::map<Gsasl_property, std::string> carol{{GSASL_AUTHID, "carol@example.org"}, {GSASL_PASSWORD, "pencil"}};
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", carol), "denied: wrong password") << "none yet";
    EXPECT_EQ(play("PLAIN", {"\0carol@example.org\0wrong"s}).substr(0, 6), "denied");
    EXPECT_EQ(play("PLAIN", {"\0carol@example.org\0pencil"s}), "ok carol@example.org");
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", carol), "ok carol@example.org");
    auto account = run(directory.find_account("carol@example.org"));
    EXPECT_EQ(account->password, "{PLAIN}pencil") << "the hash stays as it is";
    // A new password makes the old keys worthless.
    auto made = run(authenticator().hash_password("another"));
    ASSERT_TRUE(made);
    ASSERT_TRUE(run(directory.set_password("carol@example.org", *made)));
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", carol), "denied: wrong password");
    carol[GSASL_PASSWORD] = "another";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", carol), "ok carol@example.org");
    ASSERT_TRUE(run(directory.set_password("carol@example.org", "{PLAIN}third")));
    EXPECT_EQ(run(directory.find_account("carol@example.org"))->scram_keys, "");
}

TEST_F(ExchangeTest, AnUpgradeOfAnImportedScramHashKeepsScramLogins) {
    options.upgrade_hashes = true;
    ASSERT_TRUE(
        run(directory.add_account("dave@example.org", {to_string(derive_scram_keys(ScramHash::sha1, "x", 4096))})));
    EXPECT_EQ(play("PLAIN", {"\0dave@example.org\0x"s}), "ok dave@example.org");
    EXPECT_EQ(scheme_of(run(directory.find_account("dave@example.org"))->password), "ARGON2ID");
    EXPECT_EQ(play_gnu("SCRAM-SHA-1", {{GSASL_AUTHID, "dave@example.org"}, {GSASL_PASSWORD, "x"}}),
              "ok dave@example.org");
}

TEST_F(ExchangeTest, CramMd5SpeaksFirstAndNeverTwiceTheSame) {
    EXPECT_EQ(play("CRAM-MD5", {"bob@example.org x"}).substr(0, 8), "invalid:") << "it has no initial response";
    EXPECT_EQ(play("CRAM-MD5", {std::nullopt}), "challenge");
    auto first = challenges[0];
    EXPECT_TRUE(first.starts_with('<') && first.ends_with("@mail.example.org>")) << first;
    EXPECT_EQ(play("CRAM-MD5", {std::nullopt}), "challenge");
    EXPECT_NE(challenges[0], first);
    EXPECT_EQ(play("CRAM-MD5", {std::nullopt, "nonsense"}).substr(0, 8), "invalid:");
}

TEST_F(ExchangeTest, ApopIsForAccountsWithASecret) {
    auto outcome = [&](const std::string& name, const std::string& digest) {
        auto verified = run(check_apop(authenticator(), channel, name, "<1896.697170952@dbc.mtview.ca.us>", digest));
        return verified ? verified->account.address : verified.error().detail();
    };
    ASSERT_TRUE(run(directory.set_shared_secret("bob@example.org", "tanstaaf")));  // RFC 1939 s7
    EXPECT_EQ(outcome("bob@example.org", "c4c9334bac560ecc979e58001b3e22fb"), "bob@example.org");
    EXPECT_EQ(outcome("bob@example.org", "c4c9334bac560ecc979e58001b3e22fc"), "wrong digest");
    EXPECT_EQ(outcome("bob@example.org", ""), "wrong digest");
    EXPECT_EQ(outcome("carol@example.org", "c4c9334bac560ecc979e58001b3e22fb"), "the account has no shared secret");
    EXPECT_EQ(outcome("nobody@example.org", "c4c9334bac560ecc979e58001b3e22fb"), "unknown user");
    ASSERT_TRUE(run(directory.set_shared_secret("bob@example.org", "")));
    EXPECT_EQ(outcome("bob@example.org", "c4c9334bac560ecc979e58001b3e22fb"), "the account has no shared secret");
}

TEST_F(ExchangeTest, ExternalTakesTheCertificatesAddresses) {
    channel.addresses = {"nobody@example.org", "Bob@example.org", "carol@example.org"};
    EXPECT_EQ(play("EXTERNAL", {""}), "ok bob@example.org") << "the first that has an account";
    EXPECT_EQ(play("EXTERNAL", {std::nullopt, ""}), "ok bob@example.org");
    EXPECT_EQ(play("EXTERNAL", {"carol@example.org"}), "ok carol@example.org");
    EXPECT_EQ(play("EXTERNAL", {"off@example.org"}), "denied: account is disabled");
    EXPECT_EQ(play("EXTERNAL", {"other@example.org"}), "denied: unknown user");
    channel.addresses = {"carol@example.org"};
    EXPECT_EQ(play("EXTERNAL", {"bob@example.org"}), "denied: the certificate is not this account's");
    channel.addresses = {"off@example.org"};
    EXPECT_EQ(play("EXTERNAL", {""}), "denied: account is disabled");
    EXPECT_EQ(play("EXTERNAL", {"\xff"}).substr(0, 8), "invalid:");
}

TEST_F(ExchangeTest, TheDefaultDomainCompletesWhatAPersonTypedAndNoCertificateOrToken) {
    options.default_domain = "example.org";
    channel.addresses = {"bob"};
    EXPECT_EQ(play("EXTERNAL", {""}), "denied: unknown user");
    EXPECT_EQ(play("EXTERNAL", {"bob@example.org"}), "denied: the certificate is not this account's");
    tokens->domain = "";
    EXPECT_EQ(play("OAUTHBEARER", {"n,,\1auth=Bearer for.bob\1\1", "\1"}), "denied: unknown user");
    channel.addresses = {"bob@example.org"};
    EXPECT_EQ(play("EXTERNAL", {"bob"}), "ok bob@example.org");
    EXPECT_EQ(play("PLAIN", {"\0bob\0pencil"s}), "ok bob@example.org");
}

TEST_F(ExchangeTest, TheNameThatAuthenticatesMayHaveAMailbox) {
    add("bob+own", "other");
    const std::string name = "bob+Junk@example.org";
    std::map<Gsasl_property, std::string> who{{GSASL_AUTHID, name}, {GSASL_PASSWORD, "pencil"}};
    for (auto mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
        EXPECT_EQ(play_gnu(mechanism, who), "ok bob@example.org in Junk") << mechanism;
    who[GSASL_PASSWORD] = "wrong";
    for (auto mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
        EXPECT_EQ(play_gnu(mechanism, who), "denied: wrong password") << mechanism;
    who[GSASL_PASSWORD] = "a secret of both";
    EXPECT_EQ(play_gnu("CRAM-MD5", who), "ok bob@example.org in Junk");
    who[GSASL_AUTHID] = "bob+own@example.org";
    who[GSASL_PASSWORD] = "other";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", who), "ok bob+own@example.org") << "an account goes first";
    who[GSASL_PASSWORD] = "pencil";
    EXPECT_EQ(play_gnu("SCRAM-SHA-256", who), "denied: wrong password");
    EXPECT_EQ(play("PLAIN", {name + "\0"s + name + "\0pencil"s}), "ok bob@example.org in Junk");
    EXPECT_EQ(play("PLAIN", {"bob@example.org\0"s + name + "\0pencil"s}), "denied: unknown user")
        << "the other identity has to be the same name";
    channel.addresses = {"nobody+x@example.org", "bob@example.org"};
    EXPECT_EQ(play("EXTERNAL", {name}), "ok bob@example.org in Junk");
    EXPECT_EQ(play("EXTERNAL", {""}), "ok bob@example.org");
    EXPECT_EQ(play("XOAUTH2", {"user=" + name + "\1auth=Bearer for.bob\1\1"}), "ok bob@example.org in Junk");
    // A name that somebody else vouches for has no detail.
    channel.addresses = {name};
    EXPECT_EQ(play("EXTERNAL", {""}), "denied: unknown user");
    EXPECT_EQ(play("OAUTHBEARER", {"n,,\1auth=Bearer for.bob+Junk\1\1", "\1"}), "denied: unknown user");
    auto apop = run(check_apop(authenticator(), channel, name, "<1@x>", "0123456789abcdef0123456789abcdef"));
    EXPECT_EQ(apop.error().detail(), "wrong digest");
}

TEST_F(ExchangeTest, AChallengeIsTheSameWhateverMailboxIsNamed) {
    auto ask = [&](const std::string& name) {
        EXPECT_EQ(play("SCRAM-SHA-256", {"n,,n=" + name + ",r=abc"}), "challenge") << name;
        return challenges.back().substr(challenges.back().find(",s="));
    };
    for (std::string name : {"bob", "carol", "off", "nobody"})
        EXPECT_EQ(ask(name + "+x@example.org"), ask(name + "@example.org")) << "whether there is such an account";
}

TEST_F(ExchangeTest, BearerTokensNameTheAccount) {
    EXPECT_EQ(play("OAUTHBEARER", {"n,a=bob@example.org,\1auth=Bearer for.bob\1\1"}), "ok bob@example.org");
    EXPECT_EQ(play("OAUTHBEARER", {"n,,\1auth=Bearer for.bob\1\1"}), "ok bob@example.org");
    EXPECT_EQ(play("XOAUTH2", {std::nullopt, "user=bob@example.org\1auth=Bearer for.bob\1\1"}), "ok bob@example.org");
    EXPECT_EQ(play("OAUTHBEARER", {"nonsense"}).substr(0, 8), "invalid:");
    EXPECT_EQ(play("OAUTHBEARER", {"n,,\1auth=Bearer down\1\1"}), "io: the issuer is down");
}

TEST_F(ExchangeTest, ABadTokenIsToldInJsonThenRefusedWhateverTheClientAnswers) {
    struct Case {
        std::string message, reason;
    };
    for (auto [message, reason] :
         {Case{"n,,\1auth=Bearer bad\1\1", "unknown user"},
          {"n,a=bob@example.org,\1auth=Bearer bad\1\1", "token: no good"},
          {"n,a=carol@example.org,\1auth=Bearer for.bob\1\1", "the token is for another account"},
          {"n,a=nobody@example.org,\1auth=Bearer for.bob\1\1", "unknown user"},
          {"n,,\1auth=Bearer for.nobody\1\1", "unknown user"},
          {"n,,\1auth=Bearer for.off\1\1", "account is disabled"}})
        for (auto dummy : {"\1", "", "n,,\1auth=Bearer for.bob\1\1"}) {
            EXPECT_EQ(play("OAUTHBEARER", {message, dummy}), "denied: " + reason) << message;
            EXPECT_EQ(challenges, std::vector{token_failure({})});
        }
    EXPECT_EQ(play("XOAUTH2", {"user=bob@example.org\1auth=Bearer bad\1\1", ""}), "denied: token: no good");
    EXPECT_EQ(challenges, std::vector{xoauth2_failure({})});
}

TEST_F(ExchangeTest, AStrangersChallengeHasTheFormOfAnImportedAccounts) {
    for (const char* name : {"bob", "off"}) ASSERT_TRUE(run(directory.remove_account(name + "@example.org"s)));
    auto keys = derive_scram_keys(ScramHash::sha256, "pencil", "twelve bytes", 10'000);
    ASSERT_TRUE(run(directory.add_account("old@example.org", {to_string(keys)})));
    std::vector<std::string> forms;
    for (const char* name : {"old", "carol", "nobody"}) {
        EXPECT_EQ(play("SCRAM-SHA-256", {"n,,n="s + name + "@example.org,r=nonce"}), "challenge");
        auto salt = challenges[0].substr(challenges[0].find(",s="));
        forms.push_back(std::to_string(salt.size()) + salt.substr(salt.find(",i=")));
    }
    EXPECT_EQ(forms, std::vector(3, "27,i=10000"s));
}

/// Two failures are free; an attempt over a limit is refused and does not wait.
class ExchangeLimits : public ExchangeTest {
protected:
    struct Way {
        std::string mechanism;
        std::vector<std::optional<std::string>> right;
    };
    void SetUp() override {
        ExchangeTest::SetUp();
        options.failures_per_peer = 2;
        options.longest_wait = 0ms;
        options.longest_delay = 24h;
        channel.addresses = {"bob@example.org"};
    }
    /// A good login of bob's by each mechanism that needs no computing.
    const std::vector<Way> ways{{"PLAIN", {"\0bob@example.org\0pencil"s}},
                                {"LOGIN", {"bob@example.org", "pencil"}},
                                {"EXTERNAL", {"bob@example.org"}},
                                {"OAUTHBEARER", {"n,,\1auth=Bearer for.bob\1\1", "\1"}},
                                {"XOAUTH2", {"user=bob@example.org\1auth=Bearer for.bob\1\1", ""}}};
    std::string scram(const std::string& password) {
        return play_gnu("SCRAM-SHA-256", {{GSASL_AUTHID, "bob@example.org"}, {GSASL_PASSWORD, password}});
    }
    std::string cram(const std::string& secret) {
        return play_gnu("CRAM-MD5", {{GSASL_AUTHID, "bob@example.org"}, {GSASL_PASSWORD, secret}});
    }
    void guess_passwords(int times) {
        for (int i = 0; i < times; ++i)
            play("PLAIN", {"\0user"s + std::to_string(i) + "@example.org\0x"s + std::to_string(i)});
    }
};

TEST_F(ExchangeLimits, BindWhatCanBeGuessedTogether) {
    for (auto wrong : {0, 1, 2}) {
        channel.peer_address = "192.0.2." + std::to_string(wrong);
        for (int i = 0; i < 2; ++i) {
            if (wrong == 0) EXPECT_EQ(scram("x"), "denied: wrong password");
            if (wrong == 1) EXPECT_EQ(cram("x"), "denied: wrong digest");
            if (wrong == 2)
                EXPECT_TRUE(play("PLAIN", {"\0nobody@example.org\0x"s + std::to_string(i)}).starts_with("denied: "));
        }
        EXPECT_EQ(scram("pencil"), "busy: too many failures");
        EXPECT_EQ(challenges.size(), 2u) << "the dialogue is the same to its end";
        EXPECT_EQ(cram("a secret of both"), "busy: too many failures");
        EXPECT_EQ(play("PLAIN", ways[0].right), "busy: too many failures");
        EXPECT_EQ(play("LOGIN", ways[1].right), "busy: too many failures");
    }
    channel.peer_address = "192.0.2.100";
    EXPECT_EQ(scram("pencil"), "ok bob@example.org");
}

TEST_F(ExchangeLimits, OfPasswordsDoNotBindWhatCanNotBeGuessed) {
    options.failures_per_account = options.failures_per_pair = 2;
    guess_passwords(30);
    for (int i = 0; i < 60; ++i) {
        channel.peer_address = "198.51.100." + std::to_string(i);
        play("PLAIN", {"\0bob@example.org\0x"s + std::to_string(i)});
    }
    channel.peer_address = "192.0.2.1";
    EXPECT_EQ(play("PLAIN", ways[0].right), "busy: too many failures");
    for (std::size_t i = 2; i < ways.size(); ++i)
        EXPECT_EQ(play(ways[i].mechanism, ways[i].right), "ok bob@example.org") << ways[i].mechanism;
}

TEST_F(ExchangeLimits, OfTokensBindTokensBeforeTheirIssuerIsAsked) {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(play("XOAUTH2", {"user=\1auth=Bearer x\1\1", ""}), "denied: unknown user");
    int asked = tokens->asked;
    EXPECT_EQ(play("XOAUTH2", ways[4].right), "busy: too many failures");
    EXPECT_EQ(play("OAUTHBEARER", ways[3].right), "busy: too many failures");
    EXPECT_EQ(tokens->asked, asked) << "no work for strangers";
    EXPECT_EQ(play("PLAIN", ways[0].right), "ok bob@example.org") << "passwords are another matter";
    EXPECT_EQ(play("XOAUTH2", ways[4].right), "ok bob@example.org") << "and bob is no stranger here any more";
}

TEST_F(ExchangeLimits, AGoodLoginByAnyMechanismMakesItsPeerFamiliar) {
    auto spared = [&](const std::string& mechanism) {
        guess_passwords(30);
        EXPECT_EQ(play("PLAIN", {"\0carol@example.org\0pencil"s}), "busy: too many failures") << mechanism;
        EXPECT_EQ(play("PLAIN", ways[0].right), "ok bob@example.org") << mechanism;
    };
    int host = 0;
    for (const auto& [mechanism, right] : ways) {
        channel.peer_address = "192.0.2." + std::to_string(++host);
        EXPECT_EQ(play(mechanism, right), "ok bob@example.org");
        spared(mechanism);
    }
    channel.peer_address = "192.0.2." + std::to_string(++host);
    EXPECT_EQ(scram("pencil"), "ok bob@example.org");
    spared("SCRAM-SHA-256");
    channel.peer_address = "192.0.2." + std::to_string(++host);
    EXPECT_EQ(cram("a secret of both"), "ok bob@example.org");
    spared("CRAM-MD5");
}

}  // namespace
}  // namespace poplar::auth
