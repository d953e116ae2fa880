// Commands after the login: what each says, and what QUIT leaves.
#include <set>

#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/pop3/world.h"
#include "tests/support/set_settings.h"

namespace {

using namespace poplar;
using test::kLogin;

/// Three messages: 1 of 30 octets, 2 with a stuffed line, 3 with a body of three lines.
class Pop3Transaction : public test::Pop3World {
protected:
    const std::string one_ = "Subject: one\r\n\r\nHello, Fred!\r\n";
    const std::string two_ = "Subject: two\r\n\r\n..leading dot\r\n";
    const std::string three_ = "Subject: three\r\nX: y\r\n\r\n1\r\n2\r\n3\r\n";

    void fill() {
        append(one_, "uid-one");
        append(two_, "uid-two", 1);
        append(three_, "uid-three");
    }
    std::string totals() const { return fmt::format("+OK 3 {}\r\n", one_.size() + two_.size() - 1 + three_.size()); }
};

TEST_F(Pop3Transaction, TellsExactSizes) {
    fill();
    auto sizes = fmt::format("1 {}\r\n2 {}\r\n3 {}\r\n", one_.size(), two_.size() - 1, three_.size());
    EXPECT_EQ(say_logged_in("STAT\r\nLIST\r\nLIST 2\r\nRETR 2\r\n"),
              totals() + "+OK number and octets follow\r\n" + sizes + ".\r\n" +
                  fmt::format("+OK 2 {0}\r\n+OK {0} octets\r\n", two_.size() - 1) + two_ + ".\r\n");
}

TEST_F(Pop3Transaction, ListsUniqueIds) {
    fill();
    EXPECT_EQ(say_logged_in("UIDL\r\nUIDL 3\r\n"),
              "+OK number and unique-id follow\r\n1 uid-one\r\n2 uid-two\r\n3 uid-three\r\n.\r\n+OK 3 uid-three\r\n");
}

TEST_F(Pop3Transaction, AnEmptyMaildropListsNothing) {
    EXPECT_EQ(say_logged_in("STAT\r\nLIST\r\nUIDL\r\nLIST 1\r\n"),
              "+OK 0 0\r\n+OK number and octets follow\r\n.\r\n+OK number and unique-id follow\r\n.\r\n"
              "-ERR no such message\r\n");
}

TEST_F(Pop3Transaction, TopCountsLinesOfTheBodyOnly) {
    fill();
    std::string head = "Subject: three\r\nX: y\r\n\r\n";
    struct Case {
        std::string_view lines;
        std::string expected;
    };
    for (const auto& [lines, expected] : {Case{"0", head}, Case{"1", head + "1\r\n"}, Case{"3", three_},
                                          Case{"4", three_}, Case{"99999999999999999999", three_}})
        EXPECT_EQ(say_logged_in(fmt::format("TOP 3 {}\r\n", lines)),
                  "+OK top of message follows\r\n" + expected + ".\r\n");
    EXPECT_EQ(say_logged_in("TOP 2 1\r\n"), "+OK top of message follows\r\n" + two_ + ".\r\n");
}

TEST_F(Pop3Transaction, ASessionThatWaitsForACommandHoldsNothingOfTheStoreOpen) {
    fill();
    std::uint64_t waiting = 0;
    auto look = [&]() -> Task<> {
        waiting = engine_.rests();
        co_return;
    };
    // Looks when the session waits for the fourth line, after USER, PASS and RETR.
    talk({.flights = {std::string(kLogin) + "RETR 1\r\n", "QUIT\r\n"}}, 4, look);
    EXPECT_EQ(waiting, 1u);
}

TEST_F(Pop3Transaction, NumbersThatAreNoMessagesAreErrors) {
    fill();
    for (std::string_view number : {"0", "4", "4294967295"})
        for (std::string_view command : {"LIST {}", "UIDL {}", "RETR {}", "DELE {}", "TOP {} 1"})
            EXPECT_EQ(say_logged_in(fmt::format(fmt::runtime(command), number) + "\r\n"), "-ERR no such message\r\n")
                << command << number;
}

TEST_F(Pop3Transaction, ADeletedMessageIsGoneForTheSession) {
    fill();
    auto left = one_.size() + three_.size();
    EXPECT_EQ(
        say_logged_in("DELE 2\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 2\r\nLIST 2\r\nUIDL 2\r\nTOP 2 0\r\nDELE 2\r\nSTAT\r\n"),
        fmt::format("+OK deleted\r\n+OK 2 {0}\r\n"
                    "+OK number and octets follow\r\n1 {1}\r\n3 {2}\r\n.\r\n"
                    "+OK number and unique-id follow\r\n1 uid-one\r\n3 uid-three\r\n.\r\n"
                    "-ERR the message is deleted\r\n-ERR the message is deleted\r\n-ERR the message is deleted\r\n"
                    "-ERR the message is deleted\r\n-ERR the message is deleted\r\n+OK 2 {0}\r\n",
                    left, one_.size(), three_.size()));
}

TEST_F(Pop3Transaction, RsetTakesDeletionsBack) {
    fill();
    EXPECT_EQ(say_logged_in("DELE 1\r\nDELE 3\r\nRSET\r\nSTAT\r\nDELE 1\r\nRSET\r\nQUIT\r\n"),
              "+OK deleted\r\n+OK deleted\r\n+OK nothing is deleted\r\n" + totals() +
                  "+OK deleted\r\n+OK nothing is deleted\r\n+OK goodbye\r\n");
    EXPECT_EQ(stored_messages(), 3u);
}

TEST_F(Pop3Transaction, QuitDeletesInOneCommit) {
    fill();
    auto before = engine_.commits();
    EXPECT_EQ(say_logged_in("DELE 1\r\nDELE 3\r\nQUIT\r\n"),
              "+OK deleted\r\n+OK deleted\r\n+OK goodbye, messages deleted: 2\r\n");
    EXPECT_EQ(engine_.commits(), before + 1);
    EXPECT_EQ(say_logged_in("UIDL\r\n"), "+OK number and unique-id follow\r\n1 uid-two\r\n.\r\n");
}

// RFC 2449 s6.7.
TEST_F(Pop3Transaction, WithExpireZeroQuitTakesWhatWasRetrieved) {
    fill();
    options_.policy.expire_days = 0;
    for (auto end : {Errc::closed, Errc::timed_out})
        talk({.flights = {std::string(kLogin) + "RETR 1\r\n"}, .end = end});
    EXPECT_EQ(stored_messages(), 3u) << "only QUIT enters the UPDATE state";
    EXPECT_TRUE(say_logged_in("LIST\r\nUIDL\r\nTOP 1 9\r\nQUIT\r\n").ends_with("+OK goodbye\r\n"));
    EXPECT_TRUE(say_logged_in("RETR 1\r\nRSET\r\nRETR 1\r\nDELE 3\r\nQUIT\r\n")
                    .ends_with("+OK goodbye, messages deleted: 2\r\n"));
    EXPECT_TRUE(say_logged_in("UIDL\r\n").contains("1 uid-two\r\n.\r\n"));
    EXPECT_EQ(test::run(store_.totals(fred_))->retained_messages, 2u) << "as every deleted message";
}

TEST_F(Pop3Transaction, MarksWhatItRetrievedAsSeenOnlyIfThatIsWanted) {
    fill();
    const auto seen = [&] { return test::run(store_.mailbox(fred_, "INBOX"))->totals.seen; };
    say_logged_in("RETR 1\r\nQUIT\r\n");
    EXPECT_EQ(seen(), 0u);
    options_.marks_seen = true;
    say_logged_in("TOP 1 0\r\nLIST\r\nUIDL\r\nQUIT\r\n");
    EXPECT_EQ(seen(), 0u);
    say_logged_in("RETR 1\r\nRETR 3\r\nRETR 9\r\nRETR 1\r\nDELE 3\r\nQUIT\r\n");
    EXPECT_EQ(seen(), 1u) << "what is deleted is marked nowhere";
    talk({.flights = {std::string(kLogin) + "RETR 2\r\n"}, .end = Errc::closed});
    EXPECT_EQ(seen(), 2u) << "however the session ends";
}

TEST_F(Pop3Transaction, AnAccountsOwnExpireTakesThePlaceOfTheServers) {
    fill();
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.expire_days = 0})));
    EXPECT_TRUE(say_logged_in("RETR 1\r\nQUIT\r\n").ends_with("+OK goodbye, messages deleted: 1\r\n"));
    options_.policy.expire_days = 0;
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.expire_days = 7})));
    EXPECT_TRUE(say_logged_in("RETR 1\r\nQUIT\r\n").ends_with("+OK goodbye\r\n"));
}

