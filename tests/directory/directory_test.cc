// Domains, accounts, aliases: every change, its errors, and changes at the same time.
#include "directory/directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "directory/records.h"
#include "tests/directory/fixture.h"
#include "tests/support/set_settings.h"

namespace poplar::directory {
namespace {

using test::run;

TEST_F(DirectoryTest, KeepsDomainsInTheirCanonicalSpelling) {
    auto added = run(directory.add_domain("Example.ORG."));
    ASSERT_TRUE(added);
    EXPECT_EQ(added->name, "example.org");
    EXPECT_EQ(added->created, clock.now());
    EXPECT_EQ(code(run(directory.add_domain("example.org"))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_domain("EXAMPLE.org"))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_domain("bad domain"))), Errc::invalid);
    ASSERT_TRUE(
        run(directory.add_domain("b\xc3\xbc"
                                 "cher.example")));
    auto domains = run(directory.domains());
    ASSERT_TRUE(domains);
    ASSERT_EQ(domains->size(), 2U);
    EXPECT_EQ((*domains)[0].name, "example.org");
    EXPECT_EQ((*domains)[1].name, "xn--bcher-kva.example");
}

TEST_F(DirectoryTest, RemovesADomainOnlyWhenItIsEmpty) {
    domain("example.org");
    domain("example.orga");
    account("bob@example.orga");
    EXPECT_TRUE(run(directory.remove_domain("Example.org")));
    EXPECT_EQ(code(run(directory.remove_domain("example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.remove_domain("example.orga"))), Errc::busy);
    alias("sales@example.orga", {"bob@example.orga"});
    ASSERT_TRUE(run(directory.remove_account("bob@example.orga")));
    EXPECT_EQ(code(run(directory.remove_domain("example.orga"))), Errc::busy) << "an alias is left";
    ASSERT_TRUE(run(directory.remove_alias("sales@example.orga")));
    EXPECT_TRUE(run(directory.remove_domain("example.orga")));
    expect_totals(0, 0, 0);
}

TEST_F(DirectoryTest, ListsThousandsOfDomains) {
    for (int i = 0; i < 2'001; ++i) domain("d" + std::to_string(i) + ".example");
    auto domains = run(directory.domains());
    ASSERT_TRUE(domains);
    EXPECT_EQ(domains->size(), 2'001U);
    EXPECT_TRUE(std::ranges::is_sorted(*domains, {}, &Domain::name));
}

TEST_F(DirectoryTest, GivesAnAccountBackByAddressAndById) {
    domain("example.org");
    auto added = run(directory.add_account("Bob@Example.ORG", "{PLAIN}x"));
    ASSERT_TRUE(added);
    EXPECT_EQ(added->id, kFirstAccount);
    for (auto found : {run(directory.find_account("bob@example.org")), run(directory.find_account("BOB@EXAMPLE.org")),
                       run(directory.account(added->id))}) {
        ASSERT_TRUE(found);
        EXPECT_EQ(found->id, added->id);
        EXPECT_EQ(found->address, "bob@example.org");
        EXPECT_EQ(found->password, "{PLAIN}x");
        EXPECT_EQ(found->credential_version, added->credential_version);
        EXPECT_EQ(found->status, AccountStatus::enabled);
        EXPECT_EQ(found->created, clock.now());
    }
    EXPECT_EQ(code(run(directory.find_account("alice@example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.find_account("bob+x@example.org"))), Errc::not_found) << "a detail is not its address";
    EXPECT_EQ(code(run(directory.find_account("bob"))), Errc::invalid);
    EXPECT_EQ(code(run(directory.account(AccountId(1025)))), Errc::not_found);
}

TEST_F(DirectoryTest, LooksAnAddressUpWithOneRead) {
    domain("example.org");
    auto added = account("bob@example.org");
    auto before = engine.reads();
    ASSERT_TRUE(run(directory.find_account("bob@example.org")));
    EXPECT_EQ(engine.reads() - before, 1U);
    ASSERT_TRUE(run(directory.resolve({"bob", "example.org"})));  // reads the domain's limits, which are known then
    before = engine.reads();
    ASSERT_TRUE(run(directory.resolve({"bob", "example.org"})));
    EXPECT_EQ(engine.reads() - before, 1U);
    before = engine.reads();
    ASSERT_TRUE(run(directory.account(added.id)));
    EXPECT_EQ(engine.reads() - before, 2U);
}

TEST_F(DirectoryTest, KeepsLocalPartsApartByCaseWhereTheOperatorWantsIt) {
    Directory keeping(engine, clock, {.local_case = mail::LocalPartCase::keep});
    domain("example.org");
    ASSERT_TRUE(run(keeping.add_account("Bob@example.org", "")));
    EXPECT_EQ(code(run(keeping.find_account("bob@example.org"))), Errc::not_found);
    EXPECT_TRUE(run(keeping.find_account("Bob@EXAMPLE.org")));
    ASSERT_TRUE(run(keeping.add_account("PostMaster@example.org", "")));
    auto found = run(keeping.resolve({"postmasteR", "example.org"}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, Resolution::Kind::accounts);
}

TEST_F(DirectoryTest, RefusesAnAddressThatIsTakenAndADomainThatIsNotOurs) {
    domain("example.org");
    account("bob@example.org");
    alias("sales@example.org", {"bob@example.org"});
    EXPECT_EQ(code(run(directory.add_account("BOB@example.org", ""))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_account("sales@example.org", ""))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_alias("sales@example.org", {"bob@example.org"}))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_alias("bob@example.org", {"sales@example.org"}))), Errc::exists);
    EXPECT_EQ(code(run(directory.add_account("bob@example.net", ""))), Errc::not_found);
    EXPECT_EQ(code(run(directory.add_account("example.org", ""))), Errc::invalid);
    EXPECT_EQ(code(run(directory.add_account("x@example.org", std::string(1025, 'x')))), Errc::invalid);
    EXPECT_EQ(code(run(directory.set_password("bob@example.org", std::string(1025, 'x')))), Errc::invalid);
    expect_totals(1, 1, 1);
}

TEST_F(DirectoryTest, NeverGivesAnAccountIdTwice) {
    domain("example.org");
    std::set<AccountId> ids;
    for (int i = 0; i < 5; ++i) {
        ids.insert(account("bob@example.org").id);
        ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    }
    EXPECT_EQ(ids.size(), 5U);
    Directory later(engine, clock, {});
    auto next = run(later.add_account("bob@example.org", ""));
    ASSERT_TRUE(next);
    EXPECT_GT(next->id, *ids.rbegin());
    for (auto id : ids) EXPECT_EQ(code(run(directory.account(id))), Errc::not_found);
}

TEST_F(DirectoryTest, CountsEachChangeOfThePasswordAndTheStatus) {
    domain("example.org");
    auto version = account("bob@example.org").credential_version;
    ASSERT_TRUE(run(directory.set_password("Bob@example.org", "{PLAIN}new")));
    EXPECT_EQ(find("bob@example.org").credential_version, version + 1);
    EXPECT_EQ(find("bob@example.org").password, "{PLAIN}new");
    ASSERT_TRUE(run(directory.set_status("bob@example.org", AccountStatus::disabled)));
    EXPECT_EQ(find("bob@example.org").status, AccountStatus::disabled);
    EXPECT_EQ(find("bob@example.org").credential_version, version + 2);
    ASSERT_TRUE(run(directory.set_status("bob@example.org", AccountStatus::disabled)));
    EXPECT_EQ(find("bob@example.org").credential_version, version + 2) << "nothing changed";
    EXPECT_EQ(code(run(directory.set_password("no@example.org", ""))), Errc::not_found);
    EXPECT_EQ(code(run(directory.set_status("no@example.org", AccountStatus::enabled))), Errc::not_found);
}

TEST_F(DirectoryTest, UpgradesAPasswordOnlyWhileItIsTheOldOne) {
    domain("example.org");
    auto bob = account("bob@example.org", "{PLAIN}old");
    EXPECT_EQ(code(run(directory.upgrade_password(bob.id, "{PLAIN}other", "{ARGON2ID}x"))), Errc::conflict);
    EXPECT_EQ(find("bob@example.org").password, "{PLAIN}old");
    EXPECT_TRUE(run(directory.upgrade_password(bob.id, "{PLAIN}old", "{ARGON2ID}x")));
    EXPECT_EQ(find("bob@example.org").password, "{ARGON2ID}x");
    EXPECT_EQ(find("bob@example.org").credential_version, bob.credential_version + 1);
    EXPECT_EQ(code(run(directory.upgrade_password(AccountId(9999), "", ""))), Errc::not_found);
}

TEST_F(DirectoryTest, FreesTheAddressOfARemovedAccount) {
    domain("example.org");
    auto bob = account("bob@example.org");
    auto removed = run(directory.remove_account("BOB@example.org"));
    ASSERT_TRUE(removed);
    EXPECT_EQ(removed->id, bob.id);
    EXPECT_EQ(code(run(directory.remove_account("bob@example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.account(bob.id))), Errc::not_found);
    auto carol = account("carol@example.org");
    alias("bob@example.org", {"carol@example.org"});
    EXPECT_EQ(code(run(directory.remove_account("bob@example.org"))), Errc::not_found) << "an alias is no account";
    EXPECT_EQ(code(run(directory.remove_alias("carol@example.org"))), Errc::not_found) << "nor the other way";
    expect_totals(1, 1, 1);
}

TEST_F(DirectoryTest, DoesNotGiveTheAccountThatTookAnAddressForTheOneThatHadIt) {
    domain("example.org");
    auto bob = account("bob@example.org");
    // A reader may have read the id's place just before the account was removed and its address taken anew.
    AccountId gone(bob.id.value + 1);
    engine::Batch batch;
    batch.put(account_id_key(gone), encode_location({"bob", "example.org"}));
    ASSERT_TRUE(run(engine.commit(kDirectoryPartition, std::move(batch))));
    EXPECT_EQ(code(run(directory.account(gone))), Errc::not_found);
    EXPECT_EQ(code(run(directory.upgrade_password(gone, "", "{PLAIN}x"))), Errc::not_found);
    EXPECT_TRUE(run(directory.account(bob.id)));
}

TEST_F(DirectoryTest, ListsInOrderPageByPage) {
    domain("a.example");
    domain("b.example");
    std::vector<std::string> all;
    for (const char* name : {"b.example", "a.example"})
        for (int i = 9; i >= 0; --i) {
            std::string address = "user" + std::to_string(i) + "@" + name;
            account(address);
            alias("alias" + std::to_string(i) + "@" + name, {address});
            all.push_back(address);
        }
    std::ranges::sort(all, {}, [](auto& text) { return std::pair(text.substr(text.find('@')), text); });

    std::vector<std::string> listed;
    for (std::string after;;) {
        auto page = run(directory.accounts("", after, 3));
        ASSERT_TRUE(page);
        ASSERT_LE(page->size(), 3U);
        if (page->empty()) break;
        for (auto& entry : *page) listed.push_back(entry.address);
        after = listed.back();
    }
    EXPECT_EQ(listed, all);
    auto one = run(directory.accounts("B.example", "", 100));
    ASSERT_TRUE(one);
    EXPECT_EQ(one->size(), 10U);
    EXPECT_EQ(one->front().address, "user0@b.example");
    EXPECT_EQ(run(directory.accounts("b.example", "user7@b.example", 100))->size(), 2U);
    EXPECT_EQ(run(directory.accounts("b.example", "user7@a.example", 100))->size(), 10U) << "before the domain";
    EXPECT_EQ(run(directory.accounts("a.example", "user7@b.example", 100))->size(), 0U) << "behind the domain";
    EXPECT_EQ(run(directory.accounts("a.example", "", 0))->size(), 0U);
    EXPECT_EQ(run(directory.aliases("a.example", "alias8@a.example", 100))->size(), 1U);
    EXPECT_EQ(run(directory.aliases("", "", 100))->size(), 20U);
    EXPECT_EQ(run(directory.aliases("", "", 100))->at(0).targets, std::vector<std::string>{"user0@a.example"});
    EXPECT_EQ(code(run(directory.accounts("c.example", "", 10))), Errc::not_found);
    EXPECT_EQ(code(run(directory.accounts("", "no address", 10))), Errc::invalid);
}

TEST_F(DirectoryTest, ChecksAnAliasBeforeItIsMade) {
    domain("example.org");
    account("bob@example.org");
    EXPECT_EQ(code(run(directory.add_alias("x@example.org", {}))), Errc::invalid);
    EXPECT_EQ(code(run(directory.add_alias("x@example.org", {"nobody@example.org"}))), Errc::not_found);
    EXPECT_EQ(code(run(directory.add_alias("away@example.org", {"bob@elsewhere"}))), std::nullopt)
        << "in another server";
    EXPECT_EQ(code(run(directory.add_alias("x@example.org", {"x@example.org"}))), Errc::not_found) << "itself";
    EXPECT_EQ(code(run(directory.add_alias("x@elsewhere.example", {"bob@example.org"}))), Errc::not_found);
    EXPECT_EQ(code(run(directory.add_alias("x@example.org", {"bob"}))), Errc::invalid);
    auto made =
        run(directory.add_alias("X@example.org", {"Bob@example.org", "bob@EXAMPLE.org", "bob+lists@example.org"}));
    ASSERT_TRUE(made);
    EXPECT_EQ(made->address, "x@example.org");
    EXPECT_EQ(made->targets, (std::vector<std::string>{"bob@example.org", "bob+lists@example.org"}));
    EXPECT_EQ(code(run(directory.remove_alias("y@example.org"))), Errc::not_found);
}

TEST_F(DirectoryTest, MakesNoAddressThatLooksLikeAPattern) {
    domain("example.org");
    account("jane@example.org");
    for (std::string address : {"*@example.org", "sales-*@example.org", "\"*\"@example.org"}) {
        auto alias = run(directory.add_alias(address, {"jane@example.org"}));
        ASSERT_FALSE(alias) << address;
        EXPECT_EQ(alias.error().code(), Errc::invalid);
        EXPECT_TRUE(alias.error().detail().contains("catch-all")) << alias.error().detail();
        EXPECT_FALSE(run(directory.add_account(address, {}))) << address;
        auto imported = run(directory.import_accounts({{address, ""}}, Directory::AddDomains::no));
        ASSERT_TRUE(imported && imported->refused.size() == 1) << address;
    }
    expect_totals(1, 1, 0);
}

TEST_F(DirectoryTest, LimitsTheTargetsOfAnAlias) {
    Directory small(engine, clock, {.alias_targets = 3});
    domain("example.org");
    std::vector<std::string> targets;
    for (int i = 0; i < 3; ++i) targets.push_back(account("u" + std::to_string(i) + "@example.org").address);
    EXPECT_TRUE(run(small.add_alias("three@example.org", targets)));
    targets.push_back(account("u4@example.org").address);
    EXPECT_EQ(code(run(small.add_alias("four@example.org", targets))), Errc::invalid);
}

TEST_F(DirectoryTest, SetsACatchAllOnlyToAnAddressThatExists) {
    domain("example.org");
    account("bob@example.org");
    EXPECT_EQ(code(run(directory.set_catch_all("example.org", "nobody@example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.set_catch_all("elsewhere.example", "bob@example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.set_catch_all("example.org", "bob"))), Errc::invalid);
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "BOB@example.org")));
    EXPECT_EQ(run(directory.domains())->at(0).catch_all, "bob@example.org");
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "")));
    EXPECT_EQ(run(directory.domains())->at(0).catch_all, "");
    expect_totals(1, 1, 0);
}

TEST_F(DirectoryTest, ShowsItsStateToADirectoryOpenedLater) {
    domain("example.org");
    auto bob = account("bob@example.org", "{PLAIN}x");
    alias("sales@example.org", {"bob@example.org"});
    Directory later(engine, clock, {});
    auto found = run(later.resolve({"sales", "example.org"}));
    ASSERT_TRUE(found);
    ASSERT_EQ(found->accounts.size(), 1U);
    EXPECT_EQ(found->accounts[0], bob.id);
}

// Races.

Task<> try_to_add(Directory& directory, int& added, int& refused) {
    auto result = co_await directory.add_account("bob@example.org", "");
    if (result)
        ++added;
    else if (result.error().code() == Errc::exists)
        ++refused;
}

TEST_F(DirectoryTest, AddsAnAddressOnceWhenManyAddItAtATime) {
    domain("example.org");
    int added = 0, refused = 0;
    asio::io_context context(1);
    for (int i = 0; i < 20; ++i) asio::co_spawn(context, try_to_add(directory, added, refused), asio::detached);
    context.run();
    EXPECT_EQ(added, 1);
    EXPECT_EQ(refused, 19);
    expect_totals(1, 1, 0);
}

TEST_F(DirectoryTest, AddsAnAddressOnceWhenTwoDirectoriesAddItAtATime) {
    Directory other(engine, clock, {});  // as another process of a cluster would: no common lock
    domain("example.org");
    int added = 0, refused = 0;
    asio::io_context context(1);
    for (int i = 0; i < 10; ++i) {
        asio::co_spawn(context, try_to_add(directory, added, refused), asio::detached);
        asio::co_spawn(context, try_to_add(other, added, refused), asio::detached);
    }
    context.run();
    EXPECT_EQ(added, 1);
    EXPECT_EQ(refused, 19);
    expect_totals(1, 1, 0);
}

TEST_F(DirectoryTest, LosesNoAccountWhenThreadsAddDifferentOnes) {
    domain("example.org");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                auto address = "u" + std::to_string(t) + "-" + std::to_string(i) + "@example.org";
                EXPECT_TRUE(run(directory.add_account(address, "")));
                EXPECT_TRUE(run(directory.find_account(address)));
            }
        });
    for (auto& thread : threads) thread.join();
    expect_totals(1, 200, 0);
    auto all = run(directory.accounts("", "", 1000));
    ASSERT_TRUE(all);
    std::set<AccountId> ids;
    for (auto& entry : *all) ids.insert(entry.id);
    EXPECT_EQ(ids.size(), 200U);
}

TEST_F(DirectoryTest, TriesAgainAfterAConflictAndGivesUpAfterMany) {
    domain("example.org");
    engine.fail_next_commits(3, Errc::conflict);
    EXPECT_TRUE(run(directory.add_account("bob@example.org", "")));
    engine.fail_next_commits(1'000'000, Errc::conflict);
    EXPECT_EQ(code(run(directory.add_account("carol@example.org", ""))), Errc::busy);
    engine.fail_next_commits(0, Errc::conflict);
    EXPECT_TRUE(run(directory.add_account("carol@example.org", ""))) << "the lock is free again";
}

TEST_F(DirectoryTest, ReportsTheEnginesFailuresAndChangesNothing) {
    domain("example.org");
    account("bob@example.org");
    for (auto failure : {Errc::io, Errc::no_space, Errc::cancelled}) {
        engine.fail_next_commits(1, failure);
        EXPECT_EQ(code(run(directory.add_account("carol@example.org", ""))), failure);
        engine.fail_next_reads(1, failure);
        EXPECT_EQ(code(run(directory.find_account("bob@example.org"))), failure) << "not: no such account";
        engine.fail_next_reads(1, failure);
        EXPECT_EQ(code(run(directory.resolve({"bob", "example.org"}))), failure) << "not: unknown user";
        engine.fail_next_reads(1, failure);
        EXPECT_EQ(code(run(directory.domains())), failure);
        engine.fail_next_reads(1, failure);
        EXPECT_EQ(code(run(directory.totals())), failure);
    }
    expect_totals(1, 1, 0);
}

TEST_F(DirectoryTest, CallsADamagedOrNewerRecordCorrupt) {
    domain("example.org");
    account("bob@example.org");
    std::string key = "aexample.org";
    key += '\0';
    key += "bob";
    auto good = run(engine.get(kDirectoryPartition, key));
    ASSERT_TRUE(good);
    std::vector<std::string> bad = {"", "\x01", *good + "x", '\x02' + good->substr(1),
                                    '\x01' + std::string("\x09") + good->substr(2)};
    for (std::size_t size = 1; size < good->size(); ++size) bad.push_back(good->substr(0, size));
    for (const auto& value : bad) {
        engine::Batch batch;
        batch.put(key, value);
        ASSERT_TRUE(run(engine.commit(kDirectoryPartition, std::move(batch))));
        EXPECT_EQ(code(run(directory.find_account("bob@example.org"))), Errc::corrupt);
        EXPECT_EQ(code(run(directory.resolve({"bob", "example.org"}))), Errc::corrupt);
        EXPECT_EQ(code(run(directory.accounts("", "", 10))), Errc::corrupt);
        EXPECT_EQ(code(run(directory.set_password("bob@example.org", ""))), Errc::corrupt);
    }
}

TEST_F(DirectoryTest, KeepsSecretsBesideThePassword) {
    domain("example.org");
    account("bob@example.org", "{PLAIN}one");
    auto key = address_key({"bob", "example.org"});
    auto version = [&] { return (*run(engine.get(kDirectoryPartition, key)))[0]; };
    EXPECT_EQ(version(), 1) << "as older programs wrote it, and read it";
    ASSERT_TRUE(run(directory.set_shared_secret("Bob@example.org", "shared")));
    EXPECT_EQ(version(), 2);
    ASSERT_TRUE(run(directory.set_password("bob@example.org", {"{PLAIN}two", "{SCRAM-SHA-256}keys"})));
    auto bob = find("bob@example.org");
    EXPECT_EQ(bob.shared_secret, "shared") << "a new password leaves it";
    EXPECT_EQ(bob.scram_keys, "{SCRAM-SHA-256}keys");
    EXPECT_EQ(bob.credential_version, 3U);
    ASSERT_TRUE(run(directory.set_status("bob@example.org", AccountStatus::disabled)));
    EXPECT_EQ(find("bob@example.org").scram_keys, "{SCRAM-SHA-256}keys");
    EXPECT_EQ(code(run(directory.upgrade_password(bob.id, "{PLAIN}one", {"x", "y"}))), Errc::conflict);
    ASSERT_TRUE(run(directory.upgrade_password(bob.id, "{PLAIN}two", {"{PLAIN}two", "more"})));
    EXPECT_EQ(find("bob@example.org").scram_keys, "more");
    using Add = Directory::AddDomains;
    ASSERT_TRUE(run(directory.import_accounts({{"bob@example.org", "{PLAIN}three"}}, Add::no)));
    EXPECT_EQ(find("bob@example.org").scram_keys, "") << "of another password";
    ASSERT_TRUE(run(directory.set_shared_secret("bob@example.org", "")));
    EXPECT_EQ(version(), 1);
    EXPECT_EQ(code(run(directory.set_shared_secret("nobody@example.org", "x"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.set_shared_secret("bob@example.org", std::string(1025, 'x')))), Errc::invalid);
    EXPECT_EQ(code(run(directory.set_password("bob@example.org", {"x", std::string(1025, 'x')}))), Errc::invalid);
}

TEST_F(DirectoryTest, MakesTheServersSecretOnce) {
    auto secret = run(directory.server_secret());
    ASSERT_TRUE(secret);
    EXPECT_EQ(secret->size(), 32U);
    EXPECT_EQ(*run(directory.server_secret()), *secret);
    Directory again(engine, clock, {});
    EXPECT_EQ(*run(again.server_secret()), *secret);
    test::MemoryEngine other_engine;
    Directory other(other_engine, clock, {});
    EXPECT_NE(*run(other.server_secret()), *secret);
}

TEST_F(DirectoryTest, TellsTheOneSpellingOfAnAddress) {
    EXPECT_EQ(directory.canonical("Bob@Example.ORG"), "bob@example.org");
    EXPECT_EQ(directory.canonical("no address"), "no address");
}

TEST_F(DirectoryTest, SplitsTheDetailFromWhatPeopleType) {
    struct Case {
        std::string_view text, address, detail;
    };
    for (auto [text, address, detail] : {
             Case{"bob+junk@example.org", "bob@example.org", "junk"},
             {"bob+a+b@example.org", "bob@example.org", "a+b"},
             {"bob+@example.org", "bob@example.org", ""},
             {"bob+a b/c@example.org", "bob@example.org", "a b/c"},
             {"bob+junk", "bob", "junk"},
             {"++x@example.org", "+@example.org", "x"},
         }) {
        auto parts = directory.split_detail(text);
        ASSERT_TRUE(parts) << text;
        EXPECT_EQ(parts->address, address);
        EXPECT_EQ(parts->detail, detail);
    }
    for (auto text : {"bob@example.org", "", "@", "+", "+bob@example.org", "bob@example+org", "\"bob+x\"@example.org"})
        EXPECT_FALSE(directory.split_detail(text)) << text;
}

}  // namespace
TEST_F(DirectoryTest, AnAccountsSettingsStayUntilTheyAreTakenBack) {
    domain("example.org");
    account("jane@example.org", "{PLAIN}x");
    AccountSettings settings{.expire_days = 30, .login_delay = 900, .keep_deleted = true};
    ASSERT_TRUE(test::run(test::set_settings(directory, "Jane@Example.org", settings)));
    ASSERT_TRUE(test::run(directory.set_password("jane@example.org", "{PLAIN}y")));
    EXPECT_EQ(find("jane@example.org").settings, settings);
    ASSERT_TRUE(test::run(test::set_settings(directory, "jane@example.org", {})));
    EXPECT_EQ(find("jane@example.org").settings, AccountSettings{});
    EXPECT_EQ(code(test::run(test::set_settings(directory, "nobody@example.org", {}))), Errc::not_found);
}

TEST_F(DirectoryTest, KnowsTheStrictestSettingsWithoutLookingAtEveryAccount) {
    domain("example.org");
    auto strictest = [&] { return *test::run(directory.strictest_settings()); };
    EXPECT_EQ(strictest(), AccountSettings{});
    struct Step {
        std::string address;
        AccountSettings own, expected;
    };
    for (const auto& [address, own, expected] : {
             Step{"a@example.org", {kNeverExpires, 0}, {kNeverExpires, 0}},
             {"b@example.org", {300, 60}, {300, 60}},
             {"c@example.org", {5, std::nullopt}, {5, 60}},
             {"d@example.org", {std::nullopt, 86'400}, {5, 86'400}},
             {"c@example.org", {400, 61}, {300, 86'400}},
             {"d@example.org", {}, {300, 61}},
         }) {
        (void)test::run(directory.add_account(address, ""));
        ASSERT_TRUE(test::run(test::set_settings(directory, address, own)));
        EXPECT_EQ(strictest(), expected) << address;
    }
    for (const auto* address : {"b@example.org", "c@example.org"})
        ASSERT_TRUE(test::run(directory.remove_account(address)));
    EXPECT_EQ(strictest(), (AccountSettings{kNeverExpires, 0}));
}

}  // namespace poplar::directory
