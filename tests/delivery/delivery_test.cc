// A message in, and what each recipient gets of it.
#include "delivery/delivery.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "mail/downgrade.h"
#include "tests/delivery/world.h"

namespace poplar::delivery {
namespace {

using test::content_of;
using test::run;
using test::World;
using Kind = Verdict::Kind;

const std::string kMessage = "Subject: hello\r\n\r\nA line\r\n";

Envelope envelope(World& world, std::vector<std::string> addresses,
                  std::string reverse_path = "sender@remote.example") {
    Envelope made;
    made.reverse_path = std::move(reverse_path);
    for (const auto& address : addresses) {
        auto resolution = run(world.delivery.resolve(mail::parse_address(address).value()));
        EXPECT_TRUE(resolution) << address;
        if (resolution) made.add(address, resolution->accounts, world.delivery.mailbox_in(*resolution));
    }
    made.received.helo = "client.example";
    made.received.peer = "192.0.2.7";
    made.received.by = "mail.example.test";
    made.received.with = "ESMTP";
    made.received.id = "abc123";
    return made;
}

std::expected<std::vector<Verdict>, Verdict> deliver(World& world, Envelope to, std::string message = kMessage) {
    auto incoming = world.delivery.begin(std::make_shared<Envelope>(std::move(to)), 0);
    if (auto written = run(incoming->write(message)); !written) return std::unexpected(written.error());
    return run(incoming->finish({message.size(), message.size()}));
}

TEST(Delivery, PutsReturnPathDeliveredToAndReceivedOnTop) {
    World world;
    auto to = envelope(world, {"demo+list@example.test"});
    auto results = deliver(world, to);
    ASSERT_TRUE(results);
    ASSERT_EQ(results->size(), 1u);
    EXPECT_TRUE(results->front().stored());
    to.received.recipient = "demo+list@example.test";
    to.received.time = world.clock.now();
    EXPECT_EQ(world.inbox("demo@example.test"),
              std::vector{"Return-Path: <sender@remote.example>\r\nDelivered-To: demo+list@example.test\r\n" +
                          mail::format_received(to.received) + kMessage});
}

// Senders can't make mailboxes by writing to a detail.
TEST(Delivery, MailToADetailGoesToTheMailboxOfThatNameIfThereIsOne) {
    for (bool files : {true, false}) {
        World world({.detail_files = files});
        world.add("other@example.test");
        world.alias("both@example.test", {"demo+work@example.test", "other@example.test"});
        world.alias("one@example.test", {"demo+work@example.test"});
        const auto id = run(world.directory.find_account("demo@example.test"))->id;
        const auto work = run(world.store.add_mailbox(id, "work"));
        ASSERT_TRUE(work);
        auto count = [&](std::string name) { return run(world.store.mailbox(id, std::move(name)))->totals.messages; };
        std::uint64_t filed = 0, inbox = 0;
        for (const auto& [address, expected] : {std::pair{"demo+work@example.test", true},
                                                {"one@example.test", true},
                                                {"demo+None@example.test", false},
                                                {"demo@example.test", false},
                                                {"demo+INBOX@example.test", false},
                                                {"demo+a//b@example.test", false},
                                                {"both@example.test", false}}) {
            auto results = deliver(world, envelope(world, {address}));
            ASSERT_TRUE(results && results->front().stored()) << address;
            ++(files && expected ? filed : inbox);
            EXPECT_EQ(count("work"), filed) << address;
            EXPECT_EQ(count("INBOX"), inbox) << address;
        }
        EXPECT_EQ(run(world.store.mailboxes(id))->size(), 2u);
        EXPECT_TRUE(run(world.store.check(id)));
    }
}

TEST(Delivery, AnAccountRemovedSinceItsRecipientWasResolvedIsNoSuccess) {
    World world;
    world.add("other@example.test");
    world.alias("both@example.test", {"demo@example.test", "other@example.test"});
    auto to = envelope(world, {"demo@example.test", "both@example.test", "other@example.test"});
    auto id = run(world.directory.find_account("demo@example.test"))->id;
    ASSERT_TRUE(run(world.directory.remove_account("demo@example.test")));
    ASSERT_TRUE(run(world.store.close(id)));
    auto results = deliver(world, to);
    ASSERT_TRUE(results);
    EXPECT_EQ((*results)[0].kind, Kind::gone);
    EXPECT_TRUE((*results)[1].stored()) << "the alias leads to another account, too";
    EXPECT_TRUE((*results)[2].stored());
    EXPECT_EQ(world.inbox("other@example.test").size(), 1u);
    EXPECT_EQ(run(world.store.totals(id))->messages, 0u);
}

/// The account's only message, as a client without UTF-8 gets it.
std::string downgraded(World& world, const std::string& address) {
    std::string out;
    mail::Downgrader downgrader(&out);
    downgrader.feed(world.inbox(address).at(0));
    downgrader.finish();
    return out;
}

TEST(Delivery, KnowsTheSizeWithoutUtf8OfTheHeadItMakesAndOfTheContent) {
    struct Case {
        std::string recipient, reverse_path, message;
        bool needed;
    };
    const std::string part = "--b\r\nContent-Description: \u00fc\r\n\r\n..\r\n";
    for (const auto& [recipient, reverse_path, message, needed] : {
             Case{"demo@example.test", "a@b.example", "Subject: a\r\n\r\n\u00fc\r\n", false},
             {"demo@example.test", "a@b.example", "Subject: \u00fc\r\n\r\n\u00fc\r\n", true},
             {"demo@example.test", "\u00fc@b.example", kMessage, true},
             {"d\u00e9mo@example.test", "a@b.example", kMessage, true},
             {"d\u00e9mo@example.test", "\u00fc@b.example", "Subject: \u00fc\r\n\r\n..\r\n", true},
             {"demo@example.test", "a@b.example",
              "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part + "--b--\r\n", true},
             {"demo@example.test", "a@b.example", " Subject: \u00fc\r\nSubject: \u00fc\r\n", false},
             {"demo@example.test", "\u00fc@b.example", " Subject: \u00fc\r\nSubject: \u00fc\r\n", true},
             {"demo@example.test", "a@b.example", "Subject: \u00fc", true},
         }) {
        for (std::size_t step : {std::string::npos, std::size_t{1}}) {
            World world;
            world.add("d\u00e9mo@example.test");
            auto incoming =
                world.delivery.begin(std::make_shared<Envelope>(envelope(world, {recipient}, reverse_path)), 0);
            for (std::size_t at = 0; at < message.size(); at += std::min(step, message.size()))
                ASSERT_TRUE(run(incoming->write(std::string_view(message).substr(at, step))));
            const std::uint64_t stuffed = message.contains("\r\n..") ? 1 : 0;
            ASSERT_TRUE(run(incoming->finish({message.size() - stuffed, message.size()})));
            auto account = run(world.directory.find_account(recipient));
            ASSERT_TRUE(account);
            auto stored = run(world.store.list(account->id, mailstore::OrderKey(0), 1));
            ASSERT_TRUE(stored);
            const auto out = downgraded(world, recipient);
            EXPECT_EQ(stored->at(0).ascii_octets, needed ? out.size() - stuffed : 0) << message;
            EXPECT_EQ(out != world.inbox(recipient).at(0), needed) << message;
        }
    }
}

TEST(Delivery, SaysWhenTheMessageWasCompleteNotWhenItBegan) {
    World world;
    auto incoming = world.delivery.begin(std::make_shared<Envelope>(envelope(world, {"demo@example.test"})), 0);
    ASSERT_TRUE(run(incoming->write(kMessage)));
    world.clock.advance(std::chrono::hours(1));
    ASSERT_TRUE(run(incoming->finish({kMessage.size(), kMessage.size()})));
    EXPECT_NE(world.inbox("demo@example.test").at(0).find(mail::format_date(world.clock.now())), std::string::npos);
}

TEST(Delivery, KeepsTheNullReversePath) {
    World world;
    ASSERT_TRUE(deliver(world, envelope(world, {"demo@example.test"}, "")));
    EXPECT_TRUE(world.inbox("demo@example.test").at(0).starts_with("Return-Path: <>\r\n"));
}

TEST(Delivery, LetsNoMessageContinueOurTraceFields) {
    for (const std::string begin : {" ; forged", "\t(forged)"}) {
        World world;
        ASSERT_TRUE(deliver(world, envelope(world, {"demo@example.test"}), begin + "\r\n" + kMessage));
        auto message = world.inbox("demo@example.test").at(0);
        EXPECT_TRUE(message.ends_with("+0000\r\n\r\n" + begin + "\r\n" + kMessage)) << message;
    }
}

TEST(Delivery, PutsAnEmptyLineWhereTheHeaderEndsWithoutOne) {
    struct Case {
        std::string sent, stored;
    };
    const std::string mailbox_line = "From a@b.example Thu Jan  1 00:00:00 1970\r\n";
    for (const auto& [sent, stored] : {
             Case{"St\u00f6rung: 8 \u00b0C\r\n", "\r\nSt\u00f6rung: 8 \u00b0C\r\n"},
             {"From: a@b.example\r\nSubject: Alarm\r\nDie T\u00fcr\r\n\r\n..\r\n",
              "From: a@b.example\r\nSubject: Alarm\r\n\r\nDie T\u00fcr\r\n\r\n..\r\n"},
             {"From: a@b.example\r\nSubject \u00fc\r\nDate: x\r\n\r\n",
              "From: a@b.example\r\n\r\nSubject \u00fc\r\nDate: x\r\n\r\n"},
             {mailbox_line + "Subject: \u00fc\r\n\r\n\u00fc\r\n",
              "X-Mailbox-Line: " + mailbox_line + "Subject: \u00fc\r\n\r\n\u00fc\r\n"},
             {kMessage, kMessage},
         })
        for (std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{5}}) {
            World world;
            auto incoming = world.delivery.begin(std::make_shared<Envelope>(envelope(world, {"demo@example.test"})), 0);
            for (std::size_t at = 0; at < sent.size(); at += std::min(step, sent.size())) {
                // As the session does: in the writer's own room.
                const auto piece = std::string_view(sent).substr(at, step);
                const auto room = incoming->room();
                ASSERT_GE(room.size(), piece.size());
                std::ranges::copy(piece, room.begin());
                ASSERT_TRUE(run(incoming->write({room.data(), piece.size()})));
            }
            const std::uint64_t stuffed = sent.contains("\r\n..") ? 1 : 0;
            ASSERT_TRUE(run(incoming->finish({sent.size() - stuffed, sent.size()})));
            const auto whole = world.inbox("demo@example.test").at(0);
            EXPECT_EQ(content_of(whole), stored);
            auto account = run(world.directory.find_account("demo@example.test"));
            auto listed = run(world.store.list(account->id, mailstore::OrderKey(0), 1));
            EXPECT_EQ(listed->at(0).octets, whole.size() - stuffed);
            const auto ascii = downgraded(world, "demo@example.test");
            EXPECT_EQ(listed->at(0).ascii_octets, ascii == whole ? 0 : ascii.size() - stuffed);
        }
}

TEST(Delivery, ATextWithoutAHeaderIsBoundByNoLimitOfHeaders) {
    World world({.header_octets = 1000, .header_fields = 10});
    for (const std::string header : {"", "Subject: x\r\n"})
        EXPECT_TRUE(deliver(world, envelope(world, {"demo@example.test"}), header + std::string(5000, 'x') + "\r\n"));
}

TEST(Delivery, LeavesAReturnPathThatCameWithTheMessage) {
    World world;
    auto message = "Return-Path: <old@remote.example>\r\n" + kMessage;
    ASSERT_TRUE(deliver(world, envelope(world, {"demo@example.test"}), message));
    EXPECT_EQ(content_of(world.inbox("demo@example.test").at(0)), message);
}

TEST(Delivery, StoresOnceInAnAccountThatSeveralRecipientsLeadTo) {
    World world;
    world.add("other@example.test");
    world.alias("all@example.test", {"demo@example.test", "other@example.test"});
    auto results = deliver(world, envelope(world, {"demo@example.test", "all@example.test", "demo+x@example.test"}));
    ASSERT_TRUE(results);
    ASSERT_EQ(results->size(), 3u);
    for (auto& result : *results) EXPECT_TRUE(result.stored());
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_EQ(world.inbox("other@example.test").size(), 1u);
    EXPECT_NE(world.inbox("demo@example.test").at(0).find("Delivered-To: demo@example.test\r\n"), std::string::npos);
    EXPECT_NE(world.inbox("other@example.test").at(0).find("Delivered-To: all@example.test\r\n"), std::string::npos);
}

TEST(Delivery, TellsNoRecipientOfTheOthers) {
    World world;
    world.add("other@example.test");
    ASSERT_TRUE(deliver(world, envelope(world, {"demo@example.test", "other@example.test"})));
    EXPECT_EQ(world.inbox("demo@example.test").at(0).find("other"), std::string::npos);
    EXPECT_EQ(world.inbox("other@example.test").at(0).find("demo"), std::string::npos);
}

TEST(Delivery, ReportsAFailedAccountToEveryRecipientThatLeadsToIt) {
    World world;
    world.add("other@example.test");
    world.alias("all@example.test", {"demo@example.test", "other@example.test"});
    auto to = envelope(world, {"demo@example.test", "other@example.test", "all@example.test"});
    world.engine.fail_commits_after(1, Errc::no_space);
    auto results = deliver(world, to);
    world.engine.fail_next_commits(0, Errc::no_space);
    ASSERT_TRUE(results);
    ASSERT_EQ(results->size(), 3u);
    EXPECT_TRUE((*results)[0].stored());
    for (std::size_t i : {1u, 2u}) {
        EXPECT_EQ((*results)[i].kind, Kind::deferred) << i;
        EXPECT_EQ((*results)[i].cause, Errc::no_space) << i;
    }
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_EQ(world.inbox("other@example.test").size(), 0u);
}

TEST(Delivery, RefusesARecipientThatLeadsNowhere) {
    World world;
    auto results = deliver(world, envelope(world, {"nobody@example.test", "demo@example.test"}));
    ASSERT_TRUE(results);
    EXPECT_EQ((*results)[0].kind, Kind::gone);
    EXPECT_TRUE((*results)[1].stored());
}

TEST(Delivery, StoresNothingWhenDroppedBeforeItsEnd) {
    World world;
    auto before = world.engine.commits();
    {
        auto incoming = world.delivery.begin(std::make_shared<Envelope>(envelope(world, {"demo@example.test"})), 0);
        ASSERT_TRUE(run(incoming->write(kMessage)));
    }
    EXPECT_EQ(world.engine.commits(), before);
    EXPECT_TRUE(world.inbox("demo@example.test").empty());
}

TEST(Delivery, EndsALoopByItsHopCount) {
    World world({.hops = 3});
    struct Case {
        int hops;
        bool stored;
    };
    for (auto [hops, stored] : {Case{3, true}, {4, false}}) {
        std::string message;
        for (int i = 0; i < hops; ++i) message += "Received: by relay.example; date\r\n";
        auto results = deliver(world, envelope(world, {"demo@example.test"}), message + kMessage);
        EXPECT_EQ(results.has_value(), stored) << hops;
        if (!results) EXPECT_EQ(results.error().kind, Kind::loop);
    }
}

TEST(Delivery, RefusesHeadersOverTheLimits) {
    World world({.header_octets = 1000, .header_fields = 10});
    std::string fields, long_field = "X: " + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 11; ++i) fields += "X: y\r\n";
    for (const auto& header : {fields, long_field}) {
        auto results = deliver(world, envelope(world, {"demo@example.test"}), header + kMessage);
        ASSERT_FALSE(results);
        EXPECT_EQ(results.error().kind, Kind::bad_header);
    }
    // The body is free.
    EXPECT_TRUE(deliver(world, envelope(world, {"demo@example.test"}), kMessage + long_field + fields));
}

TEST(Delivery, RefusesWhatIsTooLargeByItsUnstuffedSize) {
    World world({.message_octets = 100});
    auto to = envelope(world, {"demo@example.test"});
    std::string stuffed;
    for (int i = 0; i < 33; ++i) stuffed += "..\r\n";
    auto incoming = world.delivery.begin(std::make_shared<Envelope>(to), 0);
    ASSERT_TRUE(run(incoming->write(stuffed)));
    EXPECT_TRUE(run(incoming->finish({99, stuffed.size()})));

    incoming = world.delivery.begin(std::make_shared<Envelope>(to), 0);
    ASSERT_TRUE(run(incoming->write(std::string(99, 'x') + "\r\n")));
    auto finished = run(incoming->finish({101, 101}));
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().kind, Kind::too_large);