TEST_F(Pop3Transaction, TotalsBeyondFourGibibytesAreExact) {
    // No message is that large; only the counters say so.
    append(one_, "uid-one");
    auto message = *test::run(store_.find(fred_, "uid-one"));
    auto key = mailstore::keys::account();
    auto record = *mailstore::decode_account(*test::run(engine_.get(fred_, key)));
    record.inbox.totals.octets = 5'000'000'000;
    message.octets = 5'000'000'000;
    engine::Batch batch;
    batch.put(key, mailstore::encode(record));
    batch.put(mailstore::keys::message(mailstore::kInbox, message.order), mailstore::encode(message));
    ASSERT_TRUE(test::run(engine_.commit(fred_, std::move(batch))));
    EXPECT_EQ(say(std::string(kLogin) + "STAT\r\nLIST 1\r\nDELE 1\r\nSTAT\r\n"),
              "+OK send the password\r\n+OK 1 messages (5000000000 octets)\r\n+OK 1 5000000000\r\n"
              "+OK 1 5000000000\r\n+OK deleted\r\n+OK 0 0\r\n");
}

TEST_F(Pop3Transaction, IdenticalMessagesHaveDifferentUniqueIds) {
    for (int i = 0; i < 3; ++i) append(one_);
    auto list = say_logged_in("UIDL 1\r\nUIDL 2\r\nUIDL 3\r\n");
    std::set<std::string> ids;
    for (std::size_t at = 0; (at = list.find("+OK ", at)) != list.npos; at += 6)
        ids.insert(list.substr(at + 6, list.find("\r\n", at) - at - 6));
    EXPECT_EQ(ids.size(), 3u) << list;
}

