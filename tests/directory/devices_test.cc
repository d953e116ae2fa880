// Devices of accounts, and what they were used for.
#include <gtest/gtest.h>

#include <set>

#include "directory/directory.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::directory {
namespace {

using test::run;

class Devices : public testing::Test {
protected:
    Devices() {
        EXPECT_TRUE(run(directory.add_domain("example.org")));
        bob = run(directory.add_account("bob@example.org", "{PLAIN}x"))->id;
        carol = run(directory.add_account("carol@example.org", "{PLAIN}x"))->id;
    }

    Device add(AccountId account, std::string name) {
        auto id = run(directory.free_device_id(account));
        auto added = run(directory.add_device(account, {.id = *id, .name = std::move(name), .secret = "hash"}));
        EXPECT_TRUE(added) << added.error().detail();
        return *added;
    }
    Errc refused(AccountId account, Device device) {
        auto added = run(directory.add_device(account, std::move(device)));
        return added ? Errc::cancelled : added.error().code();
    }
    std::set<std::string> names(AccountId account) {
        std::set<std::string> out;
        for (const auto& device : *run(directory.devices(account))) out.insert(device.name);
        return out;
    }

    test::ManualClock clock;
    test::MemoryEngine engine;
    Directory directory{engine, clock, {.devices = 5}};
    AccountId bob, carol;
};

TEST_F(Devices, AreKeptAsTheyWereAdded) {
    Device wanted{.id = 77,
                  .name = "old laptop \xc3\xa4",
                  .secret = std::string(48, '\0'),
                  .scram_keys = "{SCRAM-SHA-256}...",
                  .services = static_cast<std::uint8_t>(Service::pop3),
                  .networks = {"192.0.2.0/24", "2001:db8::/32"},
                  .expires = clock.now() + std::chrono::hours(24),
                  .read_only = true,
                  .mailboxes = {1, 7, 1u << 31}};
    ASSERT_TRUE(run(directory.add_device(bob, wanted)));
    auto found = *run(directory.device(bob, 77));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, wanted.name);
    EXPECT_EQ(found->secret, wanted.secret);
    EXPECT_EQ(found->scram_keys, wanted.scram_keys);
    EXPECT_TRUE(found->serves(Service::pop3));
    EXPECT_FALSE(found->serves(Service::imap));
    EXPECT_EQ(found->networks, wanted.networks);
    EXPECT_EQ(found->expires, wanted.expires);
    EXPECT_TRUE(found->read_only);
    EXPECT_EQ(found->mailboxes, wanted.mailboxes);
    EXPECT_EQ(found->created, clock.now());
    EXPECT_FALSE(*run(directory.device(carol, 77))) << "another account's";
}

TEST_F(Devices, HaveANameAndAnIdOfTheirOwn) {
    auto phone = add(bob, "phone");
    EXPECT_EQ(refused(bob, {.id = phone.id, .name = "other"}), Errc::exists);
    EXPECT_EQ(refused(bob, {.id = phone.id ^ 1, .name = "phone"}), Errc::exists);
    EXPECT_EQ(refused(bob, {.id = phone.id ^ 1, .name = ""}), Errc::invalid);
    EXPECT_EQ(refused(AccountId(999'999), {.id = 1, .name = "phone"}), Errc::not_found);
    add(carol, "phone");
    auto tablet = add(bob, "tablet");
    tablet.name = "phone";
    EXPECT_EQ(run(directory.set_device(bob, tablet)).error().code(), Errc::exists);
    tablet.name = "old tablet";
    ASSERT_TRUE(run(directory.set_device(bob, tablet)));
    EXPECT_EQ(names(bob), (std::set<std::string>{"phone", "old tablet"}));
}

TEST_F(Devices, HaveOnlySoManyMailboxes) {
    std::vector<std::uint32_t> mailboxes(kDeviceMailboxes + 1, 1);
    EXPECT_EQ(refused(bob, {.id = 1, .name = "phone", .mailboxes = mailboxes}), Errc::invalid);
    mailboxes.pop_back();
    EXPECT_TRUE(run(directory.add_device(bob, {.id = 1, .name = "phone", .mailboxes = mailboxes})));
}

TEST_F(Devices, AStampChangesWithTheKeysAlone) {
    auto stamp = [&] { return *run(directory.keys_stamp(bob)); };
    const auto before = stamp();
    auto phone = add(bob, "phone");
    EXPECT_EQ(stamp(), before) << "it has no SCRAM keys";
    EXPECT_TRUE(run(directory.set_password("bob@example.org", {"{PLAIN}y", "keys"})));
    const auto after = stamp();
    EXPECT_NE(after, before);
    phone.scram_keys = "others";
    EXPECT_TRUE(run(directory.set_device(bob, phone)));
    EXPECT_NE(stamp(), after);
    EXPECT_EQ(run(directory.keys_stamp(AccountId(999'999))).error().code(), Errc::not_found);
}

TEST_F(Devices, AreOnlySoMany) {
    for (int i = 0; i < 5; ++i) add(bob, std::to_string(i));
    EXPECT_EQ(refused(bob, {.id = kDeviceIds - 1, .name = "one more"}), Errc::busy);
    add(carol, "0");
}

TEST_F(Devices, GoAloneOrWithTheirAccount) {
    auto phone = add(bob, "phone"), tablet = add(bob, "tablet");
    add(carol, "phone");
    ASSERT_TRUE(run(directory.note_device_uses({{bob, phone.id, {.logins = 1}}, {bob, tablet.id, {.logins = 1}}})));
    EXPECT_EQ(run(directory.remove_device(bob, phone.id))->name, "phone");
    EXPECT_EQ(run(directory.remove_device(bob, phone.id)).error().code(), Errc::not_found);
    EXPECT_EQ(run(directory.device_uses(bob))->size(), 1u);
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    EXPECT_TRUE(run(directory.devices(bob))->empty());
    EXPECT_TRUE(run(directory.device_uses(bob))->empty());
    EXPECT_EQ(names(carol), std::set<std::string>{"phone"});
}

TEST_F(Devices, UsesAddUp) {
    auto phone = add(bob, "phone");
    const auto now = clock.now();
    ASSERT_TRUE(run(directory.note_device_uses(
        {{bob, phone.id, {.last = now, .peer = "192.0.2.1", .protocol = "pop3", .logins = 2, .fetched = 5}}})));
    ASSERT_TRUE(run(directory.note_device_uses(
        {{bob, phone.id, {.last = now - std::chrono::seconds(1), .peer = "192.0.2.2", .logins = 1, .deleted = 4}},
         {bob, phone.id ^ 1, {.logins = 1}}})));
    auto uses = *run(directory.device_uses(bob));
    ASSERT_EQ(uses.size(), 1u);
    EXPECT_EQ(uses[0].device, phone.id);
    EXPECT_EQ(uses[0].use.logins, 3u);
    EXPECT_EQ(uses[0].use.fetched, 5u);
    EXPECT_EQ(uses[0].use.deleted, 4u);
    EXPECT_EQ(uses[0].use.last, now);
    EXPECT_EQ(uses[0].use.peer, "192.0.2.1") << "of the last login, whichever was noted last";
}

}  // namespace
}  // namespace poplar::directory