    incoming = world.delivery.begin(std::make_shared<Envelope>(to), 0);
    auto written = run(incoming->write(std::string(200, 'x')));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().kind, Kind::too_large);
}

TEST(Delivery, HasAllCommitsOfAMessageUnderWayAtOnce) {
    World world;
    std::vector<std::string> addresses;
    for (int i = 0; i < 100; ++i) {
        addresses.push_back("user" + std::to_string(i) + "@example.test");
        world.add(addresses.back());
    }
    auto to = envelope(world, addresses);
    auto before = world.engine.commits();
    // One account after the other would read the second's state only after the first's commit.
    world.engine.commits_wait(2000);
    auto reads_before = world.engine.reads();
    std::uint64_t started = 0, reads_before_first_commit = 0;
    world.engine.on_commit([&](engine::PartitionId, const engine::Batch&) {
        if (started++ == 0) reads_before_first_commit = world.engine.reads() - reads_before;
    });
    auto results = deliver(world, to);
    world.engine.on_commit({});
    ASSERT_TRUE(results);
    for (auto& result : *results) EXPECT_TRUE(result.stored());
    EXPECT_EQ(started, 100u);
    EXPECT_EQ(world.engine.commits() - before, 100u);
    EXPECT_GE(reads_before_first_commit, 100u);
    for (const auto& address : addresses) {
        ASSERT_EQ(world.inbox(address).size(), 1u) << address;
        EXPECT_EQ(content_of(world.inbox(address)[0]), kMessage);
    }
}

