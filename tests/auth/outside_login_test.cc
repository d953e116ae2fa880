// Logins of accounts whose passwords another directory keeps: the limits hold as for our own, codes stand behind the
// password, and nobody is told that they are wrong while that directory is silent.
#include <gtest/gtest.h>

#include <set>

#include "auth/authenticator.h"
#include "directory/outside_directory.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

using directory::OutsideDirectory;
using test::run;

class FakeOutside final : public OutsideDirectory {
public:
    std::map<std::string, std::string> passwords{{"jane@out.test", "right"}};
    std::string handed_out;
    std::set<std::string> doubted;
    bool silent = false;
    int checks = 0;
    std::string remembered;

    bool keeps(std::string_view domain) const override { return domain == "out.test"; }
    std::string described(std::string_view) const override { return "a fake"; }
    bool is_silent(std::string_view) const override { return silent; }
    Task<Sighting> look_up(mail::Address address) override {
        using Presence = Sighting::Presence;
        const auto name = mail::to_string(address);
        if (doubted.contains(name)) co_return Sighting{Presence::in_doubt, {}};
        const bool there = passwords.contains(name);
        co_return Sighting{there ? Presence::there : silent ? Presence::in_doubt : Presence::gone, handed_out};
    }
    bool remembers(const std::string&, const std::string& password, const Asker&) override {
        return !remembered.empty() && password == remembered;
    }
    Task<Result<bool>> check(mail::Address address, std::string password, Asker) override {
        ++checks;
        const bool right = passwords[mail::to_string(address)] == password;
        if (!right && silent) co_return fail(Errc::timed_out, "silent");
        co_return right;
    }
};

struct OutsideLogin : testing::Test {
    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory{engine, clock, {}};
    FakeOutside outside;
    std::unique_ptr<Authenticator> authenticator;

    void SetUp() override {
        directory.consult(outside);
        ASSERT_TRUE(run(directory.add_domain("out.test")));
        Options options;
        options.failures_per_pair = 3;
        options.longest_wait = options.failure_delay = std::chrono::milliseconds(0);
        authenticator = std::make_unique<Authenticator>(directory, options);
    }
    Result<Verified> log_in(std::string password, std::string name = "jane@out.test", std::string peer = "192.0.2.7") {
        return run(authenticator->verify_password({std::move(name), std::move(password), std::move(peer)}));
    }
    Errc failure(std::string password, std::string name = "jane@out.test", std::string peer = "192.0.2.7") {
        auto verified = log_in(std::move(password), std::move(name), std::move(peer));
        EXPECT_FALSE(verified);
        return verified ? Errc::exists : verified.error().code();
    }
};

TEST_F(OutsideLogin, IsJudgedOutside) {
    auto verified = log_in("right");
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->account.address, "jane@out.test");
    EXPECT_EQ(failure("wrong"), Errc::denied);
    EXPECT_EQ(failure(""), Errc::denied);
    EXPECT_EQ(failure("right", "nobody@out.test"), Errc::denied);
    auto mailbox = log_in("right", "Jane+Junk@out.test");
    ASSERT_TRUE(mailbox);
    EXPECT_EQ(mailbox->mailbox, "Junk");
}

TEST_F(OutsideLogin, IsNotAskedForWhatIsRemembered) {
    ASSERT_TRUE(log_in("right"));
    const int before = outside.checks;
    ASSERT_TRUE(log_in("right"));
    EXPECT_EQ(outside.checks, before + 1) << "this server's own memory of passwords is not used for it";
    outside.remembered = "right";
    ASSERT_TRUE(log_in("right"));
    EXPECT_EQ(outside.checks, before + 1);
}

TEST_F(OutsideLogin, APasswordThatBecomesRightOutsideIsTaken) {
    EXPECT_EQ(failure("new"), Errc::denied);
    outside.passwords["jane@out.test"] = "new";
    EXPECT_TRUE(log_in("new"));
}

TEST_F(OutsideLogin, FailuresAreCountedForKnownAndUnknownAlike) {
    for (const std::string name : {"jane@out.test", "nobody@out.test"}) {
        for (int i = 0; i < 3; ++i) EXPECT_EQ(failure("wrong" + std::to_string(i), name), Errc::denied) << name << i;
        int busy = 0;
        for (int i = 3; i < 8; ++i) busy += failure("wrong" + std::to_string(i), name) == Errc::busy;
        EXPECT_GT(busy, 0) << name;
    }
}

TEST_F(OutsideLogin, WhileItIsSilentNobodyIsWrong) {
    outside.passwords["john@out.test"] = "x";
    ASSERT_TRUE(log_in("x", "john@out.test"));
    outside.silent = true;
    outside.doubted = {"john@out.test"};
    EXPECT_TRUE(log_in("right")) << "what is still believed";
    EXPECT_EQ(failure("wrong"), Errc::timed_out);
    EXPECT_EQ(failure("x", "john@out.test"), Errc::timed_out);
    EXPECT_EQ(failure("x", "nobody@out.test"), Errc::timed_out);
    Claim claim{.name = "nobody@out.test", .peer = "192.0.2.7", .proof = Proof::shared_secret};
    auto concluded = run(authenticator->conclude(claim, std::nullopt, fail(Errc::denied, "wrong digest")));
    ASSERT_FALSE(concluded);
    EXPECT_EQ(concluded.error().code(), Errc::timed_out);
}

TEST_F(OutsideLogin, DevicesGoWithTheAccount) {
    auto account = run(directory.find_for_login("jane@out.test"));
    ASSERT_TRUE(account);
    auto password = make_device_password(*run(directory.free_device_id(account->id)));
    directory::Device device{.id = password.device, .name = "phone", .secret = hash_device_secret(password.secret)};
    ASSERT_TRUE(run(directory.add_device(account->id, device)));
    EXPECT_TRUE(log_in(grouped(password)));
    outside.doubted = {"jane@out.test"};
    outside.silent = true;
    EXPECT_EQ(failure(grouped(password)), Errc::timed_out);
    outside.doubted.clear(), outside.silent = false;
    outside.passwords.clear();
    EXPECT_EQ(failure(grouped(password)), Errc::denied);
}

TEST_F(OutsideLogin, ScramUsesKeysThatAreHandedOutAndPretendsElse) {
    auto made = to_string(derive_scram_keys(ScramHash::sha256, "right", 4096));
    outside.handed_out = made;
    auto account = run(authenticator->find("jane@out.test"));
    ASSERT_TRUE(account && *account);
    auto keys = run(authenticator->scram_keys("jane@out.test", *account, ScramHash::sha256));
    ASSERT_TRUE(keys);
    EXPECT_EQ(to_string(*keys), made);
    outside.handed_out = "";
    account = run(authenticator->find("jane@out.test"));
    keys = run(authenticator->scram_keys("jane@out.test", *account, ScramHash::sha256));
    ASSERT_TRUE(keys);
    EXPECT_NE(to_string(*keys), made);
}

}  // namespace
}  // namespace poplar::auth
