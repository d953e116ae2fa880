// Many accounts at once.
#include <gtest/gtest.h>

#include <set>

#include "tests/directory/fixture.h"

namespace poplar::directory {
namespace {

using test::run;
using Accounts = std::vector<Directory::NewAccount>;
using AddDomains = Directory::AddDomains;

class Import : public DirectoryTest {
protected:
    Directory::ImportCounts import(const Accounts& list, AddDomains add_domains = AddDomains::no) {
        auto counts = run(directory.import_accounts(list, add_domains));
        EXPECT_TRUE(counts);
        return counts ? *counts : Directory::ImportCounts{};
    }
    static void expect(const Directory::ImportCounts& counts, std::uint64_t added, std::uint64_t updated,
                       std::uint64_t unchanged, std::size_t refused) {
        EXPECT_EQ(counts.added, added);
        EXPECT_EQ(counts.updated, updated);
        EXPECT_EQ(counts.unchanged, unchanged);
        EXPECT_EQ(counts.refused.size(), refused);
    }
    static Accounts many(std::size_t count, const std::string& domain, const std::string& password = "{PLAIN}x") {
        Accounts list;
        for (std::size_t i = 0; i < count; ++i) list.push_back({"user" + std::to_string(i) + "@" + domain, password});
        return list;
    }
};

TEST_F(Import, AddsTwentyThousandInFewCommitsAndTheSameListAgainChangesNothing) {
    domain("example.org");
    auto list = many(20'000, "example.org");
    auto before = engine.commits();
    expect(import(list), 20'000, 0, 0, 0);
    EXPECT_EQ(engine.commits() - before, 20U);
    expect_totals(1, 20'000, 0);

    before = engine.commits();
    auto reads = engine.reads();
    expect(import(list), 0, 0, 20'000, 0);
    EXPECT_EQ(engine.commits() - before, 0U);
    EXPECT_LT(engine.reads() - reads, 100U) << "a scan a chunk, not a read an account";
    expect_totals(1, 20'000, 0);

    std::set<AccountId> ids;
    for (const char* address : {"user0@example.org", "user999@example.org", "user19999@example.org"})
        ids.insert(find(address).id);
    EXPECT_EQ(ids.size(), 3U);
    EXPECT_EQ(run(directory.account(find("user7@example.org").id))->address, "user7@example.org");
    auto next = account("another@example.org");
    EXPECT_EQ(next.id.value, kFirstAccount.value + 20'000) << "an id for each, none wasted";
}

TEST_F(Import, UpdatesAChangedHashOnly) {
    domain("example.org");
    import(many(3, "example.org"));
    auto before = find("user1@example.org");
    auto list = many(3, "example.org");
    list[1].password = "{PLAIN}new";
    expect(import(list), 0, 1, 2, 0);
    auto after = find("user1@example.org");
    EXPECT_EQ(after.password, "{PLAIN}new");
    EXPECT_EQ(after.id, before.id);
    EXPECT_EQ(after.credential_version, before.credential_version + 1);
    EXPECT_EQ(find("user2@example.org").credential_version, before.credential_version);
    expect(import(list), 0, 0, 3, 0);
}

TEST_F(Import, KeepsADisabledAccountDisabled) {
    domain("example.org");
    account("user0@example.org");
    ASSERT_TRUE(run(directory.set_status("user0@example.org", AccountStatus::disabled)));
    expect(import(many(1, "example.org")), 0, 1, 0, 0);
    EXPECT_EQ(find("user0@example.org").status, AccountStatus::disabled);
}

TEST_F(Import, RefusesByNameWhatItCanNotAddAndAddsTheRest) {
    domain("example.org");
    account("bob@example.org");
    alias("sales@example.org", {"bob@example.org"});
    auto counts = import({{"good@example.org", ""},
                          {"no address", ""},
                          {"Sales@example.org", ""},
                          {"x@elsewhere.example", ""},
                          {"long@example.org", std::string(1025, 'x')},
                          {"twice@example.org", "{PLAIN}a"},
                          {"TWICE@example.org", "{PLAIN}b"},
                          {"same@example.org", "{PLAIN}a"},
                          {"Same@Example.org", "{PLAIN}a"}});
    expect(counts, 3, 0, 1, 5);
    std::set<std::string> refused;
    for (auto& [address, why] : counts.refused) {
        refused.insert(address);
        EXPECT_FALSE(why.empty()) << address;
    }
    EXPECT_EQ(refused, (std::set<std::string>{"no address", "sales@example.org", "x@elsewhere.example",
                                              "long@example.org", "twice@example.org"}));
    EXPECT_EQ(find("twice@example.org").password, "{PLAIN}a") << "the first one counts";
    expect_totals(1, 4, 1);
}

TEST_F(Import, AddsMissingDomainsWhereItIsAsked) {
    domain("a.example");
    Accounts list = {{"x@a.example", ""}, {"x@B.example", ""}, {"y@b.example", ""}, {"x@c.example", ""}};
    expect(import(list, AddDomains::no), 1, 0, 0, 3);
    expect_totals(1, 1, 0);
    expect(import(list, AddDomains::yes), 3, 0, 1, 0);
    expect_totals(3, 4, 0);
    expect(import(list, AddDomains::yes), 0, 0, 4, 0);
    EXPECT_EQ(run(directory.domains())->size(), 3U);
}

TEST_F(Import, FindsItsAccountsAmongManyOthers) {
    import(many(30'000, "example.org"), AddDomains::yes);
    // Two accounts at the two ends of the domain, with too many between them to be worth scanning.
    Accounts list = {{"user0@example.org", "{PLAIN}x"}, {"user9999@example.org", "{PLAIN}y"}, {"zz@example.org", ""}};
    expect(import(list), 1, 1, 1, 0);
    expect_totals(1, 30'001, 0);
}

TEST_F(Import, FindsThePostmasterItAdded) {
    import({{"Postmaster@example.org", ""}}, AddDomains::yes);
    auto found = run(directory.resolve({"postmaster", ""}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, Resolution::Kind::accounts);
}

TEST_F(Import, AcceptsAnEmptyList) { expect(import({}), 0, 0, 0, 0); }

TEST_F(Import, CountsNothingTwiceWhenACommitIsTriedAgain) {
    domain("example.org");
    engine.fail_next_commits(3, Errc::conflict);
    expect(import(many(1500, "example.org")), 1500, 0, 0, 0);
    expect_totals(1, 1500, 0);
}

TEST_F(Import, AddsTheMissingDomainWhenACommitIsTriedAgain) {
    engine.fail_next_commits(2, Errc::conflict);
    expect(import(many(10, "example.org"), AddDomains::yes), 10, 0, 0, 0);
    expect_totals(1, 10, 0);
    EXPECT_EQ(run(directory.domains())->size(), 1U);
}

TEST_F(Import, KeepsWhatWasDoneBeforeAFailureAndGoesOnFromThere) {
    domain("example.org");
    engine.fail_commits_after(2, Errc::no_space);
    EXPECT_EQ(code(run(directory.import_accounts(many(5000, "example.org"), AddDomains::no))), Errc::no_space);
    engine.fail_next_commits(0, Errc::no_space);
    expect_totals(1, 2000, 0);
    expect(import(many(5000, "example.org")), 3000, 0, 2000, 0);
    expect_totals(1, 5000, 0);
}

TEST_F(Import, TellsWhichAccountsGotAnotherPasswordAlsoWhenItFailsLaterOn) {
    domain("example.org");
    import(many(2500, "example.org"));
    std::size_t told = 0;
    auto changed = [&](AccountId) { ++told; };
    ASSERT_TRUE(run(directory.import_accounts(many(2500, "example.org"), AddDomains::no, changed)));
    EXPECT_EQ(told, 0u) << "of those that have it already";
    engine.fail_commits_after(2, Errc::no_space);
    EXPECT_FALSE(run(directory.import_accounts(many(2500, "example.org", "{PLAIN}y"), AddDomains::no, changed)));
    EXPECT_EQ(told, 2000u);
}

Task<> import_into(Directory& directory, Accounts list, int& failures) {
    auto counts = co_await directory.import_accounts(std::move(list), AddDomains::yes);
    if (!counts || !counts->refused.empty()) ++failures;
}

Task<> add_into(Directory& directory, int& failures) {
    for (int i = 0; i < 10; ++i) {
        auto added = co_await directory.add_account("single" + std::to_string(i) + "@example.org", "");
        if (!added) ++failures;
    }
}

TEST_F(Import, ToleratesOtherChangesInBetween) {
    domain("example.org");
    int failures = 0;
    asio::io_context context(1);
    asio::co_spawn(context, import_into(directory, many(4000, "example.org"), failures), asio::detached);
    asio::co_spawn(context, add_into(directory, failures), asio::detached);
    asio::co_spawn(context, import_into(directory, many(4000, "example.org"), failures), asio::detached);
    context.run();
    EXPECT_EQ(failures, 0);
    expect_totals(1, 4010, 0);
}

}  // namespace
}  // namespace poplar::directory
