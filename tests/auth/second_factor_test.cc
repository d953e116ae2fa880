// Logins of accounts that need a second factor.
#include "auth/second_factor.h"

#include <gtest/gtest.h>

#include <liboath/oath.h>

#include <ctime>
#include <map>

#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/password.h"
#include "auth/second_code.h"
#include "auth/totp.h"
#include "base/peer_network.h"
#include "directory/records.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/set_settings.h"

namespace poplar::auth {
namespace {

using directory::FactorPolicy;
using directory::Factors;
using directory::FactorWay;
using directory::SecondFactor;
using directory::Site;
using test::run;
using namespace std::chrono_literals;

constexpr auto kTotp = static_cast<std::uint8_t>(FactorWay::totp);
constexpr auto kApproval = static_cast<std::uint8_t>(FactorWay::approval);
constexpr auto kDevice = static_cast<std::uint8_t>(FactorWay::device);
constexpr auto kCertificate = static_cast<std::uint8_t>(FactorWay::certificate);

class SecondFactorLogin : public testing::Test {
protected:
    SecondFactorLogin() {
        EXPECT_TRUE(run(directory.add_domain("example.org")));
        bob = run(directory.add_account("bob@example.org", "{PLAIN}secret"))->id;
        options.failure_delay = options.longest_wait = 0ms;
    }

    void set_policy(SecondFactor need, std::uint8_t ways) {
        auto account = run(directory.account(bob));
        account->settings.second_factor = FactorPolicy{need, ways};
        EXPECT_TRUE(run(test::set_settings(directory, "bob@example.org", account->settings)));
    }
    Result<directory::Domain> set_domain_policy(FactorPolicy policy) {
        auto set = [policy](std::optional<FactorPolicy>& stored) -> Result<> {
            stored = policy;
            return {};
        };
        return run(directory.change_second_factor("Example.ORG", set));
    }
    /// Gives bob an authenticator that was confirmed, and recovery codes.
    void enroll(std::vector<std::string> recovery = {}) {
        auto enroll = [&](Factors& factors, Timestamp) -> Result<> {
            factors.totp = directory::Totp{.secret = kSecret, .confirmed = true};
            for (const auto& code : recovery) factors.totp->recovery.push_back(hash_device_secret(code));
            return {};
        };
        EXPECT_TRUE(run(directory.change_factors(bob, std::nullopt, enroll)));
    }
    /// The code that the authenticator shows, so many steps from now.
    std::string code(int steps = 0) const {
        char out[kTotpDigits + 1] = {};
        auto seconds = std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count() + steps * 30;
        EXPECT_EQ(oath_totp_generate(kSecret.data(), kSecret.size(), seconds, 30, 0, kTotpDigits, out), OATH_OK);
        return out;
    }
    std::string wrong_code() const {
        for (int candidate = 0;; ++candidate) {
            auto text = fmt::format("{:06}", candidate);
            if (!totp_step(kSecret, text, clock.now(), {})) return text;
        }
    }
    /// "in by WHAT", what is missing, or the reason in the log.
    static std::string outcome(const Result<Verified>& verified) {
        if (!verified) return verified.error().detail();
        if (verified->missing) return std::string(to_string(*verified->missing));
        return fmt::format("in by {}", verified->second_factor);
    }
    Authenticator& authenticator() {
        if (!made) {
            made.emplace(directory, options);
            made->second_factors().on_new_site([this](NewSite site) -> Task<Result<>> {
                mails.push_back(std::move(site));
                if (mail_fails) co_return fail(Errc::no_space, "no room");
                co_return Result<>();
            });
        }
        return *made;
    }
    std::string login(std::string password, std::string peer = "192.0.2.1") {
        return outcome(run(authenticator().verify_password({"bob@example.org", std::move(password), std::move(peer)})));
    }
    std::string login_by(Proof proof, bool vouched = false) {
        Claim claim{"bob@example.org", "192.0.2.1", false, proof};
        claim.vouched = vouched;
        return outcome(run(authenticator().conclude(claim, *run(directory.account(bob)), Result<>())));
    }
    /// Lets a login and `other` run together, the second from the `steps`-th step of the first on. Returns both
    /// outcomes.
    template <class T>
    std::pair<std::string, std::optional<T>> login_beside(std::string password, int steps, Task<T> other) {
        std::pair<std::string, std::optional<T>> out;
        asio::io_context context(1);
        auto log_in = [](Authenticator& by, std::string typed) -> Task<std::string> {
            co_return outcome(co_await by.verify_password({"bob@example.org", std::move(typed), "192.0.2.1"}));
        };
        auto wait = [](Task<T> task) -> Task<std::optional<T>> { co_return co_await std::move(task); };
        asio::co_spawn(context, log_in(authenticator(), std::move(password)),
                       [&](std::exception_ptr, std::string done) { out.first = std::move(done); });
        for (int step = 0; step < steps; ++step) context.poll_one();
        context.restart();  // the login may be over
        asio::co_spawn(context, wait(std::move(other)),
                       [&](std::exception_ptr, std::optional<T> done) { out.second = std::move(done); });
        context.run();
        return out;
    }
    /// As after a restart of the server.
    void restart() { made.reset(); }
    std::vector<Site> sites(Site::Kind kind) {
        std::vector<Site> out;
        for (const auto& site : run(directory.factors(bob))->sites)
            if (site.kind == kind) out.push_back(site);
        return out;
    }
    engine::ChangeNumber written() {
        engine::Engine& as_directory_has_it = engine;
        return *run(as_directory_has_it.change_number(directory::kDirectoryPartition));
    }
    bool knows(const std::string& peer) {
        run(authenticator().flush());
        auto peers = run(directory.familiar_peers(bob));
        return std::ranges::find(*peers, peer_key(peer)) != peers->end();
    }

