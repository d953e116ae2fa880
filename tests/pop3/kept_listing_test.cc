// Listings that are kept from one session to the next always say the same as ones made anew, and spare the reading.
#include <fmt/format.h>

#include <random>

#include "tests/pop3/world.h"

namespace poplar {
namespace {

using test::run;

class KeptListing : public test::Pop3World {
protected:
    void append_many(int count) {
        for (int i = 0; i < count; ++i) append("S: x\r\n\r\n");
    }
    /// Plays the script with the kept listings, then without them. Neither session reaches QUIT.
    void expect_as_read_anew(const std::string& script) {
        auto with = say(script);
        services_.listings = nullptr;
        auto without = say(script);
        services_.listings = &listings_;
        EXPECT_TRUE(with == without) << script << with << "\ninstead of\n" << without;
    }
    int reads(const std::string& commands) {
        auto before = engine_.reads();
        say_logged_in(commands);
        return static_cast<int>(engine_.reads() - before);
    }
    std::string id_of(std::size_t number) {
        auto list = run(store_.list(fred_, mailstore::OrderKey(0), number));
        return list->at(number - 1).unique_id;
    }
};

TEST_F(KeptListing, APollReadsOnlyWhatIsNew) {
    append_many(3000);
    say_logged_in("UIDL\r\nLIST\r\n");
    const int login = reads("STAT\r\n");
    EXPECT_EQ(reads("UIDL\r\nLIST\r\n"), login);
    append_many(1);
    EXPECT_EQ(reads("UIDL\r\nLIST\r\nRETR 3001\r\nLIST 3001\r\n"), login + 1) << "for all of them";
    EXPECT_EQ(reads("UIDL\r\nLIST\r\n"), login);
    append_many(1);
    EXPECT_EQ(reads("UIDL 3002\r\nRETR 3002\r\n"), login + 1) << "without a whole UIDL, too";
    append_many(1);
    EXPECT_EQ(reads("UIDL\r\nDELE 1\r\nDELE 3000\r\n"), login + 1 + 2 * 2) << "and an old one singly";
}

TEST_F(KeptListing, WhatASessionDeletedIsTakenOutOfIt) {
    append_many(3000);
    say_logged_in("UIDL\r\nLIST\r\n");
    const int login = reads("STAT\r\n");
    say_logged_in("UIDL\r\nLIST\r\nDELE 1\r\nDELE 2\r\nDELE 1000\r\nQUIT\r\n");
    append_many(2);
    EXPECT_EQ(reads("UIDL\r\nLIST\r\n"), login + 1);
    expect_as_read_anew(std::string(test::kLogin) + "UIDL\r\nLIST\r\nUIDL 999\r\nLIST 2999\r\n");
    say_logged_in("UIDL\r\nDELE 5\r\nQUIT\r\n");
    ASSERT_TRUE(run(store_.remove(fred_, {id_of(7)}, "admin")));
    EXPECT_GT(reads("UIDL\r\n"), login + 1) << "what others removed is not known";
    expect_as_read_anew(std::string(test::kLogin) + "UIDL\r\nLIST\r\n");
}

TEST_F(KeptListing, DeletionsThatFailedOrWereNotMeantAreNotTakenOut) {
    append_many(300);
    say_logged_in("UIDL\r\n");
    say_logged_in("DELE 1\r\n");
    say_logged_in("DELE 1\r\nRSET\r\nQUIT\r\n");
    engine_.fail_next_commits(1, Errc::io);
    say_logged_in("UIDL\r\nDELE 1\r\nQUIT\r\n");
    EXPECT_EQ(stored_messages(), 300u);
    expect_as_read_anew(std::string(test::kLogin) + "UIDL\r\nUIDL 1\r\n");
}

TEST_F(KeptListing, NothingIsKeptOfAnEmptiedMaildrop) {
    append_many(3);
    say_logged_in("UIDL\r\nLIST\r\n");
    EXPECT_GT(listings_.octets(), 0u);
    say_logged_in("DELE 1\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n");
    EXPECT_EQ(listings_.octets(), 0u);
    append_many(1);
    expect_as_read_anew(std::string(test::kLogin) + "UIDL\r\nLIST\r\n");
}

TEST_F(KeptListing, AsciiSizesAreListedThoughTheirSumIsThatOfTheOthers) {
    auto add = [this](std::uint64_t ascii_octets) {
        auto writer = engine_.write_body();
        EXPECT_TRUE(run(writer->write("Subject: x\r\n\r\n")));
        auto staged = run(writer->finish());
        EXPECT_TRUE(run(store_.append(fred_, {"", {*staged, 14}, "", ascii_octets})));
    };
    add(20);
    add(8);
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(say_logged_in("LIST\r\n"), "+OK number and octets follow\r\n1 20\r\n2 8\r\n.\r\n");
    auto utf8 = say("UTF8\r\n" + std::string(test::kLogin) + "LIST\r\n");
    EXPECT_TRUE(utf8.ends_with("1 14\r\n2 14\r\n.\r\n")) << utf8;
}

class KeptListingProperty : public KeptListing, public testing::WithParamInterface<unsigned> {
protected:
    std::size_t below(std::size_t n) { return random_() % n; }
    bool one_in(std::size_t n) { return below(n) == 0; }

