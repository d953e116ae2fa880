// Logins with a device's password by SCRAM, where the server never sees the password.
#include <gtest/gtest.h>

#include "auth/device_password.h"
#include "auth/exchange.h"
#include "auth/sasl.h"
#include "tests/auth/sasl_peer.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

using directory::Device;
using directory::Service;
using test::run;
using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr auto kBob = "bob@example.org";

class DeviceScram : public testing::Test {
protected:
    DeviceScram() {
        options.failure_delay = options.longest_wait = 0ms;
        options.failures_per_pair = options.failures_per_peer = options.failures_per_account = 0;
        options.scram_keys = {ScramHash::sha256, ScramHash::sha1};
        options.scram_iterations = 4096;
        sasl_options.mechanisms = all_mechanisms();
        EXPECT_TRUE(run(directory.add_domain("example.org")));
        auto keys = to_string(derive_scram_keys(ScramHash::sha256, "secret", 4096)) +
                    to_string(derive_scram_keys(ScramHash::sha1, "secret", 4096));
        bob = run(directory.add_account(kBob, {"{PLAIN}secret", keys}))->id;
    }
    Authenticator& authenticator() {
        if (!authenticator_) authenticator_.emplace(directory, options);
        return *authenticator_;
    }

    /// Adds a device and gives its password.
    DevicePassword add(Device device = {}) {
        auto password = make_device_password(*run(directory.free_device_id(bob)));
        device.id = password.device;
        if (device.name.empty()) device.name = "phone";
        device.secret = hash_device_secret(password.secret);
        device.scram_keys = *run(authenticator().device_scram_keys(*run(directory.account(bob)), password));
        EXPECT_TRUE(run(directory.add_device(bob, std::move(device))));
        return password;
    }
    void set_password(const std::string& password) {
        EXPECT_TRUE(run(directory.set_password(kBob, *run(authenticator().hash_password(password, bob)))));
    }

    /// The name of the device whose password it was; "account", or why not.
    std::string outcome(const std::string& password, const std::string& mechanism = "SCRAM-SHA-256",
                        const std::string& identity = "") {
        std::map<Gsasl_property, std::string> properties{{GSASL_AUTHID, kBob}, {GSASL_PASSWORD, password}};
        if (!identity.empty()) properties[GSASL_AUTHZID] = identity;
        if (mechanism.ends_with("-PLUS"))
            properties[GSASL_CB_TLS_EXPORTER] = base64_encode(channel.bindings["tls-exporter"]);
        GnuClient client(mechanism, properties);
        Sasl sasl(authenticator(), clock, sasl_options, nullptr);
        auto exchange = *sasl.begin(mechanism, channel);
        auto step = run(exchange->start(std::nullopt));
        while (step && std::holds_alternative<Challenge>(*step)) {
            auto answer = client.answer(std::get<Challenge>(*step).text);
            if (!answer) return "client: "s + gsasl_strerror_name(client.result);
            step = run(exchange->respond(*answer));
        }
        if (!step) return step.error().detail();
        EXPECT_EQ(client.result, GSASL_OK) << "the server has proven that it has the keys of this very password";
        auto& verified = std::get<Verified>(*step);
        EXPECT_EQ(verified.account.address, kBob);
        return verified.device ? verified.device->name : "account";
    }

    test::ManualClock clock;
    test::MemoryEngine engine;
    directory::Directory directory{engine, clock, {}};
    Options options;
    SaslOptions sasl_options;
    FakeChannel channel;
    directory::AccountId bob;

private:
    std::optional<Authenticator> authenticator_;
};

