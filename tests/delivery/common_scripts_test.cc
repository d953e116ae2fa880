// The administrator's scripts around those of accounts: their order, what each sees, and what fails.
#include "delivery/common_scripts.h"

#include <gtest/gtest.h>

#include "delivery/inspector.h"
#include "tests/delivery/filter_fixture.h"

namespace poplar::delivery {
namespace {

using test::run;

/// Gives every message the same score.
class Scores final : public Inspector {
public:
    explicit Scores(unsigned percent) : percent_(percent) {}
    Task<Judgement> judge(std::shared_ptr<const Envelope>, std::unique_ptr<engine::BodyReader>,
                          std::uint64_t) override {
        Judgement judgement;
        judgement.spam_percent = percent_;
        co_return judgement;
    }

private:
    unsigned percent_;
};

class CommonScriptsTest : public test::FilterTest {
protected:
    CommonScripts& common() { return *world_.delivery.common_scripts(); }
    void put(CommonPlace place, std::string name, std::string text) {
        const auto done = run(common().put(place, std::move(name), std::move(text)));
        ASSERT_TRUE(done) << done.error().detail();
    }
    std::vector<std::string> flags_in(std::string mailbox) {
        auto found = run(world_.store.mailbox(account_, mailbox));
        if (!found) return {};
        auto names = run(world_.store.keywords(account_, found->id));
        return names ? *names : std::vector<std::string>();
    }
};

constexpr auto kLetter = "From: ann@elsewhere.test\r\nTo: demo@example.test\r\nSubject: hi\r\n\r\nText.\r\n";
constexpr auto kMarks = R"(require ["editheader", "variables"];
    if header :matches "X-Order" "*" { set "before" "${1} "; deleteheader "X-Order"; }
    addheader "X-Order" "${before}NAME";)";

std::string marks(std::string name) {
    std::string text(kMarks);
    return text.replace(text.find("NAME"), 4, name);
}

TEST_F(CommonScriptsTest, RunInOrderAndEachSeesWhatThoseBeforeItLeft) {
    put(CommonPlace::before, "all", marks("before-all"));
    put(CommonPlace::before, "example.test", marks("before-domain"));
    put(CommonPlace::after, "Example.Test", marks("after-domain"));
    put(CommonPlace::after, "all", marks("after-all"));
    put(CommonPlace::before, "other.test", "discard;");
    activate(marks("user"));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    ASSERT_EQ(in("INBOX").size(), 1u);
    const auto text = world_.text_of(account_, in("INBOX")[0]);
    EXPECT_TRUE(text.starts_with("X-Order: before-all before-domain user after-domain after-all\r\nReturn-Path:"))
        << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\nText.\r\n")) << text;
}

TEST_F(CommonScriptsTest, RunForAccountsWithoutAScriptToo) {
    put(CommonPlace::before, "all", R"(require ["fileinto", "mailbox"]; fileinto :create "B";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("B").size(), 1u);
    EXPECT_TRUE(in("INBOX").empty());
    ASSERT_TRUE(run(common().remove(CommonPlace::before, "all")));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u) << "one that is removed runs no more";
}

TEST_F(CommonScriptsTest, EndWhereOneTakesTheMessageAway) {
    struct Case {
        std::string before, user, after;
        std::size_t inbox, b, u, a;
    };
    const std::string file = R"(require ["fileinto", "mailbox", "copy"]; fileinto :create )";
    const std::vector<Case> cases = {
        {"keep;", file + "\"U\";", file + "\"A\";", 0, 0, 1, 0},
        {file + "\"B\";", file + "\"U\";", file + "\"A\";", 0, 1, 0, 0},
        {file + ":copy \"B\";", file + "\"U\";", "", 0, 1, 1, 0},
        {file + ":copy \"B\";", "keep;", file + "\"A\";", 0, 1, 0, 1},
        {"stop;", "stop;", file + ":copy \"A\";", 1, 0, 0, 1},
        {"", "discard;", file + "\"A\";", 0, 0, 0, 0},
        {"discard;", file + "\"U\";", "", 0, 0, 0, 0},
        {"keep;", "keep;", "discard;", 0, 0, 0, 0},
        {file + ":copy \"X\"; keep;", file + ":copy \"X\";", "", 1, 0, 0, 0},
    };
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto& one = cases[i];
        for (const auto* mailbox : {"INBOX", "B", "U", "A", "X"}) {
            std::vector<mailstore::Uid> uids;
            for (const auto& message : in(mailbox)) uids.push_back(message.uid());
            if (auto found = run(world_.store.mailbox(account_, mailbox)); found && !uids.empty())
                ASSERT_TRUE(run(world_.store.expunge(account_, found->id, uids, "test")));
        }
        put(CommonPlace::before, "all", one.before);
        put(CommonPlace::after, "all", one.after);
        activate(one.user);
        EXPECT_TRUE(deliver(kLetter).front().stored());
        EXPECT_EQ(in("INBOX").size(), one.inbox) << i;
        EXPECT_EQ(in("B").size(), one.b) << i;
        EXPECT_EQ(in("U").size(), one.u) << i;
        EXPECT_EQ(in("A").size(), one.a) << i;
    }
    EXPECT_EQ(in("X").size(), 1u) << "once, though two scripts file it there";
}

