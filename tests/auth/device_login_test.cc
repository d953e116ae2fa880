// Logins with a device's password.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/device_uses.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

using directory::Device;
using directory::Service;
using test::run;
using namespace std::chrono_literals;

class DeviceLogin : public testing::Test {
protected:
    DeviceLogin() {
        EXPECT_TRUE(run(directory.add_domain("example.org")));
        bob = run(directory.add_account("bob@example.org", "{PLAIN}secret"))->id;
        options.failure_delay = options.longest_wait = 0ms;
        options.hash_queue = 1;
    }

    /// Adds a device and gives its password.
    DevicePassword add(Device device = {}) {
        auto password = make_device_password(*run(directory.free_device_id(bob)));
        device.id = password.device;
        if (device.name.empty()) device.name = "phone";
        device.secret = hash_device_secret(password.secret);
        EXPECT_TRUE(run(directory.add_device(bob, std::move(device))));
        return password;
    }
    /// The name of the device whose password it was; "account", or why not.
    std::string outcome(std::string password, std::string peer = "192.0.2.1", Service service = Service::pop3) {
        if (!authenticator) authenticator.emplace(directory, options);
        auto verified =
            run(authenticator->verify_password({"bob@example.org", std::move(password), peer, false, service}));
        if (!verified) return verified.error().detail();
        EXPECT_EQ(verified->account.address, "bob@example.org");
        return verified->device ? verified->device->name : "account";
    }

    test::ManualClock clock;
    test::MemoryEngine engine;
    directory::Directory directory{engine, clock, {}};
    Options options;
    std::optional<Authenticator> authenticator;
    directory::AccountId bob;
};

TEST_F(DeviceLogin, TakesTheDevicesPasswordHoweverItIsTyped) {
    auto phone = add(), tablet = add({.name = "tablet"});
    EXPECT_EQ(outcome(grouped(phone)), "phone");
    EXPECT_EQ(outcome(plain(tablet)), "tablet");
    EXPECT_EQ(outcome("secret"), "account");
    EXPECT_EQ(outcome(grouped({tablet.device, phone.secret})), "wrong password");
    ASSERT_TRUE(run(directory.remove_device(bob, phone.device)));
    EXPECT_EQ(outcome(grouped(phone)), "wrong password") << "at once";
    EXPECT_EQ(outcome(grouped(tablet)), "tablet");
    ASSERT_TRUE(run(directory.set_status("bob@example.org", directory::AccountStatus::disabled)));
    EXPECT_EQ(outcome(grouped(tablet)), "account is disabled");
}

TEST_F(DeviceLogin, IsGoodForWhatTheDeviceMayAlone) {
    auto phone =
        add({.services = static_cast<std::uint8_t>(Service::pop3), .networks = {"192.0.2.0/24", "2001:db8::/32"}});
    EXPECT_EQ(outcome(plain(phone)), "phone");
    EXPECT_EQ(outcome(plain(phone), "2001:db8::7"), "phone");
    EXPECT_EQ(outcome(plain(phone), "198.51.100.1"), "the device may not be used from there");
    EXPECT_EQ(outcome(plain(phone), "192.0.2.1", Service::imap), "the device is not for this protocol");
    auto guest = add({.name = "guest", .expires = clock.now() + 24h});
    EXPECT_EQ(outcome(plain(guest)), "guest");
    clock.advance(24h);
    EXPECT_EQ(outcome(plain(guest)), "the device has expired");
}

TEST_F(DeviceLogin, IsNotHeldUpByGuessesAtThePassword) {
    options.failures_per_pair = options.failures_per_peer = options.failures_per_account = 1;
    auto phone = add();
    for (int i = 0; i < 5; ++i) outcome("wrong", "192.0.2." + std::to_string(i));
    EXPECT_EQ(outcome("secret", "192.0.2.0"), "too many failures");
    EXPECT_EQ(outcome(plain(phone), "192.0.2.0"), "phone");
}

