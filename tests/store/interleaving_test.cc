// Deliveries, POP sessions, deletions, restorations and the copying of segments at once on one account, their steps in
// an order that a seed decides. Whatever was acknowledged must show from then on, and nothing else.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/fair_pool.h"
#include "mailstore/mail_store.h"
#include "tests/engine/local_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/shuffled_contexts.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using mailstore::MailStore;
using mailstore::Message;

constexpr mailstore::AccountId kAccount{1024};
constexpr mailstore::AccountId kOther{1025};  // its mail shares the segments, and dies
constexpr int kRounds = 12;                   // of each who takes part

std::uint64_t seeds(std::uint64_t usual, std::uint64_t many) { return std::getenv("POPLAR_LONG") ? many : usual; }

Task<std::string> read_all(std::unique_ptr<engine::BodyReader> reader) {
    std::string text;
    for (;;) {
        auto chunk = co_await reader->next();
        if (!chunk) co_return "!" + chunk.error().detail();
        if (chunk->empty()) co_return text;
        text += *chunk;
    }
}

class Interleaving {
public:
    Interleaving(engine::Engine& engine, std::uint64_t seed) : engine_(engine), random_(seed), contexts_(seed) {}

    /// `aside` takes part, too, until `over()`.
    void play(std::function<Task<>()> aside = nullptr) {
        for (int i = 0; i < 2; ++i) start(deliver());
        for (int i = 0; i < 2; ++i) start(fetch());
        start(remove());
        start(restore());
        start(churn());
        auto others = under_way_;
        if (aside) asio::co_spawn(contexts_.add(), aside(), rethrow);
        EXPECT_EQ(others, 7);
        contexts_.run();
        EXPECT_EQ(under_way_, 0);
        compare();
    }
    bool over() const { return under_way_ == 0; }

private:
    struct Known {
        std::string text;
        bool live = true;
        bool claimed = false;       // somebody is changing it
        std::uint64_t touched = 0;  // how often somebody began or ended to
    };
    using Ids = std::map<std::string, Known>;