// RFC 1939 s4: the maildrop is free for the next session however one ends.
TEST_F(Pop3Transaction, TheMaildropIsFreeTheInstantTheSessionEndsInWhateverWay) {
    fill();
    for (std::string_view last : {"QUIT\r\n", "DELE 1\r\nQUIT\r\n", "RETR 1\r\n", "DEL", "BOGUS\r\n", ""})
        for (auto end : {Errc::closed, Errc::timed_out, Errc::cancelled}) {
            options_.bad_commands = 1;
            talk({.flights = {std::string(kLogin) + std::string(last)}, .end = end});
            EXPECT_TRUE(test::run(store_.open_maildrop(fred_))) << last;
        }
}

TEST_F(Pop3Transaction, OfTwoLoginsAtOnceOneComesIn) {
    fill();
    auto second = [this]() -> Task<> {
        // While the first session reads its next command, and again while its QUIT is under way.
        auto transcript = std::make_shared<test::Transcript>();
        auto connection =
            std::make_unique<test::ScriptConnection>(Script{.flights = {std::string(kLogin)}}, transcript);
        co_await pop3::serve(std::move(connection), services_, options_, "second");
        EXPECT_TRUE(transcript->output.contains("-ERR [IN-USE] ")) << transcript->output;
    };
    for (int line : {3, 4, 5}) {
        auto output =
            talk({.flights = {std::string(kLogin) + "STAT\r\nDELE 1\r\nRSET\r\nQUIT\r\n"}}, line, second).output;
        EXPECT_TRUE(output.ends_with("+OK goodbye\r\n")) << output;
    }
}