    std::vector<std::string> live() {
        std::vector<std::string> ids;
        auto list = run(store_.list(fred_, mailstore::OrderKey(0), 10'000));
        for (const auto& message : *list) ids.push_back(message.unique_id);
        return ids;
    }
    void deliver() {
        for (auto n = 1 + below(4); n > 0; --n)
            append((one_in(6) ? "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n" : "Subject: x\r\n\r\n") +
                       std::string(below(200), 'x') + "\r\n",
                   one_in(3) ? fmt::format("given-{}", ++serial_) : "");
    }
    void remove_some() {
        std::vector<std::string> chosen;
        const auto rarity = 1 + below(100);
        for (auto& id : live())
            if (one_in(rarity) && chosen.size() < 20) chosen.push_back(id);
        ASSERT_TRUE(run(store_.remove(fred_, chosen, "admin")));
    }
    void restore_one() {
        auto retained = run(store_.list_retained(fred_, 0, 1000));
        if (retained->empty()) return;
        const auto& id = (*retained)[below(retained->size())].message.unique_id;
        ASSERT_TRUE(run(store_.restore(fred_, id)));
    }
    void expire() {
        clock_.advance(std::chrono::hours(below(24 * 12)));
        if (one_in(2))
            ASSERT_TRUE(run(store_.expire(fred_, clock_.now())));
        else
            ASSERT_TRUE(run(store_.expire_live(fred_, clock_.now() - std::chrono::days(25))));
    }
    std::string commands() {
        const auto messages = stored_messages();
        std::string made = one_in(3) ? "UTF8\r\n" : "";
        made += test::kLogin;
        for (auto n = 1 + below(8); n > 0; --n) {
            const auto number = one_in(3) && messages > 5 ? messages - below(5) : below(messages + 2);
            switch (below(9)) {
                case 0: made += "STAT\r\n"; break;
                case 1:
                case 2: made += "UIDL\r\n"; break;
                case 3: made += "LIST\r\n"; break;
                case 4: made += fmt::format("UIDL {}\r\n", number); break;
                case 5: made += fmt::format("LIST {}\r\n", number); break;
                case 6: made += fmt::format("TOP {} 0\r\n", number); break;
                case 7: made += fmt::format("DELE {}\r\n", number); break;
                default: made += one_in(4) ? "RSET\r\n" : fmt::format("RETR {}\r\n", number);
            }
        }
        return made;
    }

    std::mt19937 random_{GetParam()};
    int serial_ = 0;
};

TEST_P(KeptListingProperty, SaysWhatAReadingAnewSays) {
    append_many(static_cast<int>(one_in(2) ? 300 : below(20)));
    for (int step = 0; step < 80 && !HasFailure(); ++step) {
        switch (below(12)) {
            case 0: remove_some(); break;
            case 1: restore_one(); break;
            case 2: expire(); break;
            case 3:
                if (one_in(10)) ASSERT_TRUE(run(store_.purge(fred_, mailstore::Afterwards::open)));
                break;
            case 4: say(commands() + "QUIT\r\n"); break;
            default: deliver();
        }
        expect_as_read_anew(commands());
        ASSERT_FALSE(HasFailure()) << "seed " << GetParam() << ", step " << step;
    }
    EXPECT_TRUE(run(store_.check(fred_)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, KeptListingProperty, testing::Range(1u, 25u));

}  // namespace
}  // namespace poplar
