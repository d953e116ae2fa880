// Several threads, each with a context of its own, on the same accounts.
#include <random>
#include <set>

#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

constexpr int kThreads = 4, kAccounts = 3, kSteps = 150;

class ConcurrencyTest : public StoreTest {
protected:
    void in_threads(const std::function<void(int thread)>& work) {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
    }
    Content body_ = stage("text\r\n");
    NewMessage fresh() { return {"", body_, ""}; }
};

TEST_F(ConcurrencyTest, EveryAppendOfEveryThreadIsThereOnce) {
    std::atomic<int> failures = 0;
    std::mutex mutex;
    std::multiset<std::string> ids;
    in_threads([&](int) {
        for (int round = 0; round < 10; ++round) {
            std::vector<Task<Result<Message>>> tasks;
            for (int i = 0; i < 30; ++i) tasks.push_back(store_.append(AccountId(1 + i % kAccounts), fresh()));
            for (auto& result : run_together(std::move(tasks))) {
                if (!result) ++failures;
                std::lock_guard lock(mutex);
                if (result) ids.insert(result->unique_id);
            }
        }
    });
    EXPECT_EQ(failures, 0);
    std::multiset<std::string> stored;
    for (std::uint64_t a = 1; a <= kAccounts; ++a) {
        EXPECT_TRUE(run(store_.check(AccountId(a))));
        for (const auto& m : *run(store_.list(AccountId(a), OrderKey(0), 10'000))) stored.insert(m.unique_id);
    }
    EXPECT_EQ(stored.size(), 1200u);
    EXPECT_EQ(stored, ids);
}

TEST_F(ConcurrencyTest, ManyKindsOfChangesAtOnceLeaveTheCountersRight) {
    std::atomic<std::int64_t> appended = 0;
    std::atomic<int> failures = 0;
    auto expect = [&](bool good) { failures += good ? 0 : 1; };
    in_threads([&](int thread) {
        std::mt19937 random(thread + 1);
        for (int step = 0; step < kSteps; ++step) {
            AccountId account(1 + random() % kAccounts);
            switch (random() % 6) {
                case 0:
                case 1: {
                    std::vector<Task<Result<Message>>> tasks;
                    for (int i = 0; i < 8; ++i) tasks.push_back(store_.append(account, fresh()));
                    for (auto& result : run_together(std::move(tasks))) {
                        expect(result.has_value());
                        ++appended;
                    }
                    break;
                }
                case 2: {
                    auto maildrop = run(store_.open_maildrop(account));
                    if (!maildrop) {
                        expect(maildrop.error().code() == Errc::busy);
                        break;
                    }
                    auto list = run((*maildrop)->messages());
                    expect(list && (*list)->size() == (*maildrop)->message_count());
                    std::vector<std::uint32_t> numbers;
                    for (std::uint32_t n = 1; n <= (*list)->size(); n += 2) numbers.push_back(n);
                    expect(run((*maildrop)->remove(numbers)).has_value());
                    break;
                }
                case 3: {
                    auto list = run(store_.list(account, OrderKey(0), 3));
                    expect(list.has_value());
                    std::vector<std::string> ids;
                    for (const auto& m : *list) ids.push_back(m.unique_id);
                    expect(run(store_.remove(account, ids, "admin")).has_value());
                    break;
                }
                case 4: {
                    auto list = run(store_.list_retained(account, 0, 2));
                    expect(list.has_value());
                    for (const auto& r : *list) expect(run(store_.restore(account, r.message.unique_id)).has_value());
                    break;
                }
                default: expect(run(store_.check(account)).has_value());
            }
        }
    });
    EXPECT_EQ(failures, 0);
    std::int64_t counted = 0;
    for (std::uint64_t a = 1; a <= kAccounts; ++a) {
        auto sound = run(store_.check(AccountId(a)));
        EXPECT_TRUE(sound) << sound.error().detail();
        auto totals = *run(store_.totals(AccountId(a)));
        counted += static_cast<std::int64_t>(totals.messages + totals.retained_messages);
    }
    EXPECT_EQ(counted, appended) << "nothing is lost and nothing is twice";
}

TEST_F(ConcurrencyTest, FailingCommitsFailTheirOwnAndNoOthers) {
    std::atomic<std::int64_t> stored = 0;
    std::atomic<bool> stop = false;
    std::jthread trouble([&] {
        while (!stop) {
            engine_.fail_next_commits(1, Errc::no_space);
            engine_.fail_next_commits(1, Errc::conflict);
            std::this_thread::yield();
        }
    });
    in_threads([&](int) {
        for (int round = 0; round < 20; ++round) {
            std::vector<Task<Result<Message>>> tasks;
            for (int i = 0; i < 10; ++i) tasks.push_back(store_.append(kAccount, fresh()));
            for (auto& result : run_together(std::move(tasks))) stored += result ? 1 : 0;
        }
    });
    stop = true;
    trouble.join();
    engine_.fail_next_commits(0, Errc::io);
    EXPECT_EQ(static_cast<std::int64_t>(totals().messages), stored);
    expect_sound();
}

}  // namespace
}  // namespace poplar::mailstore