TEST_F(DeviceLogin, CostsTwoReadsAndNoHash) {
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{ARGON2ID}never looked at")));
    auto phone = add();
    outcome(plain(phone));
    const auto before = engine.reads();
    EXPECT_EQ(outcome(plain(phone)), "phone");
    EXPECT_EQ(engine.reads() - before, 2u);
}

// The attack: somebody has found a device's password, and tries it from everywhere, all day.
TEST_F(DeviceLogin, AttemptsThatADeviceMayNotMakeTakeTurns) {
    options.failures_per_device = 3;
    options.longest_delay = 24h;
    auto phone = add({.networks = {"192.0.2.0/24"}}), tablet = add({.name = "tablet"});
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(outcome(grouped(phone), "198.51.100." + std::to_string(i)), "the device may not be used from there");
    EXPECT_EQ(outcome(grouped(phone), "203.0.113.1"), "too many failures");
    auto held = authenticator->held_up();
    ASSERT_EQ(held.size(), 1u);
    EXPECT_EQ(held[0].limit, "device");
    EXPECT_EQ(held[0].account, "bob@example.org");
    EXPECT_EQ(outcome(grouped(phone)), "phone") << "where it may log in it waits for nothing";
    EXPECT_EQ(outcome(grouped(tablet), "203.0.113.1"), "tablet") << "nor does another one";
    EXPECT_EQ(outcome("secret", "203.0.113.1"), "account");
    EXPECT_EQ(authenticator->release("bob@example.org"), 1u);
    EXPECT_EQ(outcome(grouped(phone), "203.0.113.1"), "the device may not be used from there");
}

TEST_F(DeviceLogin, GuessesAtOneDeviceTakeTurnsWhetherOrNotThereIsOne) {
    options.failures_per_device = 3;
    options.longest_delay = 24h;
    auto phone = add();
    for (auto id : {phone.device, (phone.device + 1) % directory::kDeviceIds}) {
        for (int i = 0; i < 3; ++i) {
            auto guess = make_device_password(id);
            EXPECT_EQ(outcome(grouped(guess), fmt::format("198.51.{}.1", i)), "wrong password");
        }
        EXPECT_EQ(outcome(grouped(make_device_password(id)), "203.0.113.1"), "too many failures");
    }
    EXPECT_EQ(outcome(grouped(phone), "203.0.113.1"), "phone");
}

TEST_F(DeviceLogin, WorksWithoutAPasswordOfTheAccount) {
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "")));
    auto phone = add();
    EXPECT_EQ(outcome(plain(phone)), "phone");
    EXPECT_EQ(outcome(""), "wrong password");
}

TEST_F(DeviceLogin, APasswordThatLooksLikeADevicesIsThePassword) {
    auto mine = grouped(make_device_password(77));
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}" + mine)));
    EXPECT_EQ(outcome(mine), "account");
}

TEST_F(DeviceLogin, UsesAreWrittenInTheBackground) {
    auto phone = add();
    DeviceUses uses(directory, clock);
    {
        auto session = uses.begin(bob, phone.device, "192.0.2.1", Service::pop3);
        session.add(3, 2);
    }
    EXPECT_TRUE(run(directory.device_uses(bob))->empty());
    run(uses.flush());
    const auto commits = engine.commits();
    run(uses.flush());
    EXPECT_EQ(engine.commits(), commits) << "nothing new";
    auto noted = *run(directory.device_uses(bob));
    ASSERT_EQ(noted.size(), 1u);
    EXPECT_EQ(noted[0].use.logins, 1u);
    EXPECT_EQ(noted[0].use.fetched, 3u);
    EXPECT_EQ(noted[0].use.deleted, 2u);
    EXPECT_EQ(noted[0].use.peer, "192.0.2.1");
    EXPECT_EQ(noted[0].use.protocol, "pop3");
    EXPECT_EQ(noted[0].use.last, clock.now());
}

}  // namespace
}  // namespace poplar::auth