TEST_F(CommonScriptsTest, FlagsOfAllThatKeepComeTogether) {
    put(CommonPlace::before, "all", R"(require "imap4flags"; setflag "one";)");
    put(CommonPlace::after, "all", R"(require "imap4flags"; keep :flags ["three", "ONE"];)");
    activate(R"(require "imap4flags"; addflag "two";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(flags_in("INBOX").size(), 3u);
}

TEST_F(CommonScriptsTest, ARefusalFilesNothing) {
    put(CommonPlace::before, "all", R"(require ["fileinto", "mailbox", "copy"]; fileinto :create :copy "B";)");
    activate(R"(require "ereject"; ereject "no";)");
    EXPECT_EQ(deliver(kLetter).front().kind, Verdict::Kind::rejected);
    EXPECT_TRUE(in("B").empty());
}

TEST_F(CommonScriptsTest, OneThatFailsIsPassedOver) {
    put(CommonPlace::before, "all", R"(require ["fileinto", "include"]; fileinto "B"; include :global "gone";)");
    put(CommonPlace::after, "all", R"(require "include"; include :global "gone"; discard;)");
    activate(R"(require ["fileinto", "mailbox"]; fileinto :create "U";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("U").size(), 1u);
    EXPECT_TRUE(in("INBOX").empty()) << "its user is not told, because it is not the user's";
    activate("keep;");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u);
}

TEST_F(CommonScriptsTest, AUsersFailureKeepsTheMailAndNothingRunsBehindIt) {
    put(CommonPlace::before, "all", R"(require ["fileinto", "mailbox", "copy"]; fileinto :create :copy "B";)");
    put(CommonPlace::after, "all", "discard;");
    activate(R"(require "include"; include "gone";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("B").size(), 1u);
    EXPECT_EQ(in("INBOX").size(), 2u) << "the message and the notice";
}

TEST_F(CommonScriptsTest, TheLibraryIsThereForEveryScript) {
    put(CommonPlace::library, "lists", R"(require ["fileinto", "mailbox"]; fileinto :create "Lists";)");
    activate(R"(require "include"; include :global "lists"; include :optional :global "none";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("Lists").size(), 1u);
    put(CommonPlace::library, "lists", "discard;");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("Lists").size(), 1u) << "the new text holds at once";
    EXPECT_TRUE(in("INBOX").empty());
}

TEST_F(CommonScriptsTest, AreNamedAndChecked) {
    for (const auto* name : {"", "not a domain"}) {
        const auto done = run(common().put(CommonPlace::before, name, "keep;"));
        ASSERT_FALSE(done) << name;
        EXPECT_EQ(done.error().code(), Errc::invalid) << name;
    }
    EXPECT_EQ(run(common().put(CommonPlace::library, "a/b", "keep;")).error().code(), Errc::invalid);
    EXPECT_EQ(run(common().put(CommonPlace::library, "a", "keep")).error().code(), Errc::invalid);
    EXPECT_EQ(run(common().get(CommonPlace::library, "a")).error().code(), Errc::not_found);
    EXPECT_EQ(run(common().remove(CommonPlace::after, "all")).error().code(), Errc::not_found) << "it is built in";
    for (std::size_t i = 0; i < FilterOptions().scripts; ++i) put(CommonPlace::library, std::to_string(i), "keep;");
    EXPECT_EQ(run(common().put(CommonPlace::library, "more", "keep;")).error().code(), Errc::too_large);
    put(CommonPlace::library, "1", "stop;");
    EXPECT_EQ(*run(common().get(CommonPlace::library, "1")), "stop;");
    const auto all = run(common().list());
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), FilterOptions().scripts + 1);
    EXPECT_TRUE(all->back().built_in);
}

TEST_F(CommonScriptsTest, NothingIsReadWhereNoneIs) {
    EXPECT_FALSE(common().has_none(false)) << "nobody has looked yet";
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_TRUE(common().has_none(false));
    put(CommonPlace::library, "x", "keep;");
    EXPECT_TRUE(run(common().around("example.test", false))->before.empty());
    EXPECT_TRUE(common().has_none(false)) << "a library runs nothing by itself";
}

TEST_F(CommonScriptsTest, JunkGoesToItsMailboxByAScriptThatCanBeReplaced) {
    Scores spam(40);
    world_.delivery.inspect_with(spam);
    peer_ = "192.0.2.1";
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("Junk").size(), 1u);
    EXPECT_EQ(run(world_.store.mailbox(account_, "Junk"))->use, mailstore::SpecialUse::junk);
    activate(R"(require ["fileinto", "mailbox"]; fileinto :create "U";)");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("U").size(), 1u) << "the user's own script goes first";
    activate("keep;");
    std::string text(kJunkScript);
    EXPECT_EQ(*run(common().get(CommonPlace::after, "all")), text);
    put(CommonPlace::after, "example.test", text.replace(text.find("\"40\""), 4, "\"60\""));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u) << "a domain with a limit of its own";
    ASSERT_TRUE(run(common().remove(CommonPlace::after, "example.test")));
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("Junk").size(), 2u);
    put(CommonPlace::after, "all", "");
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 2u);
}

TEST_F(CommonScriptsTest, MailBelowTheLimitIsNoJunk) {
    Scores ham(39);
    world_.delivery.inspect_with(ham);
    peer_ = "192.0.2.1";
    EXPECT_TRUE(deliver(kLetter).front().stored());
    EXPECT_EQ(in("INBOX").size(), 1u);
}

}  // namespace
}  // namespace poplar::delivery