    static void rethrow(std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    }
    void start(Task<> task) {
        ++under_way_;
        asio::co_spawn(contexts_.add(), std::move(task), [this](std::exception_ptr failure) {
            --under_way_;
            rethrow(failure);
        });
    }
    std::size_t any(std::size_t below) { return random_() % below; }
    static Task<> others_turn() {
        auto executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, use_awaitable);
    }

    void claim(Known& one) { one.claimed = true, ++one.touched; }
    void settle(Known& one, bool live) { one.claimed = false, one.live = live, ++one.touched; }
    /// Some that nobody is changing.
    std::vector<std::string> claim_some(bool live, unsigned one_in) {
        std::vector<std::string> chosen;
        for (auto& [id, one] : known_)
            if (one.live == live && !one.claimed && any(one_in) == 0) {
                claim(one);
                chosen.push_back(id);
            }
        return chosen;
    }

    Task<Result<Message>> append(mailstore::AccountId account, std::string text) {
        auto writer = engine_.write_body();
        EXPECT_TRUE(co_await writer->write(text));
        auto staged = co_await writer->finish();
        co_return co_await store_.append(account, {"To: x\r\n", {*staged, text.size()}, ""});
    }

    Task<> churn() {
        for (int round = 0; round < kRounds; ++round) {
            for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await append(kOther, std::string(4000, 'y') + "\r\n"));
            EXPECT_TRUE(co_await store_.purge(kOther, mailstore::Afterwards::open));
        }
    }

    Task<> deliver() {
        for (int round = 0; round < kRounds; ++round) {
            std::string text = fmt::format("Subject: {}\r\n\r\n", ++serial_);
            text.append(any(8) == 0 ? 70'000 : any(3000), 'x').append("\r\n");
            auto done = co_await append(kAccount, text);
            EXPECT_TRUE(done) << done.error().detail();
            if (done) {
                bool fresh = known_.try_emplace(done->unique_id, Known{"To: x\r\n" + text}).second;
                EXPECT_TRUE(fresh) << "a unique-id came back";
            }
            if (any(3) == 0) co_await others_turn();
        }
    }

    // A POP session: sees all that was there when its login began, and not what was gone.
    Task<> fetch() {
        for (int round = 0; round < kRounds; ++round) {
            auto before = known_;
            auto maildrop = co_await store_.open_maildrop(kAccount);
            if (!maildrop) {
                EXPECT_EQ(maildrop.error().code(), Errc::busy);
                for (auto turns = any(20); turns > 0; --turns) co_await others_turn();
                continue;
            }
            std::erase_if(before, [&](const auto& one) {
                return one.second.claimed || known_.at(one.first).touched != one.second.touched;
            });
            auto listed = co_await (*maildrop)->messages();
            EXPECT_TRUE(listed);
            if (!listed) continue;
            auto list = **listed;
            expect_shown(list, before);
            EXPECT_EQ(list.size(), (*maildrop)->message_count());
            std::uint64_t octets = 0;
            for (const auto& message : list) octets += message.octets;
            EXPECT_EQ(octets, (*maildrop)->octets());
            for (const auto& message : list)
                if (any(6) == 0) co_await expect_bytes(**maildrop, message);
            co_await leave(**maildrop, list);
        }
    }

    template <class Listed>
    void expect_shown(const std::vector<Listed>& list, const Ids& before) {
        std::set<std::string> shown;
        for (const auto& message : list) shown.insert(message.unique_id);
        EXPECT_EQ(shown.size(), list.size());
        EXPECT_TRUE(std::ranges::is_sorted(list, {}, &Message::order));
        for (const auto& [id, one] : before)
            EXPECT_EQ(shown.contains(id), one.live) << id << (one.live ? " is missing" : " is back");
    }

    Task<> expect_bytes(mailstore::Maildrop& maildrop, const Message& message) {
        auto reader = co_await maildrop.open(message);
        EXPECT_TRUE(reader) << reader.error().detail();
        if (!reader) co_return;
        auto text = co_await read_all(std::move(*reader));
        // One that was delivered a moment ago may not have been acknowledged yet.
        if (auto found = known_.find(message.unique_id); found != known_.end()) EXPECT_EQ(text, found->second.text);
    }

    // QUIT: some of what it saw goes, whether or not others were quicker.
    Task<> leave(mailstore::Maildrop& maildrop, const std::vector<Message>& list) {
        std::vector<std::uint32_t> numbers;
        std::vector<std::string> chosen;
        for (std::uint32_t number = 1; number <= list.size(); ++number) {
            auto found = known_.find(list[number - 1].unique_id);
            if (any(4) != 0 || found == known_.end() || found->second.claimed) continue;
            claim(found->second);
            numbers.push_back(number);
            chosen.push_back(found->first);
        }
        auto done = co_await maildrop.remove(numbers);
        EXPECT_TRUE(done) << done.error().detail();
        for (const auto& id : chosen) settle(known_.at(id), false);
    }

    Task<> remove() {
        for (int round = 0; round < kRounds; ++round) {
            auto ids = claim_some(true, 6);
            auto done = co_await store_.remove(kAccount, ids, "admin");
            EXPECT_TRUE(done) << done.error().detail();
            for (const auto& id : ids) settle(known_.at(id), false);
            for (auto turns = any(12); turns > 0; --turns) co_await others_turn();
        }
    }

    Task<> restore() {
        for (int round = 0; round < kRounds; ++round) {
            for (const auto& id : claim_some(false, 5)) {
                auto done = co_await store_.restore(kAccount, id);
                EXPECT_TRUE(done) << done.error().detail();
                settle(known_.at(id), true);
            }
            for (auto turns = any(12); turns > 0; --turns) co_await others_turn();
        }
    }

    void compare() {
        auto sound = run(store_.check(kAccount));
        EXPECT_TRUE(sound) << sound.error().detail();
        auto list = run(store_.list(kAccount, mailstore::OrderKey(0), 100'000));
        ASSERT_TRUE(list);
        expect_shown(*list, known_);
        auto live = std::ranges::count_if(known_, [](const auto& one) { return one.second.live; });
        EXPECT_EQ(list->size(), static_cast<std::size_t>(live));
        auto retained = run(store_.list_retained(kAccount, 0, 100'000));
        ASSERT_TRUE(retained);
        EXPECT_EQ(list->size() + retained->size(), known_.size());
        for (const auto& [id, one] : known_) {
            auto found = run(store_.find(kAccount, id));
            ASSERT_TRUE(found) << id;
            EXPECT_EQ(run(read_all(*run(store_.open(kAccount, *found)))), one.text);
        }
    }

    engine::Engine& engine_;
    ManualClock clock_;
    MailStore store_{engine_, clock_, {}};
    std::mt19937_64 random_;
    Ids known_;  // what was acknowledged
    std::uint64_t serial_ = 0;
    int under_way_ = 0;
    ShuffledContexts contexts_;
};

TEST(ShuffledContexts, DecideTheOrderByTheirSeed) {
    auto order = [](std::uint64_t seed) {
        std::string order;
        ShuffledContexts contexts(seed);
        for (char name = 'a'; name < 'h'; ++name) asio::post(contexts.add(), [&, name] { order += name; });
        contexts.run();
        return order;
    };
    EXPECT_EQ(order(1), order(1));
    EXPECT_NE(order(1), order(2));
    EXPECT_EQ(order(1).size(), 7u);
}

// An engine in memory does all on the caller's thread: a seed decides everything.
TEST(Interleaving, NoOrderOfStepsLosesWhatWasAcknowledged) {
    for (std::uint64_t seed = 1; seed <= seeds(300, 20'000) && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        MemoryEngine engine;
        Interleaving(engine, seed).play();
    }
}

TEST(Interleaving, NorDoesTheRealEngineWhileItCopiesSegments) {
    int copied = 0;
    for (std::uint64_t seed = 1; seed <= seeds(10, 500) && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        TempDir directory;
        auto options = small_options(directory.path() / "store", 64 << 10);
        options.large_body = 64 << 10;
        auto engine = open_store(options);
        ASSERT_TRUE(engine);
        FairPool pool(1, 1);
        Interleaving interleaving(*engine, seed);
        interleaving.play([&]() -> Task<> {
            while (!interleaving.over()) {
                auto ran = co_await pool.run({}, [&] { return engine->copy_segments(); });
                EXPECT_TRUE(ran && *ran) << (ran ? ran->error() : ran.error()).detail();
                copied += ran && *ran && **ran ? 1 : 0;
            }
        });
        std::string found;
        EXPECT_TRUE(engine->verify([&](const engine::local::Damage& damage) { found = damage.file + damage.what; }));
        EXPECT_EQ(found, "");
    }
    EXPECT_GT(copied, 0);
}

}  // namespace
}  // namespace poplar::test
