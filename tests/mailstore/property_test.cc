// Random operations against a list that says what must be there, with commits and reads that fail.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;
using Applied = test::MemoryEngine::Applied;

struct Known {
    Message message;
    std::string text;
    bool live = true;
    Timestamp expires{};
};

class MailStoreProperty : public StoreTest, public testing::WithParamInterface<unsigned> {
protected:
    std::size_t any(std::size_t below) { return random_() % below; }
    bool one_in(unsigned n) { return any(n) == 0; }

    std::vector<std::size_t> places(bool live) {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (known_[i].live == live) found.push_back(i);
        return found;
    }

    void append_some() {
        std::vector<Task<Result<Message>>> tasks;
        std::vector<std::string> texts;
        for (std::size_t n = 1 + any(6); n > 0; --n) {
            texts.push_back((one_in(2) ? "" : some_header()) + "text " + std::to_string(++serial_) +
                            std::string(any(300), 'x'));
            std::string id = one_in(4) ? "given-" + std::to_string(serial_) : "";
            if (one_in(10) && !known_.empty()) id = known_[any(known_.size())].message.unique_id;
            auto fresh = message(texts.back(), id);
            if (one_in(3)) fresh.ascii_octets = 1 + any(600);  // less or more than it has
            tasks.push_back(store_.append(kAccount, std::move(fresh)));
        }
        fail_maybe();
        auto results = run_together(std::move(tasks));
        engine_.fail_next_commits(0, Errc::io);
        for (std::size_t i = 0; i < results.size(); ++i) {
            if (!results[i]) continue;
            EXPECT_TRUE(given_out_.insert(results[i]->unique_id).second) << "a unique-id came back";
            known_.push_back({*results[i], "Delivered-To: x\r\n" + texts[i], true, {}});
        }
    }

    /// Of a message that answers one of the last before it.
    std::string some_header() {
        const auto id = [](int n) { return "<" + std::to_string(n) + "@x>"; };
        return "Message-ID: " + id(serial_) + "\r\nReferences: " + id(serial_ - static_cast<int>(any(9))) +
               "\r\nSubject: s\r\n\r\n";
    }

    /// Asks for structures and threads of some messages. Threads are theirs for ever.
    void describe_some() {
        std::vector<StoredMessage> chosen;
        for (auto& one : *run(store_.list(kAccount, OrderKey(0), 10'000)))
            if (one_in(3)) chosen.push_back(std::move(one));
        const auto structures = run(store_.structures(kAccount, chosen));
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            ASSERT_TRUE(structures[i]);
            const auto& whole = structures[i]->parts.front();
            EXPECT_EQ(whole.header_octets + whole.body_octets, chosen[i].octets);
        }
        fail_maybe();
        const auto threads = run(store_.threads(kAccount, chosen));
        engine_.fail_next_commits(0, Errc::io);
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            if (!threads[i]) continue;
            const auto [known, fresh] = threads_.emplace(chosen[i].unique_id, *threads[i]);
            EXPECT_EQ(known->second, *threads[i]);
        }
        if (one_in(5)) EXPECT_TRUE(run(store_.drop_structures(kAccount)));
    }

    void remove_by_id() {
        std::vector<std::string> ids;
        std::vector<std::size_t> chosen;
        for (auto place : places(true))
            if (one_in(3)) chosen.push_back(place), ids.push_back(known_[place].message.unique_id);
        for (auto place : places(false))
            if (one_in(5)) ids.push_back(known_[place].message.unique_id);
        std::ranges::shuffle(ids, random_);
        fail_maybe();
        auto done = run(store_.remove(kAccount, ids, "admin"));
        engine_.fail_next_commits(0, Errc::io);
        if (done) retain(chosen);
    }

    /// A whole POP session: what it saw must be what the list says, whatever comes in between.
    void pop_session() {
        auto maildrop = open_maildrop();
        auto seen = places(true);
        ASSERT_EQ(maildrop->message_count(), seen.size());
        std::uint64_t ascii_octets = 0;
        for (auto place : seen) {
            const auto& m = known_[place].message;
            ascii_octets += m.ascii_octets != 0 ? m.ascii_octets : m.octets;
        }
        ASSERT_EQ(maildrop->ascii_octets(), ascii_octets);
        std::vector<std::string> ids;
        for (auto place : seen) ids.push_back(known_[place].message.unique_id);
        ASSERT_TRUE(maildrop->version());
        const ListVersion version = *maildrop->version();
        compare_with_earlier(version, ids);
        const bool quiet = !one_in(4);
        if (one_in(2)) append_some();
        if (!quiet) remove_by_id();
        if (!one_in(3)) read_what_came_since(*maildrop, ids);
        auto list = run(maildrop->messages());
        ASSERT_TRUE(list);
        ASSERT_EQ((*list)->size(), seen.size());
        std::vector<std::uint32_t> numbers;
        std::vector<std::size_t> chosen;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            const auto& known = known_[seen[i]];
            ASSERT_EQ((**list)[i].unique_id, known.message.unique_id);
            if (one_in(8)) EXPECT_EQ(read(run(maildrop->open((**list)[i]))), known.text);
            if (!one_in(3)) continue;
            numbers.push_back(static_cast<std::uint32_t>(i + 1));
            if (known.live) chosen.push_back(seen[i]);
        }
        fail_maybe();
        auto done = run(maildrop->remove(numbers));
        engine_.fail_next_commits(0, Errc::io);
        if (done) retain(chosen);
        if (done && quiet) remember_what_is_left(version, **list, ids, numbers);
    }