// Each login succeeds or is told [IN-USE]. If two were in at once, both would delete the same message.
TEST_F(Pop3Transaction, LoginsThatRaceAreInOneAtATime) {
    constexpr std::size_t kLogins = 24;
    for (std::size_t i = 0; i < kLogins; ++i) append(one_);
    asio::io_context context(1);
    std::vector<std::shared_ptr<test::Transcript>> transcripts;
    for (std::size_t i = 0; i < kLogins; ++i) {
        transcripts.push_back(std::make_shared<test::Transcript>());
        Script script;
        for (std::size_t n = 0; n < i % 4; ++n) script.flights.push_back("CAPA\r\n");  // so they come in any order
        script.flights.insert(script.flights.end(), {std::string(kLogin), "DELE 1\r\n", "QUIT\r\n"});
        auto connection = std::make_unique<test::ScriptConnection>(std::move(script), transcripts.back());
        asio::co_spawn(context, pop3::serve(std::move(connection), services_, options_, "racing"), asio::detached);
    }
    context.run();
    std::size_t inside = 0;
    for (const auto& transcript : transcripts) {
        const auto& output = transcript->output;
        bool in = output.contains("messages ("), in_use = output.contains("-ERR [IN-USE] ");
        EXPECT_NE(in, in_use) << output;
        EXPECT_EQ(in, output.ends_with("+OK goodbye, messages deleted: 1\r\n")) << output;
        inside += in;
    }
    EXPECT_GE(inside, 1u);
    EXPECT_EQ(stored_messages(), kLogins - inside);
}

TEST_F(Pop3Transaction, OnlyQuitDeletes) {
    fill();
    for (auto end : {Errc::closed, Errc::timed_out, Errc::cancelled}) {
        auto transcript = talk({.flights = {std::string(kLogin) + "DELE 1\r\nDELE 2\r\n"}, .end = end});
        EXPECT_EQ(transcript.output.ends_with("shutting down, try again later\r\n"), end == Errc::cancelled);
        EXPECT_EQ(stored_messages(), 3u);
    }
    options_.bad_commands = 1;
    EXPECT_TRUE(say_logged_in("DELE 1\r\nBOGUS\r\nQUIT\r\n").ends_with("goodbye\r\n"));
    EXPECT_EQ(stored_messages(), 3u);
}

TEST_F(Pop3Transaction, AQuitThatCannotBeMadeDurableDeletesNothingAndFreesTheMaildrop) {
    fill();
    for (auto code : {Errc::io, Errc::no_space}) {
        engine_.fail_commits_after(0, code);
        EXPECT_EQ(say_logged_in("DELE 1\r\nQUIT\r\n"),
                  "+OK deleted\r\n-ERR [SYS/TEMP] the deletions could not be saved, try again later\r\n");
        engine_.fail_next_commits(0, code);
        EXPECT_EQ(stored_messages(), 3u);
        EXPECT_EQ(say_logged_in("STAT\r\n"), totals());
    }
}

TEST_F(Pop3Transaction, WhatArrivesLaterIsNotInTheSession) {
    fill();
    auto deliver = [this]() -> Task<> {
        auto writer = engine_.write_body();
        (void)co_await writer->write(one_);
        auto staged = co_await writer->finish();
        mailstore::NewMessage message{"", {*staged, one_.size()}, "uid-late"};
        EXPECT_TRUE(co_await store_.append(fred_, std::move(message)));
    };
    auto output = talk({.flights = {std::string(kLogin) + "UIDL\r\nSTAT\r\nQUIT\r\n"}}, 3, deliver).output;
    EXPECT_TRUE(output.contains("uid-three\r\n.\r\n" + totals())) << output;
    EXPECT_EQ(stored_messages(), 4u);
}

TEST_F(Pop3Transaction, AMaildropThatCannotBeReadNowCanBeReadLater) {
    fill();
    auto fail_once = [this]() -> Task<> {
        engine_.fail_next_reads(1, Errc::io);
        co_return;
    };
    auto output = talk({.flights = {std::string(kLogin) + "LIST 1\r\nLIST 1\r\nQUIT\r\n"}}, 3, fail_once).output;
    EXPECT_TRUE(output.ends_with(
        fmt::format("-ERR [SYS/TEMP] the maildrop can't be read\r\n+OK 1 {}\r\n+OK goodbye\r\n", one_.size())))
        << output;
}