TEST_F(DeviceScram, TakesTheDevicesPasswordWithAndWithoutHyphens) {
    auto phone = add(), tablet = add({.name = "tablet", .read_only = true});
    for (std::string mechanism : {"SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}) {
        for (const auto& [form, spaced] : {std::pair(&grouped, " "), {&plain, ""}}) {
            EXPECT_EQ(outcome(form(phone), mechanism), "phone");
            EXPECT_EQ(outcome(form(tablet), mechanism), "tablet");
            EXPECT_EQ(outcome(form({tablet.device, phone.secret}), mechanism), "wrong password");
            EXPECT_EQ(outcome(form(tablet) + spaced, mechanism), *spaced ? "wrong password" : "tablet");
        }
        EXPECT_EQ(outcome("secret", mechanism), "account");
    }
}

TEST_F(DeviceScram, ADeviceThatIsRevokedOrOfADisabledAccountIsRefusedAtOnce) {
    auto phone = add(), tablet = add({.name = "tablet"});
    ASSERT_TRUE(run(directory.remove_device(bob, phone.device)));
    EXPECT_EQ(outcome(grouped(phone)), "wrong password");
    EXPECT_EQ(outcome(grouped(tablet)), "tablet");
    EXPECT_EQ(outcome(grouped(tablet), "SCRAM-SHA-256", "carol@example.org"),
              "the authorization identity is another one");
    ASSERT_TRUE(run(directory.set_status(kBob, directory::AccountStatus::disabled)));
    EXPECT_EQ(outcome(grouped(tablet)), "account is disabled");
}

TEST_F(DeviceScram, IsGoodForWhatTheDeviceMayAlone) {
    auto phone =
        add({.services = static_cast<std::uint8_t>(Service::pop3), .networks = {"192.0.2.0/24", "2001:db8::/32"}});
    auto guest = add({.name = "guest", .expires = clock.now() + 24h});
    EXPECT_EQ(outcome(plain(phone)), "phone");
    EXPECT_EQ(outcome(plain(guest)), "guest");
    channel.peer_address = "198.51.100.1";
    EXPECT_EQ(outcome(plain(phone)), "the device may not be used from there");
    channel.peer_address = "2001:db8::7";
    channel.login_for = Service::imap;
    EXPECT_EQ(outcome(plain(phone)), "the device is not for this protocol");
    clock.advance(24h);
    EXPECT_EQ(outcome(plain(guest)), "the device has expired");
}

TEST_F(DeviceScram, GoesOnWhenThePasswordChanges) {
    auto phone = add();
    set_password("another");
    EXPECT_EQ(outcome(grouped(phone)), "phone");
    EXPECT_EQ(outcome("another"), "account");
    EXPECT_EQ(outcome("secret"), "wrong password");
    // Without keys of the account's own the challenge has the devices' salt.
    ASSERT_TRUE(run(directory.set_password(kBob, "{PLAIN}third")));
    EXPECT_EQ(outcome(grouped(phone)), "phone");
    EXPECT_EQ(outcome("third"), "wrong password");
    // A login in clear makes them again.
    ASSERT_TRUE(run(authenticator().verify_password({kBob, "third", "192.0.2.1"})));
    EXPECT_EQ(outcome("third"), "account");
    EXPECT_EQ(outcome(grouped(phone)), "phone");
    // Imported keys have a salt of their own, which a password in clear gives up for that of the devices.
    auto foreign = to_string(derive_scram_keys(ScramHash::sha256, "imported", 4096));
    ASSERT_TRUE(run(directory.set_password(kBob, foreign)));
    EXPECT_EQ(outcome("imported"), "account");
    EXPECT_EQ(outcome(grouped(phone)), "wrong password");
    set_password("fourth");
    EXPECT_EQ(outcome(grouped(phone)), "phone");
    // Without devices a new password gets a new salt.
    auto salt = [&] { return find_scram_keys(run(directory.account(bob))->scram_keys, ScramHash::sha256)->salt; };
    auto before = salt();
    set_password("fifth");
    EXPECT_EQ(salt(), before);
    ASSERT_TRUE(run(directory.remove_device(bob, phone.device)));
    set_password("sixth");
    EXPECT_NE(salt(), before);
}

TEST_F(DeviceScram, KeysThatWereOvertakenWhileTheyWereMadeAreNotStored) {
    auto make = [&](DevicePassword password) {
        Device device{.id = password.device, .name = "device " + std::to_string(password.device)};
        device.secret = hash_device_secret(password.secret);
        device.scram_keys = *run(authenticator().device_scram_keys(*run(directory.account(bob)), password));
        return device;
    };
    auto conflicts = [](const auto& result) { return !result && result.error().code() == Errc::conflict; };
    // A password is set while a device's keys are made with the salt that the account had.
    auto stamp = *run(directory.keys_stamp(bob));
    auto phone = make_device_password(1);
    auto late = make(phone);
    set_password("another");
    EXPECT_TRUE(conflicts(run(directory.add_device(bob, late, stamp))));
    stamp = *run(directory.keys_stamp(bob));
    ASSERT_TRUE(run(directory.add_device(bob, make(phone), stamp)));
    EXPECT_EQ(outcome(grouped(phone)), "device 1");
    // A device is added while a password's keys are made with a salt of their own.
    ASSERT_TRUE(run(directory.remove_device(bob, 1)));
    auto password = *run(authenticator().hash_password("third", bob));
    auto tablet = make_device_password(2);
    ASSERT_TRUE(run(directory.add_device(bob, make(tablet), *run(directory.keys_stamp(bob)))));
    EXPECT_TRUE(conflicts(run(directory.set_password(kBob, password))));
    set_password("third");
    EXPECT_EQ(outcome(grouped(tablet)), "device 2");
    EXPECT_EQ(outcome("third"), "account");
    // Two devices at a time, of an account without keys: what both would be challenged with may have changed between.
    stamp = *run(directory.keys_stamp(bob));
    auto one = make(make_device_password(3)), two = make(make_device_password(4));
    ASSERT_TRUE(run(directory.add_device(bob, one, stamp)));
    EXPECT_TRUE(conflicts(run(directory.add_device(bob, two, stamp))));
}

TEST_F(DeviceScram, ADeviceChangesNoChallengeOfAnAccountWithoutKeys) {
    ASSERT_TRUE(run(directory.set_password(kBob, "")));
    auto challenge = [&] {
        auto keys = *run(authenticator().scram_keys(kBob, *run(directory.account(bob)), ScramHash::sha1));
        return std::pair(keys.salt, keys.iterations);
    };
    auto before = challenge();
    auto phone = add();
    EXPECT_EQ(challenge(), before) << "a stranger would learn that there is such an account";
    EXPECT_EQ(outcome(grouped(phone), "SCRAM-SHA-1"), "phone");
    EXPECT_EQ(outcome("", "SCRAM-SHA-1"), "wrong password");
}

TEST_F(DeviceScram, ADeviceHasKeysOfTheHashesThatTheAccountHas) {
    options.scram_keys = {};
    ASSERT_TRUE(run(directory.set_password(kBob, "{PLAIN}secret")));
    auto older = add({.name = "older"});
    EXPECT_EQ(run(directory.device(bob, older.device)).value()->scram_keys, "");
    // The longest salt that keys may have.
    auto imported = to_string(derive_scram_keys(ScramHash::sha1, "imported", std::string(256, 's'), 5000));
    ASSERT_TRUE(run(directory.set_password(kBob, imported)));
    auto phone = add();
    EXPECT_EQ(outcome(grouped(phone), "SCRAM-SHA-1"), "phone");
    EXPECT_EQ(outcome(plain(phone), "SCRAM-SHA-256"), "wrong password");
    EXPECT_EQ(outcome("imported", "SCRAM-SHA-1"), "account");
}

TEST_F(DeviceScram, ADeviceWithoutKeysIsAWrongPassword) {
    auto phone = make_device_password(7);
    ASSERT_TRUE(
        run(directory.add_device(bob, {.id = 7, .name = "old phone", .secret = hash_device_secret(phone.secret)})));
    EXPECT_EQ(outcome(grouped(phone)), "wrong password");
    EXPECT_EQ(outcome(grouped(phone), "PLAIN"), "old phone");
}

TEST_F(DeviceScram, IsNotHeldUpByGuessesAtThePassword) {
    options.failures_per_pair = options.failures_per_peer = options.failures_per_account = 1;
    auto phone = add();
    for (int i = 0; i < 5; ++i) outcome("wrong");
    EXPECT_EQ(outcome("secret"), "too many failures");
    EXPECT_EQ(outcome(plain(phone)), "phone");
}

TEST_F(DeviceScram, CostsAnAccountsOwnPasswordNoRead) {
    outcome("secret");
    auto reads = [&](const std::string& password, const std::string& expected) {
        const auto before = engine.reads();
        EXPECT_EQ(outcome(password), expected);
        return engine.reads() - before;
    };
    EXPECT_EQ(reads("secret", "account"), 1u) << "the account";
    auto phone = add();
    EXPECT_EQ(reads("secret", "account"), 1u);
    EXPECT_EQ(reads(plain(phone), "phone"), 2u);
}

// The time is for whoever runs this alone, in a release build.
TEST_F(DeviceScram, TriesThreeHundredDevices) {
    std::vector<DevicePassword> passwords;
    for (int i = 0; i < 300; ++i) passwords.push_back(add({.name = "device " + std::to_string(i)}));
    EXPECT_EQ(outcome(plain(passwords.front())), "device 0");
    EXPECT_EQ(outcome(plain(passwords.back())), "device 299");
    EXPECT_EQ(outcome("wrong"), "wrong password");
    auto account = run(directory.find_account(kBob));
    ScramProof proof(ScramHash::sha256, std::string(200, 'm'), std::string(32, 'p'));
    auto begun = SteadyClock::now();
    EXPECT_FALSE(*run(authenticator().find_device(*account, std::move(proof))));
    auto took = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begun);
    RecordProperty("microseconds", std::to_string(took.count()));
}

}  // namespace
}  // namespace poplar::auth