TEST(Delivery, WhatAnAliasSendsElsewhereGoesToTheQueueWithItsSender) {
    World world;
    queue::Queue queue(world.engine, world.clock, {});
    Delivery delivery(world.directory, world.store, world.quotas, world.clock, {}, &queue);
    world.alias("team@example.test", {"demo@example.test", "bob@far.example", "eve@far.example"});
    auto resolution = run(delivery.resolve({"team", "example.test"}));
    ASSERT_TRUE(resolution);
    auto to = std::make_shared<Envelope>();
    to->reverse_path = "sender@remote.example";
    to->received.id = "0123456789ab";
    to->add("team@example.test", *resolution, "", {{}, {.given = true, .never = true}, "rfc822;x@y.example"});
    auto incoming = delivery.begin(to, 0);
    const std::string text = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n..dot\r\n";
    ASSERT_TRUE(run(incoming->write(text)));
    auto verdicts = run(incoming->finish({text.size() - 1, text.size()}));
    ASSERT_TRUE(verdicts);
    EXPECT_TRUE(verdicts->front().stored());
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
    auto item = run(queue.item("0123456789ab"));
    ASSERT_TRUE(item);
    EXPECT_EQ(item->message.sender, "sender@remote.example");
    EXPECT_TRUE(item->message.utf8 && item->message.eight_bit);
    ASSERT_EQ(item->parts.size(), 1u) << "both are at one domain";
    ASSERT_EQ(item->parts[0].recipients.size(), 2u);
    EXPECT_EQ(item->parts[0].recipients[0].address, "bob@far.example");
    EXPECT_TRUE(item->parts[0].recipients[1].notify.never);
    EXPECT_EQ(item->message.octets, mail::format_received(to->received).size() + text.size() - 1);
}

TEST(Delivery, IfTheQueueFailsNobodyHasTheMessage) {
    World world;
    queue::Queue queue(world.engine, world.clock, {});
    Delivery delivery(world.directory, world.store, world.quotas, world.clock, {}, &queue);
    auto to = std::make_shared<Envelope>();
    to->received.id = "0123456789ab";
    to->add("demo@example.test", *run(delivery.resolve({"demo", "example.test"})), "");
    to->add_away("bob@far.example", {.address = "bob@far.example"});
    auto incoming = delivery.begin(to, 0);
    ASSERT_TRUE(run(incoming->write(kMessage)));
    world.engine.fail_next_commits(1, Errc::no_space);
    auto verdicts = run(incoming->finish({kMessage.size(), kMessage.size()}));
    ASSERT_TRUE(verdicts);
    for (const auto& verdict : *verdicts) EXPECT_EQ(verdict.cause, Errc::no_space);
    EXPECT_TRUE(world.inbox("demo@example.test").empty());
}

}  // namespace
}  // namespace poplar::delivery