    const std::string kSecret = "12345678901234567890";
    test::ManualClock clock;
    test::MemoryEngine engine;
    directory::Directory directory{engine, clock, {}};
    Options options;
    std::optional<Authenticator> made;
    std::vector<NewSite> mails;
    bool mail_fails = false;
    directory::AccountId bob;
};

TEST_F(SecondFactorLogin, IsNeededAsThePolicySays) {
    EXPECT_EQ(login("secret"), "in by ") << "nobody asks for one";
    enroll();
    EXPECT_EQ(login("secret"), "in by ") << "nor of those who have an authenticator";
    set_policy(SecondFactor::optional, kTotp);
    EXPECT_EQ(login("secret"), "a code is missing");
    EXPECT_EQ(login("wrong"), "wrong password") << "only who knows the password is told";
    auto take_away = [](Factors& factors, Timestamp) -> Result<> {
        factors.totp->confirmed = false;
        return {};
    };
    ASSERT_TRUE(run(directory.change_factors(bob, std::nullopt, take_away)));
    EXPECT_EQ(login("secret"), "in by ") << "an authenticator counts once it was confirmed";
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret"), "not a second factor of this account");
    set_policy(SecondFactor::required, kTotp | kDevice);
    EXPECT_EQ(login("secret"), "not by a device's password");
}

TEST_F(SecondFactorLogin, TheDomainsPolicyHoldsForAccountsWithoutOne) {
    enroll();
    ASSERT_TRUE(set_domain_policy(FactorPolicy{SecondFactor::required, kTotp}));
    EXPECT_EQ(login("secret"), "a code is missing");
    set_policy(SecondFactor::none, kTotp);
    EXPECT_EQ(login("secret"), "in by ");
}

TEST_F(SecondFactorLogin, ACodeBehindThePasswordOpensAWindowForItsNetwork) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret" + code()), "in by totp");
    EXPECT_EQ(login("secret"), "in by window");
    EXPECT_EQ(login("secret", "192.0.2.77"), "in by window") << "the same /24";
    EXPECT_EQ(login("secret", "192.0.3.1"), "a code is missing");
    EXPECT_EQ(login("secret", "2001:db8::1"), "a code is missing");
    EXPECT_EQ(login("wrong"), "wrong password");
    restart();
    EXPECT_EQ(login("secret"), "in by window");
    clock.advance(12h - 1s);
    EXPECT_EQ(login("secret"), "in by window");
    clock.advance(1s);
    EXPECT_EQ(login("secret"), "a code is missing") << "its twelve hours count from the code";
}

TEST_F(SecondFactorLogin, ACodeIsTakenOnceAlsoOverARestart) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    const auto first = code();
    EXPECT_EQ(login("secret" + first), "in by totp");
    EXPECT_EQ(login("secret" + first, "198.51.100.1"), "wrong or used code");
    restart();
    EXPECT_EQ(login("secret" + first, "198.51.100.1"), "wrong or used code");
    EXPECT_EQ(login("secret" + first), "in by window") << "a program that sends both for hours goes on";
    EXPECT_EQ(login("secret" + code(-1), "198.51.100.1"), "wrong or used code") << "nor is one before it";
    EXPECT_EQ(login("secret" + code(1), "198.51.100.1"), "in by totp") << "a clock that is half a minute fast";
}