    /// A list as it was at some time.
    struct Earlier {
        ListVersion version;
        std::vector<std::string> ids;
        bool only_deliveries_since = true;
    };

    void compare_with_earlier(const ListVersion& version, const std::vector<std::string>& ids) {
        for (const auto& earlier : earlier_) {
            const bool continues = version.continues(earlier.version);
            const bool begun = !earlier.version.generation.empty();  // with the first delivery
            if (earlier.only_deliveries_since && begun) EXPECT_TRUE(continues);
            const auto beginning = ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), earlier.ids.size()));
            if (continues) ASSERT_EQ(std::vector<std::string>(ids.begin(), beginning), earlier.ids);
        }
        earlier_.push_back({version, ids});
    }

    void read_what_came_since(Maildrop& maildrop, const std::vector<std::string>& ids) {
        for (const auto& earlier : earlier_) {
            if (!one_in(3) || !maildrop.version()->continues(earlier.version)) continue;
            auto since = run(maildrop.messages_since(earlier.version));
            ASSERT_TRUE(since) << since.error().detail();
            ASSERT_EQ(since->size(), ids.size() - earlier.ids.size());
            for (std::size_t i = 0; i < since->size(); ++i)
                ASSERT_EQ((*since)[i].unique_id, ids[earlier.ids.size() + i]);
        }
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (!one_in(5)) continue;
            auto one = run(maildrop.message(static_cast<std::uint32_t>(i + 1), ids[i]));
            ASSERT_TRUE(one) << one.error().detail();
            ASSERT_EQ((*one)->unique_id, ids[i]);
        }
    }

    void remember_what_is_left(ListVersion version, const std::vector<Message>& list,
                               const std::vector<std::string>& ids, const std::vector<std::uint32_t>& removed) {
        for (auto number : removed) version.take_out(list[number - 1]);
        std::vector<std::string> left;
        for (std::uint32_t number = 1; number <= ids.size(); ++number)
            if (!std::ranges::binary_search(removed, number)) left.push_back(ids[number - 1]);
        earlier_.push_back({std::move(version), std::move(left)});
    }

    void note_upheaval() {
        for (auto& earlier : earlier_) earlier.only_deliveries_since = false;
    }

    void restore_one() {
        auto candidates = places(one_in(6));
        if (candidates.empty()) return;
        auto& known = known_[candidates[any(candidates.size())]];
        fail_maybe();
        auto done = run(store_.restore(kAccount, known.message.unique_id));
        engine_.fail_next_commits(0, Errc::io);
        if (done && !known.live) note_upheaval();
        if (done) known.live = true;
    }

    void expire() {
        clock_.advance(std::chrono::hours(any(24 * 12)));
        auto due = [&](const Known& known) { return !known.live && known.expires <= clock_.now(); };
        fail_maybe();
        auto done = run(store_.expire(kAccount, clock_.now()));
        engine_.fail_next_commits(0, Errc::io);
        auto count = std::ranges::count_if(known_, due);
        if (!done) return;
        if (!unknown_) EXPECT_EQ(*done, static_cast<std::uint64_t>(count));
        std::erase_if(known_, due);
    }

    void purge() {
        ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
        known_.clear();
        note_upheaval();
    }

    void retain(const std::vector<std::size_t>& chosen) {
        if (!chosen.empty()) note_upheaval();
        for (auto place : chosen) {
            known_[place].live = false;
            known_[place].expires = clock_.now() + options_.retention;
        }
    }

    /// Now and then the next commits fail: for good, or in a way that is to be repeated.
    void fail_maybe() {
        unknown_ = false;
        switch (any(8)) {
            case 0: return engine_.fail_next_commits(1, one_in(2) ? Errc::no_space : Errc::io);
            case 1: return engine_.fail_next_commits(1 + static_cast<int>(any(3)), Errc::conflict);
            case 2:
                unknown_ = true;
                return engine_.fail_next_commits(1, Errc::outcome_unknown, one_in(2) ? Applied::yes : Applied::no);
            default: return;
        }
    }

    void expect_as_known() {
        expect_sound();
        AccountTotals expected;
        std::string live_ids;
        std::multiset<std::string> retained_ids;
        std::ranges::sort(known_, {}, [](const Known& k) { return k.message.order; });
        for (const auto& known : known_) {
            (known.live ? expected.messages : expected.retained_messages) += 1;
            (known.live ? expected.octets : expected.retained_octets) += known.message.octets;
            if (known.live)
                live_ids += (live_ids.empty() ? "" : " ") + known.message.unique_id;
            else
                retained_ids.insert(known.message.unique_id);
        }
        auto counted = totals();
        EXPECT_EQ(counted.messages, expected.messages);
        EXPECT_EQ(counted.octets, expected.octets);
        EXPECT_EQ(counted.retained_messages, expected.retained_messages);
        EXPECT_EQ(counted.retained_octets, expected.retained_octets);
        EXPECT_EQ(live(), live_ids);
        auto list = run(store_.list_retained(kAccount, 0, 10'000));
        ASSERT_TRUE(list);
        std::multiset<std::string> found;
        for (const auto& retained : *list) found.insert(retained.message.unique_id);
        EXPECT_EQ(found, retained_ids);
        EXPECT_EQ(engine_.body_count(kAccount), known_.size()) << "a body for each message and none besides";
    }

    std::mt19937 random_{GetParam()};
    std::vector<Known> known_;
    std::map<std::string, ThreadId> threads_;  // by unique-id
    std::set<std::string> given_out_;
    std::vector<Earlier> earlier_;
    int serial_ = 0;
    bool unknown_ = false;
};

TEST_P(MailStoreProperty, EveryStepLeavesWhatTheListSays) {
    for (int step = 0; step < 150 && !HasFailure(); ++step) {
        switch (any(13)) {
            case 0:
            case 1:
            case 2:
            case 3: append_some(); break;
            case 4:
            case 5: remove_by_id(); break;
            case 6:
            case 7: pop_session(); break;
            case 8:
            case 9: restore_one(); break;
            case 10: expire(); break;
            case 11: describe_some(); break;
            default:
                if (one_in(8)) purge();
        }
        expect_as_known();
        if (!known_.empty()) {  // each keeps its bytes and its name, live or retained
            const auto& one = known_[any(known_.size())];
            auto found = run(store_.find(kAccount, one.message.unique_id));
            ASSERT_TRUE(found);
            EXPECT_EQ(found->order, one.message.order);
            EXPECT_EQ(bytes(*found), one.text);
        }
        ASSERT_FALSE(HasFailure()) << "seed " << GetParam() << ", step " << step;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MailStoreProperty, testing::Range(1u, 21u));

}  // namespace
}  // namespace poplar::mailstore