TEST_F(Pop3Transaction, DamageIsAnErrorAndNeverHalfAMessage) {
    fill();
    auto large = "Subject: large\r\n\r\n" + std::string(3000, 'x') + "\r\n";
    for (int i = 0; i < 100; ++i) large += std::string(3000, 'y') + "\r\n";
    auto message = append(large, "uid-large");
    engine_.damage_body(fred_, message.body, 250'000);
    EXPECT_EQ(
        say_logged_in("RETR 4\r\nRETR 1\r\n"),
        fmt::format("-ERR [SYS/PERM] the message can't be read\r\n+OK {} octets\r\n", one_.size()) + one_ + ".\r\n");
    EXPECT_EQ(say_logged_in("TOP 4 0\r\n"), "+OK top of message follows\r\nSubject: large\r\n\r\n.\r\n")
        << "what TOP needs is not damaged";
    EXPECT_EQ(say_logged_in("TOP 4 1000\r\nNOOP\r\n"),
              "-ERR [SYS/PERM] the message can't be read\r\n+OK still here\r\n");
    engine_.damage_body(fred_, message.body, 70'000);  // behind what a short TOP looks at
    EXPECT_EQ(say_logged_in("TOP 4 25\r\n"), "-ERR [SYS/PERM] the message can't be read\r\n");
}

TEST_F(Pop3Transaction, RetrievesLargeMessagesWhole) {
    std::string large = "Subject: large\r\n\r\n";
    for (int i = 0; large.size() < 1'000'000; ++i) large += fmt::format("line {}\r\n", i);
    append(large, "uid-large");
    EXPECT_TRUE(say_logged_in("RETR 1\r\n") == fmt::format("+OK {} octets\r\n{}.\r\n", large.size(), large));
}

TEST_F(Pop3Transaction, AnswersInTheOrderAskedHoweverTheInputIsCut) {
    fill();
    auto input = std::string(kLogin) + "STAT\r\nTOP 1 0\r\nDELE 1\r\nUIDL\r\nRSET\r\nNOOP\r\nQUIT\r\n";
    auto whole = talk({.flights = {input}}).output;
    for (std::size_t cut : {1, 2, 3, 7, 20}) EXPECT_EQ(talk({.flights = {input}, .cut = cut}).output, whole) << cut;
}

TEST_F(Pop3Transaction, ListsManyMessagesInOrder) {
    std::string expected = "+OK number and unique-id follow\r\n";
    for (int i = 1; i <= 3000; ++i) {
        append("S: x\r\n\r\n", fmt::format("many-{}", i));
        if (i != 1500) expected += fmt::format("{0} many-{0}\r\n", i);
    }
    EXPECT_TRUE(say_logged_in("DELE 1500\r\nUIDL\r\n") == "+OK deleted\r\n" + expected + ".\r\n");
}

TEST_F(Pop3Transaction, LoginCommandsAreOver) {
    for (std::string_view command : {"USER fred", "PASS x", "AUTH PLAIN", "STLS"})
        EXPECT_EQ(say_logged_in(std::string(command) + "\r\n"), "-ERR you are logged in already\r\n") << command;
}

TEST_F(Pop3Transaction, AListingFromTheCacheFollowsEveryChangeOfTheMaildrop) {
    for (int n = 1; n <= 3; ++n) append("x\r\n", "uid-" + std::to_string(n));
    const std::string three = "+OK number and unique-id follow\r\n1 uid-1\r\n2 uid-2\r\n3 uid-3\r\n.\r\n";
    EXPECT_EQ(say_logged_in("UIDL\r\n"), three);
    EXPECT_EQ(say_logged_in("UIDL\r\n"), three) << "from the cache";
    EXPECT_EQ(
        say_logged_in("DELE 2\r\nUIDL\r\nRSET\r\nUIDL\r\n"),
        "+OK deleted\r\n+OK number and unique-id follow\r\n1 uid-1\r\n3 uid-3\r\n.\r\n+OK nothing is deleted\r\n" +
            three);
    append("y\r\n", "uid-4");
    EXPECT_TRUE(say_logged_in("UIDL\r\n").ends_with("4 uid-4\r\n.\r\n"));
    say_logged_in("DELE 1\r\nQUIT\r\n");
    append("z\r\n", "uid-5");
    EXPECT_EQ(say_logged_in("UIDL\r\n"),
              "+OK number and unique-id follow\r\n1 uid-2\r\n2 uid-3\r\n3 uid-4\r\n4 uid-5\r\n.\r\n");
    EXPECT_TRUE(test::run(store_.restore(fred_, "uid-1")));
    EXPECT_EQ(say_logged_in("LIST\r\n"), "+OK number and octets follow\r\n1 3\r\n2 3\r\n3 3\r\n4 3\r\n5 3\r\n.\r\n");
}

}  // namespace