TEST_F(SecondFactorLogin, PasswordsThatEndInDigitsWork) {
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}secret123456")));
    enroll();
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret123456"), "a code is missing");
    EXPECT_EQ(login("secret"), "wrong password");
    EXPECT_EQ(login("secret" + code()), "wrong password");
    EXPECT_EQ(login("secret123456" + code()), "in by totp");
    EXPECT_EQ(login("secret123456"), "in by window");
}

TEST_F(SecondFactorLogin, NothingIsSplitWhereNoCodeIsTaken) {
    EXPECT_EQ(login("secret123456"), "wrong password");
    set_policy(SecondFactor::required, kDevice);
    EXPECT_EQ(login("secret123456"), "wrong password");
}

TEST_F(SecondFactorLogin, TwoHashesAreMadeHoweverAPasswordIsTypedAndOneWhereNoCodeIsTaken) {
    options.cache_ttl = 0s;
    const auto stored = hash_argon2id("secret");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", stored)));
    enroll();
    // Processor time, which other programs don't change.
    auto cost = [&](const std::string& typed) {
        constexpr int kRounds = 3;
        const auto begun = std::clock();
        for (int i = 0; i < kRounds; ++i) {
            SteadyClock::move(options.failure_window + 1s);  // what was wrong a moment ago is not hashed again
            login(typed);
        }
        return static_cast<double>(std::clock() - begun) / kRounds;
    };
    const auto one = cost("secret");
    set_policy(SecondFactor::required, kTotp);
    const auto whole = cost("secret");
    for (const auto& typed : {"secret" + wrong_code(), std::string("wrong"), "wrong" + wrong_code()}) {
        const auto time = cost(typed);
        EXPECT_GT(time, 0.7 * whole) << typed;
        EXPECT_LT(time, 1.4 * whole) << typed;
    }
    EXPECT_GT(whole, 1.5 * one);
    EXPECT_LT(whole, 3 * one);
}

TEST_F(SecondFactorLogin, ARecoveryCodeIsGoodOnce) {
    enroll({"abcdefghjkmn", "bcdefghjkmna"});
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secretabcd-efgh-jkmn"), "in by recovery");
    EXPECT_EQ(login("secretabcd-efgh-jkmn", "198.51.100.1"), "wrong or used code");
    EXPECT_EQ(login("secretBCDEFGHJKMNA", "198.51.100.1"), "in by recovery");
    EXPECT_EQ(run(directory.factors(bob))->totp->recovery.size(), 0u);
}

TEST_F(SecondFactorLogin, GuessingCodesHasALimitThatStopsNoWindowAndNoDevice) {
    enroll({"abcdefghjkmn"});
    set_policy(SecondFactor::required, kTotp | kDevice);
    EXPECT_EQ(login("secret" + code(-1)), "in by totp");
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(login("secret" + wrong_code(), fmt::format("198.51.{}.1", i)), "wrong or used code");
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "too many wrong codes") << "a right one looks like a wrong one";
    EXPECT_EQ(login("secret" + wrong_code(), "203.0.113.1"), "too many wrong codes");
    restart();
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "too many wrong codes");
    EXPECT_EQ(login("secret"), "in by window");
    auto phone = make_device_password(7);
    ASSERT_TRUE(run(directory.add_device(bob, {.id = 7, .name = "phone", .secret = hash_device_secret(phone.secret)})));
    EXPECT_EQ(login(grouped(phone), "203.0.113.1"), "in by device");
    EXPECT_EQ(login("secretabcdefghjkmn", "203.0.113.1"), "in by recovery") << "nobody can guess those";
    clock.advance(144min);
    EXPECT_EQ(login("secret" + code(), "203.0.114.1"), "in by totp") << "one is forgiven every 2.4 hours";
}

