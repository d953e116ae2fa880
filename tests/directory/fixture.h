#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "directory/directory.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::directory {

/// An empty directory in an engine in memory, and short words to fill it.
class DirectoryTest : public testing::Test {
protected:
    test::MemoryEngine engine;
    test::ManualClock clock;
    Directory directory{engine, clock, {}};

    void domain(const std::string& name) { ASSERT_TRUE(test::run(directory.add_domain(name))) << name; }
    Account account(const std::string& address, const std::string& password = "") {
        auto added = test::run(directory.add_account(address, password));
        EXPECT_TRUE(added) << address;
        return added ? *added : Account{};
    }
    void alias(const std::string& address, const std::vector<std::string>& targets) {
        ASSERT_TRUE(test::run(directory.add_alias(address, targets))) << address;
    }
    Account find(const std::string& address) {
        auto found = test::run(directory.find_account(address));
        EXPECT_TRUE(found) << address;
        return found ? *found : Account{};
    }
    void expect_totals(std::uint64_t domains, std::uint64_t accounts, std::uint64_t aliases) {
        auto totals = test::run(directory.totals());
        ASSERT_TRUE(totals);
        EXPECT_EQ(totals->domains, domains);
        EXPECT_EQ(totals->accounts, accounts);
        EXPECT_EQ(totals->aliases, aliases);
    }
    template <class T>
    static std::optional<Errc> code(const Result<T>& result) {
        if (result) return std::nullopt;
        return result.error().code();
    }
};

}  // namespace poplar::directory
