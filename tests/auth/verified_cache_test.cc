#include "auth/verified_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/steady.h"

namespace poplar::auth {
namespace {

using namespace std::chrono_literals;
using directory::Account;
using directory::AccountId;

Account account(std::uint64_t id, std::uint64_t version = 1) {
    Account out;
    out.id = AccountId(id);
    out.credential_version = version;
    return out;
}

TEST(VerifiedCache, KnowsOnlyWhatItWasTold) {
    VerifiedCache cache(60s, 100);
    EXPECT_FALSE(cache.contains(account(1), "secret"));
    cache.remember(account(1), "secret");
    EXPECT_TRUE(cache.contains(account(1), "secret"));
    EXPECT_FALSE(cache.contains(account(1), "Secret"));
    EXPECT_FALSE(cache.contains(account(1), ""));
    EXPECT_FALSE(cache.contains(account(2), "secret"));
    EXPECT_FALSE(cache.contains(account(1, 2), "secret")) << "another credential version";
    cache.forget(AccountId(2));
    EXPECT_TRUE(cache.contains(account(1), "secret"));
    cache.forget(AccountId(1));
    EXPECT_FALSE(cache.contains(account(1), "secret"));
    EXPECT_EQ(cache.size(), 0U);
}

TEST(VerifiedCache, KeepsTheLastPasswordOfAnAccount) {
    VerifiedCache cache(60s, 100);
    cache.remember(account(1), "old");
    cache.remember(account(1, 2), "new");
    EXPECT_FALSE(cache.contains(account(1), "old"));
    EXPECT_TRUE(cache.contains(account(1, 2), "new"));
    EXPECT_EQ(cache.size(), 1U);
}

TEST(VerifiedCache, ForgetsAfterItsTime) {
    VerifiedCache cache(60s, 100);
    cache.remember(account(1), "secret");
    SteadyClock::move(30s);
    EXPECT_TRUE(cache.contains(account(1), "secret")) << "and a hit does not make it longer";
    SteadyClock::move(30s);
    EXPECT_FALSE(cache.contains(account(1), "secret"));
    EXPECT_EQ(cache.size(), 0U);
}

TEST(VerifiedCache, HoldsNoMoreThanItsEntries) {
    for (std::size_t entries : {1U, 5U, 16U, 100U}) {
        VerifiedCache cache(60s, entries);
        for (std::uint64_t id = 1; id <= 1000; ++id) {
            cache.remember(account(id), "secret");
            EXPECT_LE(cache.size(), entries);
            EXPECT_TRUE(cache.contains(account(id), "secret"));
        }
        EXPECT_FALSE(cache.contains(account(1), "secret"));
        EXPECT_GE(cache.size(), entries - entries % 16);
    }
}

TEST(VerifiedCache, RemembersNothingWithoutTimeOrEntries) {
    VerifiedCache timeless(0s, 100), empty(60s, 0);
    for (auto* cache : {&timeless, &empty}) {
        cache->remember(account(1), "secret");
        EXPECT_FALSE(cache->contains(account(1), "secret"));
        EXPECT_EQ(cache->size(), 0U);
    }
}

TEST(VerifiedCache, MayBeUsedFromManyThreads) {
    VerifiedCache cache(60s, 64);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < 2000; ++i) {
                cache.remember(account(i % 100), "secret");
                EXPECT_FALSE(cache.contains(account(i % 100), "wrong"));
                if (i % 10 == 0) cache.forget(AccountId(i % 100));
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_LE(cache.size(), 64U);
}

}  // namespace
}  // namespace poplar::auth