TEST_F(SecondFactorLogin, AProgramThatGoesOnSendingAnOldCodeUsesUpNoGuess) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    const auto at_home = code();
    EXPECT_EQ(login("secret" + at_home), "in by totp");
    clock.advance(13h);
    EXPECT_EQ(login("secret" + code(), "198.51.100.1"), "in by totp");
    for (int i = 0; i < 30; ++i) EXPECT_EQ(login("secret" + at_home), "wrong or used code");
    clock.advance(30s);
    EXPECT_EQ(login("secret" + code()), "in by totp");
}

// The defect: a mail program whose settings have the password and a code, polling every five minutes, used up all
// guesses and kept them used up.
TEST_F(SecondFactorLogin, AProgramThatHasStoredAWrongOrALateCodeUsesUpOneGuess) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    const auto late = code();
    clock.advance(10min);
    const auto before = run(directory.factors(bob))->wrong_codes;
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(login("secret" + late), "wrong or used code");
        EXPECT_EQ(login("secret" + wrong_code(), "198.51.100.1"), "wrong or used code");
        EXPECT_EQ(login("secret" + wrong_code(), "198.51.100.77"), "wrong or used code") << "the same network";
    }
    EXPECT_EQ(run(directory.factors(bob))->wrong_codes, before + 2);
    const auto written_before = written();
    login("secret" + late);
    EXPECT_EQ(written(), written_before);
    EXPECT_EQ(login("secret" + code()), "in by totp") << "from there, too";
    for (int day = 0; day < 20; ++day) {
        clock.advance(24h);
        SteadyClock::move(24h);
        EXPECT_EQ(login("secret" + wrong_code(), "198.51.100.1"), "wrong or used code");
    }
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "in by totp") << "once a day is less than is forgiven";
}

TEST_F(SecondFactorLogin, TheSameWrongCodeFromTwoConnectionsAtATimeCountsOnce) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    login("secret");  // its hash is remembered now
    for (int steps = 0; steps < 40; ++steps) {
        const auto guess = fmt::format("{:06}", 900'000 + steps);
        auto again = authenticator().verify_password({"bob@example.org", "secret" + guess, "192.0.2.1"});
        login_beside("secret" + guess, steps, std::move(again));
        EXPECT_EQ(run(directory.factors(bob))->wrong_codes, 1u) << steps;
        ASSERT_TRUE(run(authenticator().second_factors().release(*run(directory.account(bob)))) == false);
    }
}

TEST_F(SecondFactorLogin, ShowsWhoseCodesAreNotLookedAtAndReleasesThem) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    auto held = [&] { return *run(authenticator().second_factors().held_up()); };
    for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(held().empty()) << i;
        login("secret" + wrong_code(), fmt::format("198.51.{}.1", i));
    }
    ASSERT_EQ(held().size(), 1u);
    EXPECT_EQ(held()[0].limit, "code");
    EXPECT_EQ(held()[0].account, "bob@example.org");
    EXPECT_EQ(held()[0].failures, 10u);
    EXPECT_EQ(held()[0].lasts, 144min) << "one in ten of a day's";
    restart();
    ASSERT_EQ(held().size(), 1u) << "over a restart";
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "too many wrong codes");
    EXPECT_TRUE(*run(authenticator().second_factors().release(*run(directory.account(bob)))));
    EXPECT_TRUE(held().empty());
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "in by totp");
}

TEST_F(SecondFactorLogin, WhatWasWrongBeforeACodeCouldStandBehindItIsJudgedAnew) {
    EXPECT_EQ(login("secret" + code()), "wrong password");
    enroll();
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret" + code()), "in by totp");
}

TEST_F(SecondFactorLogin, TwoLoginsThatUpgradeTheSameHashAreBothIn) {
    options.upgrade_hashes = true;
    options.cache_ttl = 0s;
    enroll();
    set_policy(SecondFactor::required, kTotp);
    int overtaken = 0;
    engine.on_commit([&](engine::PartitionId, const engine::Batch&) {
        if (overtaken++ != 0) return;
        // Another login was faster.
        auto account = *run(directory.account(bob));
        account.password = hash_argon2id("secret");
        ++account.credential_version;
        engine::Batch batch;
        batch.put(directory::address_key({"bob", "example.org"}), directory::encode(account));
        EXPECT_TRUE(run(engine.commit(directory::kDirectoryPartition, std::move(batch))));
    });
    EXPECT_EQ(login("secret" + code()), "in by totp");
    EXPECT_GE(overtaken, 2);
}

