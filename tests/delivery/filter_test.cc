// Filters at a delivery: what a script asks for is one commit, and nothing that goes wrong loses mail.
#include <gtest/gtest.h>

#include "delivery/filter.h"
#include "tests/delivery/filter_fixture.h"

namespace poplar::delivery {
namespace {

using test::FilterTest;
using test::run;

constexpr auto kLetter = "From: ann@elsewhere.test\r\nTo: demo@example.test\r\nSubject: hi\r\n\r\n.dots\r\n..more\r\n";

TEST_F(FilterTest, FilesCopiesWithTheirFlagsInOneCommit) {
    activate(R"(require ["fileinto", "copy", "mailbox", "imap4flags"];
        fileinto :copy :create :flags ["\\Seen", "work"] "A/B"; fileinto :copy :create "C"; setflag "\\Flagged";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    ASSERT_EQ(in("A/B").size(), 1u);
    EXPECT_TRUE(in("A/B")[0].flags.has(mailstore::Flag::seen));
    EXPECT_EQ(in("C").size(), 1u);
    ASSERT_EQ(in("INBOX").size(), 1u);
    EXPECT_TRUE(in("INBOX")[0].flags.has(mailstore::Flag::flagged));
    EXPECT_EQ(in("A/B")[0].added, in("INBOX")[0].added) << "one change";
    EXPECT_EQ(in("C")[0].added, in("INBOX")[0].added);
}

TEST_F(FilterTest, PutsIntoInboxWhatHasNoMailbox) {
    activate(R"(require "fileinto"; fileinto "None"; fileinto "INBOX";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u) << "once";
    EXPECT_TRUE(in("None").empty());
}

TEST_F(FilterTest, AnIncludedScriptSeesTheBody) {
    const auto put = run(world_.delivery.scripts().put(
        account_, "rules", R"(require "body"; if not body :raw :contains "needle" { discard; })"));
    ASSERT_TRUE(put) << put.error().detail();
    activate(R"(require "include"; include "rules";)");
    std::string letter = "From: ann@elsewhere.test\r\n\r\n";
    for (int line = 0; line < 5000; ++line) letter += "Hay, and more hay, and nothing else but hay.\r\n";
    EXPECT_TRUE(deliver(letter + "The needle.\r\n").front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u) << "it lies 200 KB behind the header";
    EXPECT_TRUE(deliver(letter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u);
}

TEST_F(FilterTest, ChangesHeadersAndNoOctetOfTheBody) {
    activate(R"(require ["editheader", "fileinto", "mailbox"]; addheader "X-A" "b"; deleteheader "Subject";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    ASSERT_EQ(in("INBOX").size(), 1u);
    const auto text = world_.text_of(account_, in("INBOX")[0]);
    EXPECT_TRUE(text.starts_with("X-A: b\r\nReturn-Path: <ann@elsewhere.test>\r\n")) << text;
    EXPECT_EQ(text.find("Subject"), std::string::npos);
    EXPECT_TRUE(text.ends_with("\r\n\r\n..dots\r\n...more\r\n")) << text;
    EXPECT_EQ(in("INBOX")[0].octets + 2, in("INBOX")[0].wire_octets);
}

TEST_F(FilterTest, RefusesOnlyWhereTheSenderCanBeToldSo) {
    world_.add("other@example.test");
    activate(R"(require "ereject"; ereject "No.
thanks";)");
    const auto alone = deliver(kLetter, "ESMTP");
    EXPECT_EQ(alone.front().kind, Verdict::Kind::rejected);
    EXPECT_EQ(alone.front().text, "No.\nthanks");
    const auto by_lmtp = deliver(kLetter, "LMTP", {"other@example.test"});
    EXPECT_EQ(by_lmtp[0].kind, Verdict::Kind::rejected);
    EXPECT_TRUE(by_lmtp[1].stored());
    EXPECT_TRUE(in("INBOX").empty());
    for (const auto& verdict : deliver(kLetter, "ESMTP", {"other@example.test"})) EXPECT_TRUE(verdict.stored());
    EXPECT_EQ(in("INBOX").size(), 1u) << "it can't be refused for one of two, and so it is kept";
    activate(R"(require "reject"; reject "Grüße";)");
    EXPECT_EQ(deliver(kLetter).front().text, "Message refused") << "RFC 5429 s2.1.1: ASCII alone";
}

TEST_F(FilterTest, KeepsTheMailWhenAScriptFails) {
    activate(R"(require ["include", "editheader", "fileinto"]; addheader "X-A" "b"; fileinto "None"; include "gone";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    ASSERT_EQ(in("INBOX").size(), 2u);
    EXPECT_EQ(world_.text_of(account_, in("INBOX")[0]).find("X-A"), std::string::npos);
    const auto notice = world_.text_of(account_, in("INBOX")[1]);
    EXPECT_NE(notice.find("Subject: Your mail filter failed\r\n"), std::string::npos) << notice;
    EXPECT_NE(notice.find("there is no script \"gone\""), std::string::npos) << notice;
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 3u) << "told once a day at most";
    world_.clock.advance(std::chrono::days(1));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 5u);
}

TEST_F(FilterTest, RemembersDuplicatesWithTheMessage) {
    activate(R"(require "duplicate"; if duplicate :uniqueid "x" { discard; })");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u);
    world_.clock.advance(std::chrono::days(8));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 2u);
}

TEST_F(FilterTest, StoresNothingAndAnswersSoWhenTheCommitFails) {
    activate(R"(require ["fileinto", "copy", "mailbox"]; fileinto :copy :create "A";)");
    world_.engine.fail_next_commits(1, Errc::io);
    EXPECT_EQ(deliver(kLetter).front().kind, Verdict::Kind::deferred);
    EXPECT_TRUE(in("INBOX").empty() && in("A").empty());
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u);
    EXPECT_EQ(in("A").size(), 1u);
}

TEST_F(FilterTest, RunsTheScriptThatIsActiveNow) {
    auto& scripts = world_.delivery.scripts();
    activate("discard;");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_TRUE(in("INBOX").empty());
    ASSERT_TRUE(run(scripts.put(account_, "main", "keep;")));
    deliver(kLetter);
    EXPECT_EQ(in("INBOX").size(), 1u);
    activate("discard;", "second");
    deliver(kLetter);
    EXPECT_EQ(in("INBOX").size(), 1u);
    ASSERT_TRUE(run(scripts.activate(account_, "")));
    deliver(kLetter);
    EXPECT_EQ(in("INBOX").size(), 2u);
}

TEST_F(FilterTest, RefusesScriptsThatCanNotRunHere) {
    auto& scripts = world_.delivery.scripts();
    for (const auto text : {"keep", "redirect \"a@b.test\";", "require \"vacation\"; vacation \"x\";",
                            "require \"enotify\"; notify \"mailto:a@b.test\";"}) {
        const auto put = run(scripts.put(account_, "bad", text));
        ASSERT_FALSE(put) << text;
        EXPECT_EQ(put.error().code(), Errc::invalid);
        EXPECT_TRUE(put.error().detail().starts_with("line 1, column ")) << put.error().detail();
    }
    EXPECT_FALSE(run(scripts.put(account_, "a/b", "keep;")));
    EXPECT_EQ(run(scripts.activate(account_, "bad")).error().code(), Errc::not_found);
    activate("keep;");
    EXPECT_EQ(run(scripts.remove(account_, "main")).error().code(), Errc::denied);
    EXPECT_EQ(run(scripts.list(account_))->size(), 1u);
}

/// A message for the account, by a delivery that has a queue.
Verdict forward(Delivery& delivery, directory::AccountId account, std::string text) {
    auto envelope = std::make_shared<Envelope>();
    envelope->reverse_path = "ann@elsewhere.test";
    envelope->received.with = "LMTP";
    envelope->add("demo@example.test", std::vector{account});
    auto incoming = delivery.begin(envelope, text.size());
    EXPECT_TRUE(run(incoming->write(text)));
    auto done = run(incoming->finish({text.size(), text.size()}));
    EXPECT_TRUE(done);
    return done ? done->front() : Verdict{.kind = Verdict::Kind::deferred};
}

TEST(FilterQueue, WhatOnlyGoesOnGoesOnOnceWhenItsSenderComesAgain) {
    test::World world;
    queue::Queue queue(world.engine, world.clock, {});
    Delivery delivery(world.directory, world.store, world.quotas, world.clock, {}, &queue);
    const auto account = run(world.directory.find_account("demo@example.test"))->id;
    ASSERT_TRUE(run(delivery.scripts().put(account, "main", "redirect \"bob@far.example\";")));
    ASSERT_TRUE(run(delivery.scripts().activate(account, "main")));
    const auto waiting = [&] { return run(queue.list("", 100, false))->size(); };
    const std::string letter = "Subject: hi\r\n\r\nText.\r\n";
    world.engine.fail_commits_after(1, Errc::io);  // the queue's succeeds
    EXPECT_FALSE(forward(delivery, account, letter).stored());
    EXPECT_EQ(waiting(), 1u);
    world.engine.fail_next_commits(0, Errc::io);
    EXPECT_TRUE(forward(delivery, account, letter).stored());
    EXPECT_EQ(waiting(), 1u) << "the queue had it already";
    EXPECT_TRUE(forward(delivery, account, letter).stored());
    EXPECT_EQ(waiting(), 2u) << "the same octets once more, after a delivery that came to its end";
    EXPECT_TRUE(world.inbox("demo@example.test").empty());
}

}  // namespace
}  // namespace poplar::delivery