TEST_F(SecondFactorLogin, AnAcceptedPlaceIsGoodAlsoWhereItsUseCanNotBeNoted) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    ASSERT_EQ(login("secret" + mails.at(0).code), "in by approval");
    clock.advance(48h);
    for (auto code : {Errc::no_space, Errc::corrupt, Errc::io}) {
        engine.fail_next_commits(1, code);
        EXPECT_EQ(login("secret"), "in by site") << to_string(code);
    }
    engine.fail_next_commits(0, Errc::io);
    EXPECT_EQ(login("secret"), "in by site");
    clock.advance(29 * 24h);
    EXPECT_EQ(login("secret"), "in by site") << "noted once it could be";
}

TEST_F(SecondFactorLogin, AClientThatAsksAgainAndAgainWaitsForNoWriter) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    auto reads = [&] {
        const auto before = engine.reads();
        EXPECT_EQ(login("secret"), "the site is not accepted");
        return engine.reads() - before;
    };
    EXPECT_LE(reads(), 2u) << "the account and its second factors, and none to prepare a change";
}

TEST_F(SecondFactorLogin, ADecisionThatCameMeanwhileIsKept) {
    set_policy(SecondFactor::required, kApproval);
    for (int steps = 0; steps < 100; ++steps) {
        clock.advance(8 * 24h);
        login("secret", "203.0.113.1");
        clock.advance(12h);
        login("secret");
        const auto id = sites(Site::Kind::pending).back().id;
        clock.advance(12h);  // the next login is mailed about again, so it writes
        auto& factors = authenticator().second_factors();
        auto [in, denied] = login_beside("secret", steps, factors.decide(bob, id, Site::Kind::denied));
        EXPECT_TRUE(*denied);
        EXPECT_TRUE(in == "the site is denied" || in == "the site is not accepted") << in;
        EXPECT_EQ(sites(Site::Kind::denied).size(), 1u) << steps;
        for (const auto& site : sites(Site::Kind::pending)) EXPECT_NE(site.network, "192.0.2.0/24") << steps;
    }
}

TEST_F(SecondFactorLogin, ACodeThatIsTypedWhileItsSiteIsDeniedOpensNothingBesideTheDenial) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    int first = 0, second = 0;
    for (int steps = 0; steps < 100; ++steps) {
        clock.advance(40 * 24h);
        login("secret");
        ASSERT_EQ(sites(Site::Kind::pending).size(), 1u);
        const auto id = sites(Site::Kind::pending)[0].id;
        auto& factors = authenticator().second_factors();
        auto [in, denied] =
            login_beside("secret" + mails.back().code, steps, factors.decide(bob, id, Site::Kind::denied));
        const bool is_in = in == "in by approval";
        EXPECT_EQ(sites(Site::Kind::accepted).size(), is_in ? 1u : 0u) << steps << ' ' << in;
        EXPECT_EQ(sites(Site::Kind::denied).size(), is_in ? 0u : 1u) << steps;
        EXPECT_EQ(denied->has_value(), !is_in) << "the site that waited is gone then";
        (is_in ? first : second)++;
    }
    EXPECT_GT(first, 0);
    EXPECT_GT(second, 0);
}

TEST_F(SecondFactorLogin, NothingHoldsForEverAfterTheClockWasSetBack) {
    constexpr auto kYear = 365 * 24h;
    enroll({"abcdefghjkmn"});
    set_policy(SecondFactor::required, kTotp | kApproval);
    clock.advance(kYear);
    EXPECT_EQ(login("secret" + code()), "in by totp");
    for (int i = 0; i < 10; ++i) login("secret" + wrong_code(), fmt::format("198.51.{}.1", i));
    login("secret", "203.0.113.1");
    ASSERT_TRUE(
        run(authenticator().second_factors().decide(bob, sites(Site::Kind::pending)[0].id, Site::Kind::denied)));
    clock.advance(-kYear);
    EXPECT_EQ(login("secret"), "in by window") << "and nothing is lost";
    EXPECT_EQ(login("secret", "203.0.113.1"), "the site is denied");
    EXPECT_EQ(login("secret" + code(), "203.0.114.1"), "too many wrong codes");
    const auto then = clock.now();
    for (const auto& site : authenticator().second_factors().open_sites(*run(directory.factors(bob))))
        EXPECT_LE(site.until, then + 7 * 24h);
    clock.advance(12h);
    EXPECT_EQ(login("secret"), "a code is missing");
    EXPECT_EQ(login("secret" + code(), "203.0.114.1"), "in by totp") << "codes, too, are taken again";
    EXPECT_EQ(login("secret" + code(), "203.0.115.1"), "wrong or used code") << "once";
    clock.advance(6 * 24h + 12h);
    EXPECT_EQ(login("secret", "203.0.113.1"), "a code is missing") << "a denial holds for seven days";
}

TEST_F(SecondFactorLogin, AClockThatIsDoubtedEndsNothing) {
    test::ManualClock counted;
    enroll();
    set_policy(SecondFactor::required, kTotp);
    authenticator().second_factors().count_by(counted);
    EXPECT_EQ(login("secret" + code()), "in by totp");
    clock.advance(365 * 24h);
    EXPECT_EQ(login("secret"), "in by window") << "the machine's clock has jumped";
    EXPECT_EQ(login("secret" + code(), "198.51.100.1"), "in by totp") << "codes go by it all the same";
    counted.advance(12h);
    EXPECT_EQ(login("secret"), "a code is missing");
}

TEST_F(SecondFactorLogin, ATakenCodeIsNotLookedAtAgainAlsoWhenALaterStepHasTheSame) {
    set_policy(SecondFactor::required, kTotp);
    enroll();
    std::map<std::string, int> steps;  // of six digits, some of so many are alike
    int first = 0, second = 0;
    for (int step = 0; second == 0; ++step) {
        const auto [seen, fresh] = steps.try_emplace(code(step), step);
        if (!fresh && step - seen->second > 10) first = seen->second, second = step;
    }
    clock.advance(std::chrono::seconds(30) * first);
    const auto overheard = code();
    EXPECT_EQ(login("secret" + overheard), "in by totp");
    clock.advance(std::chrono::seconds(30) * (second - first));
    ASSERT_EQ(code(), overheard);
    EXPECT_EQ(login("secret" + overheard, "198.51.100.1"), "wrong or used code");
}

TEST_F(SecondFactorLogin, ANewPasswordEndsTheWindows) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret" + code()), "in by totp");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}fresh")));
    EXPECT_EQ(login("fresh"), "a code is missing");
}

TEST_F(SecondFactorLogin, OtherProofsCountWhereTheirWayIsListed) {
    enroll();
    set_policy(SecondFactor::required, kTotp | kCertificate);
    auto phone = make_device_password(7);
    ASSERT_TRUE(run(directory.add_device(bob, {.id = 7, .name = "phone", .secret = hash_device_secret(phone.secret)})));
    constexpr auto kNot = "not a second factor of this account";
    EXPECT_EQ(login_by(Proof::certificate), "in by certificate");
    EXPECT_EQ(login(grouped(phone)), kNot);
    EXPECT_EQ(login_by(Proof::token), kNot);
    EXPECT_EQ(login_by(Proof::token, true), "in by token");
    EXPECT_EQ(login_by(Proof::shared_secret), kNot) << "APOP and CRAM-MD5";
    EXPECT_EQ(login_by(Proof::password), "a code is missing") << "SCRAM";
    EXPECT_EQ(login("secret" + code()), "in by totp");
    EXPECT_EQ(login_by(Proof::password), "in by window");
    EXPECT_EQ(login_by(Proof::shared_secret), kNot);
    set_policy(SecondFactor::required, kDevice);
    EXPECT_EQ(login_by(Proof::certificate), kNot);
    EXPECT_EQ(login(grouped(phone)), "in by device");
    EXPECT_EQ(login_by(Proof::password), "not by a device's password") << "a window is for those who have a code";
}

TEST_F(SecondFactorLogin, AnAttemptWithoutItMakesNoPeerFamiliar) {
    enroll();
    set_policy(SecondFactor::required, kTotp);
    EXPECT_EQ(login("secret", "203.0.113.1"), "a code is missing");
    EXPECT_FALSE(knows("203.0.113.1"));
    EXPECT_EQ(login("secret" + code(), "203.0.113.1"), "in by totp");
    EXPECT_TRUE(knows("203.0.113.1"));
}

TEST_F(SecondFactorLogin, ANewSiteWaitsForApprovalAndIsMailedOnceADay) {
    set_policy(SecondFactor::required, kApproval);
    EXPECT_EQ(login("wrong"), "wrong password");
    EXPECT_EQ(sites(Site::Kind::pending).size(), 0u) << "a wrong password learns nothing";
    EXPECT_EQ(login("secret"), "the site is not accepted");
    EXPECT_EQ(login("secret"), "the site is not accepted");
    ASSERT_EQ(sites(Site::Kind::pending).size(), 1u);
    EXPECT_EQ(sites(Site::Kind::pending)[0].network, "192.0.2.0/24");
    EXPECT_EQ(login("secret", "2001:db8:0:1:2::3"), "the site is not accepted");
    EXPECT_EQ(sites(Site::Kind::pending)[1].network, "2001:db8:0:1::/64");
    ASSERT_EQ(mails.size(), 1u);
    EXPECT_EQ(mails[0].peer, "192.0.2.1");
    for (int i = 0; i < 30; ++i) login("secret", fmt::format("198.51.{}.1", i));
    EXPECT_EQ(sites(Site::Kind::pending).size(), 20u);
    EXPECT_EQ(mails.size(), 1u);
    clock.advance(24h);
    EXPECT_EQ(login("secret", "203.0.113.1"), "the site is not accepted");
    EXPECT_EQ(sites(Site::Kind::pending).size(), 1u) << "a day each";
    EXPECT_EQ(mails.size(), 2u);
}

TEST_F(SecondFactorLogin, TheMailedCodeAcceptsTheSiteWhereItIsTyped) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    ASSERT_EQ(mails.size(), 1u);
    EXPECT_EQ(login("secret123456"), "wrong or used code");
    EXPECT_EQ(login("secret" + make_word_code()), "wrong or used code");
    restart();
    EXPECT_EQ(login("secret" + grouped_code(mails[0].code)), "in by approval");
    EXPECT_EQ(login("secret"), "in by site");
    EXPECT_EQ(login("secret", "198.51.100.1"), "the site is not accepted");
    EXPECT_EQ(login("secret" + mails[0].code, "198.51.100.1"), "wrong or used code") << "good once";
    EXPECT_EQ(login("secret" + mails[0].code), "in by site");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}fresh")));
    EXPECT_EQ(login("fresh"), "in by site") << "a user's own place stays accepted";
    EXPECT_EQ(sites(Site::Kind::pending).size(), 0u) << "what asked with the old password is forgotten";
}

TEST_F(SecondFactorLogin, AMailedCodeIsGoodForADay) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    clock.advance(24h);
    EXPECT_EQ(login("secret" + mails[0].code), "wrong or used code");
}

TEST_F(SecondFactorLogin, AMailThatCouldNotBeStoredIsSentAtTheNextLogin) {
    set_policy(SecondFactor::required, kApproval);
    mail_fails = true;
    EXPECT_EQ(login("secret"), "the site is not accepted");
    mail_fails = false;
    EXPECT_EQ(login("secret"), "the site is not accepted");
    ASSERT_EQ(mails.size(), 2u);
    EXPECT_EQ(login("secret" + mails[0].code), "wrong or used code");
    EXPECT_EQ(login("secret" + mails[1].code), "in by approval");
}

TEST_F(SecondFactorLogin, AnAcceptedSiteHoldsForThirtyDaysFromItsLastUse) {
    set_policy(SecondFactor::required, kApproval);
    login("secret");
    ASSERT_TRUE(
        run(authenticator().second_factors().decide(bob, sites(Site::Kind::pending)[0].id, Site::Kind::accepted)));
    EXPECT_EQ(login("secret"), "in by site");
    const auto before = written();
    EXPECT_EQ(login("secret"), "in by site");
    EXPECT_EQ(written(), before) << "a poll writes nothing";
    clock.advance(std::chrono::days(29));
    EXPECT_EQ(login("secret"), "in by site");
    clock.advance(std::chrono::days(29));
    EXPECT_EQ(login("secret"), "in by site");
    clock.advance(std::chrono::days(30));
    EXPECT_EQ(login("secret"), "the site is not accepted");
}

TEST_F(SecondFactorLogin, ADeniedSiteIsRefusedForSevenDaysWhateverIsTyped) {
    enroll();
    set_policy(SecondFactor::required, kApproval | kTotp | kDevice);
    EXPECT_EQ(login("secret"), "a code is missing") << "and the site waits for approval";
    auto& factors = authenticator().second_factors();
    const auto id = sites(Site::Kind::pending)[0].id;
    ASSERT_TRUE(run(factors.decide(bob, id, Site::Kind::denied)));
    EXPECT_EQ(login("secret"), "the site is denied");
    EXPECT_EQ(login("secret" + code()), "the site is denied");
    EXPECT_EQ(login("secret", "198.51.100.1"), "a code is missing");
    auto phone = make_device_password(7);
    ASSERT_TRUE(run(directory.add_device(bob, {.id = 7, .name = "phone", .secret = hash_device_secret(phone.secret)})));
    EXPECT_EQ(login(grouped(phone)), "in by device");
    clock.advance(std::chrono::days(7));
    EXPECT_EQ(login("secret" + code()), "in by totp");
    EXPECT_EQ(run(factors.decide(bob, id, Site::Kind::accepted)).error().code(), Errc::not_found) << "its time is over";
}

TEST_F(SecondFactorLogin, SitesOfPastLoginsAreAcceptedFromTheirLastLoginOn) {
    set_policy(SecondFactor::required, kApproval);
    const auto now = clock.now();
    using Past = SecondFactors::PastLogin;
    const auto pop3 = directory::Service::pop3;
    auto learn = [&](std::vector<Past> logins) {
        return *run(authenticator().second_factors().learn(bob, std::move(logins)));
    };
    const std::vector<Past> logins{{"192.0.2.1", pop3, now - 24h * 10},
                                   {"192.0.2.200", pop3, now - 24h * 2},
                                   {"198.51.100.1", pop3, now - 24h * 20},
                                   {"203.0.113.1", pop3, now - 24h * 31}};
    EXPECT_EQ(learn(logins), 2u);
    EXPECT_EQ(learn(logins), 0u) << "once is enough";
    EXPECT_EQ(learn({{"192.0.2.1", pop3, now}}), 0u) << "it is known, and holds for longer now";
    EXPECT_EQ(sites(Site::Kind::accepted).size(), 2u);
    EXPECT_EQ(login("secret", "192.0.2.77"), "in by site");
    EXPECT_EQ(login("secret", "198.51.100.9"), "in by site");
    EXPECT_EQ(login("secret", "203.0.113.1"), "the site is not accepted");
    EXPECT_TRUE(mails.size() == 1 && mails[0].network == "203.0.113.0/24") << "nobody else is surprised";
    const auto denied = sites(Site::Kind::pending).front().id;
    EXPECT_TRUE(run(authenticator().second_factors().decide(bob, denied, Site::Kind::denied)));
    EXPECT_EQ(learn({{"203.0.113.1", pop3, clock.now()}}), 0u) << "it was denied";
    EXPECT_EQ(login("secret", "203.0.113.1"), "the site is denied");
    std::vector<Past> many;
    for (int n = 0; n < 100; ++n) many.push_back({fmt::format("10.0.{}.1", n), pop3, clock.now() - 1h * (100 - n)});
    learn(many);
    EXPECT_EQ(sites(Site::Kind::accepted).size(), SecondFactors::kMostSites);
    EXPECT_EQ(login("secret", "10.0.99.1"), "in by site") << "the latest stay";
}

TEST(SiteOf, IsTheNetworkOfAPeer) {
    EXPECT_EQ(site_of("192.0.2.77"), "192.0.2.0/24");
    EXPECT_EQ(site_of("::ffff:192.0.2.77"), "192.0.2.0/24");
    EXPECT_EQ(site_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(site_of("fe80::1%eth0"), "fe80::/64");
    EXPECT_EQ(site_of("unix"), "unix");
}

}  // namespace
}  // namespace poplar::auth
