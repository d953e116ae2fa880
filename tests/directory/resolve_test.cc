// Where mail to an address goes.
#include <gtest/gtest.h>

#include "tests/directory/fixture.h"
#include "tests/support/set_settings.h"

namespace poplar::directory {
namespace {

using test::run;
using Kind = Resolution::Kind;
using Names = std::vector<std::string>;

class Resolve : public DirectoryTest {
protected:
    void SetUp() override {
        domain("example.org");
        domain("other.example");
        account("bob@example.org");
        account("carol@example.org");
    }
    Resolution resolve(const std::string& local, const std::string& name = "example.org") {
        auto found = run(directory.resolve({local, name}));
        EXPECT_TRUE(found) << local;
        return found ? *found : Resolution{};
    }
    Names names(const Resolution& found) {
        Names out;
        for (auto id : found.accounts) {
            auto account = run(directory.account(id));
            out.push_back(account ? account->address : std::to_string(id.value));
        }
        return out;
    }
    void disable(const std::string& address) {
        ASSERT_TRUE(run(directory.set_status(address, AccountStatus::disabled)));
    }
};

TEST_F(Resolve, FindsAnAccountInAnySpelling) {
    for (const char* local : {"bob", "Bob", "BOB"}) {
        auto found = resolve(local, "EXAMPLE.Org");
        EXPECT_EQ(found.kind, Kind::accounts);
        EXPECT_EQ(names(found), Names{"bob@example.org"});
        EXPECT_EQ(found.detail, "");
    }
}

TEST_F(Resolve, FoldsLocalPartsInUtf8) {
    account("b\xc3\xbc@example.org");
    EXPECT_EQ(names(resolve("B\xc3\x9c")), Names{"b\xc3\xbc@example.org"});
    EXPECT_EQ(names(resolve("bu\xcc\x88")), Names{"b\xc3\xbc@example.org"}) << "decomposed";
}

TEST_F(Resolve, TellsADomainThatIsNotOursFromAUserWhoIsUnknown) {
    EXPECT_EQ(resolve("bob", "elsewhere.example").kind, Kind::unknown_domain);
    EXPECT_EQ(resolve("bob", "sub.example.org").kind, Kind::unknown_domain);
    EXPECT_EQ(resolve("bob", "[192.0.2.1]").kind, Kind::unknown_domain);
    EXPECT_EQ(resolve("nobody").kind, Kind::unknown_user);
    EXPECT_EQ(resolve("bob", "other.example").kind, Kind::unknown_user);
}

TEST_F(Resolve, RefusesAMalformedAddress) {
    EXPECT_EQ(code(run(directory.resolve({"bob", "bad domain"}))), Errc::invalid);
    EXPECT_EQ(code(run(directory.resolve({"", "example.org"}))), Errc::invalid);
    EXPECT_EQ(code(run(directory.resolve({"bob", ""}))), Errc::invalid);
    EXPECT_EQ(code(run(directory.resolve({"\xff", "example.org"}))), Errc::invalid);
}

TEST_F(Resolve, CutsTheDetailOffAndKeepsItsCase) {
    struct Case {
        std::string local, detail;
    };
    for (const auto& [local, detail] :
         {Case{"bob+junk", "junk"}, {"Bob+Junk", "Junk"}, {"bob+a+B", "a+B"}, {"bob+", ""}}) {
        auto found = resolve(local);
        EXPECT_EQ(names(found), Names{"bob@example.org"}) << local;
        EXPECT_EQ(found.detail, detail);
    }
    EXPECT_EQ(resolve("+bob").kind, Kind::unknown_user);
    EXPECT_EQ(resolve("nobody+x").kind, Kind::unknown_user);
}

TEST_F(Resolve, PrefersTheWholeAddressToTheOneWithoutDetail) {
    account("bob+lists@example.org");
    auto found = resolve("bob+lists");
    EXPECT_EQ(names(found), Names{"bob+lists@example.org"});
    EXPECT_EQ(found.detail, "");
    EXPECT_EQ(names(resolve("bob+other")), Names{"bob@example.org"});
}

TEST_F(Resolve, CutsAtTheSeparatorOfTheOperator) {
    Directory dashed(engine, clock, {.detail_separator = '-'});
    auto found = run(dashed.resolve({"bob-x", "example.org"}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->detail, "x");
    EXPECT_EQ(run(dashed.resolve({"bob+x", "example.org"}))->kind, Kind::unknown_user);
}

TEST_F(Resolve, FollowsAliasesToEachAccountOnce) {
    alias("two@example.org", {"bob@example.org", "carol@example.org"});
    alias("all@other.example", {"carol@example.org", "two@example.org", "bob@example.org"});
    auto found = resolve("ALL", "other.example");
    EXPECT_EQ(found.kind, Kind::accounts);
    EXPECT_EQ(names(found), (Names{"carol@example.org", "bob@example.org"}));
}

TEST_F(Resolve, LooksUpWhereAnAliasLeadsOnceUntilSomethingChanges) {
    Names targets;
    for (int i = 0; i < 50; ++i) targets.push_back(account("user" + std::to_string(i) + "@example.org").address);
    alias("all@example.org", targets);
    EXPECT_EQ(names(resolve("all")), targets);
    const auto before = engine.reads();
    for (const char* local : {"all", "ALL", "all+x"}) EXPECT_EQ(resolve(local).accounts.size(), 50u) << local;
    EXPECT_EQ(resolve("all+x").detail, "x");
    EXPECT_EQ(resolve("all").detail, "");
    EXPECT_LE(engine.reads() - before, 15u);
    disable("user0@example.org");
    EXPECT_EQ(resolve("all").accounts.size(), 49u);
    ASSERT_TRUE(run(directory.remove_account("user1@example.org")));
    EXPECT_EQ(resolve("all").accounts.size(), 48u);
    Directory without(engine, clock, {.alias_cache = 0});
    EXPECT_EQ(run(without.resolve({"all", "example.org"}))->accounts.size(), 48u);
}

TEST_F(Resolve, LooksUpNoAliasAnewBecauseSomebodyLoggedInFromElsewhere) {
    Names targets;
    for (int i = 0; i < 50; ++i) targets.push_back(account("user" + std::to_string(i) + "@example.org").address);
    alias("all@example.org", targets);
    EXPECT_EQ(names(resolve("all")), targets);
    const auto user = *run(directory.find_account("user1@example.org"));
    for (std::uint64_t place : {1, 2, 3}) {
        ASSERT_TRUE(run(directory.note_familiar_peers({{user.id, {place}}}, 16)));
        const auto before = engine.reads();
        EXPECT_EQ(resolve("all").accounts.size(), 50u);
        EXPECT_LE(engine.reads() - before, 5u);
    }
    disable("user0@example.org");
    EXPECT_EQ(resolve("all").accounts.size(), 49u);
    ASSERT_TRUE(run(directory.note_familiar_peers({{user.id, {4}}}, 16)));
    EXPECT_EQ(resolve("all").accounts.size(), 49u);
    disable("user2@example.org");
    EXPECT_EQ(resolve("all").accounts.size(), 48u);
}

TEST_F(Resolve, DoesNotTakeTwoWaysToOneAliasForACircle) {
    alias("d@example.org", {"bob@example.org"});
    alias("b@example.org", {"d@example.org"});
    alias("c@example.org", {"d@example.org", "carol@example.org"});
    alias("a@example.org", {"b@example.org", "c@example.org"});
    EXPECT_EQ(names(resolve("a")), (Names{"bob@example.org", "carol@example.org"}));
}

TEST_F(Resolve, PassesTheDetailThroughAnAlias) {
    alias("sales@example.org", {"bob@example.org"});
    auto found = resolve("sales+June");
    EXPECT_EQ(names(found), Names{"bob@example.org"});
    EXPECT_EQ(found.detail, "June");
}

TEST_F(Resolve, TakesTheDetailOfAnAliassTargetWhereThereIsOneAccount) {
    alias("lists@example.org", {"bob+lists@example.org"});
    alias("outer@example.org", {"lists@example.org"});
    alias("both@example.org", {"bob+lists@example.org", "carol@example.org"});
    EXPECT_EQ(resolve("lists").detail, "lists");
    EXPECT_EQ(resolve("lists+sub").detail, "lists");
    EXPECT_EQ(resolve("outer").detail, "lists");
    EXPECT_EQ(resolve("both").detail, "");
    EXPECT_EQ(resolve("both+sub").detail, "sub");
}

TEST_F(Resolve, FindsACircleOfAliases) {
    alias("b@example.org", {"bob@example.org"});
    alias("a@example.org", {"b@example.org"});
    ASSERT_TRUE(run(directory.remove_alias("b@example.org")));
    alias("b@example.org", {"carol@example.org", "a@example.org"});
    for (const char* local : {"a", "b", "a+x"}) {
        auto found = resolve(local);
        EXPECT_EQ(found.kind, Kind::loop) << local;
        EXPECT_TRUE(found.accounts.empty());
    }
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "a@example.org")));
    EXPECT_EQ(resolve("nobody").kind, Kind::loop);
}

TEST_F(Resolve, FollowsAliasesAsDeepAsTheLimitAndNoDeeper) {
    Directory shallow(engine, clock, {.alias_depth = 3});
    alias("a1@example.org", {"bob@example.org"});
    for (int i = 2; i <= 4; ++i)
        alias("a" + std::to_string(i) + "@example.org", {"a" + std::to_string(i - 1) + "@example.org"});
    EXPECT_EQ(run(shallow.resolve({"a3", "example.org"}))->kind, Kind::accounts);
    EXPECT_EQ(run(shallow.resolve({"a4", "example.org"}))->kind, Kind::loop);
    EXPECT_EQ(resolve("a4").kind, Kind::accounts) << "ten by default";
}

TEST_F(Resolve, LeadsToAsManyAccountsAsTheLimitAndNoMore) {
    Directory narrow(engine, clock, {.alias_targets = 4});
    for (const char* half : {"left", "right"}) {
        Names targets;
        for (int i = 0; i < 2; ++i) targets.push_back(account(half + std::to_string(i) + "@example.org").address);
        alias(std::string(half) + "@example.org", targets);
    }
    alias("four@example.org", {"left@example.org", "right@example.org"});
    alias("five@example.org", {"left@example.org", "right@example.org", "bob@example.org"});
    EXPECT_EQ(run(narrow.resolve({"four", "example.org"}))->accounts.size(), 4U);
    EXPECT_EQ(run(narrow.resolve({"five", "example.org"}))->kind, Kind::loop);
}

TEST_F(Resolve, LimitsTheAliasesOnTheWayToo) {
    Directory narrow(engine, clock, {.alias_targets = 3});
    Names targets;
    for (int i = 0; i < 3; ++i) {
        targets.push_back("a" + std::to_string(i) + "@example.org");
        alias(targets.back(), {"bob@example.org"});
    }
    alias("all@example.org", targets);
    EXPECT_EQ(run(narrow.resolve({"all", "example.org"}))->kind, Kind::loop);
    EXPECT_EQ(resolve("all").kind, Kind::accounts);
}

TEST_F(Resolve, TellsWhenEveryAccountIsDisabled) {
    alias("two@example.org", {"bob@example.org", "carol@example.org"});
    disable("bob@example.org");
    EXPECT_EQ(resolve("bob").kind, Kind::disabled);
    EXPECT_EQ(resolve("bob+x").kind, Kind::disabled);
    EXPECT_TRUE(resolve("bob").accounts.empty());
    EXPECT_EQ(names(resolve("two")), Names{"carol@example.org"}) << "the disabled one is left out";
    disable("carol@example.org");
    EXPECT_EQ(resolve("two").kind, Kind::disabled);
    ASSERT_TRUE(run(directory.set_status("carol@example.org", AccountStatus::enabled)));
    EXPECT_EQ(resolve("two").kind, Kind::accounts);
}

TEST_F(Resolve, GivesTheCatchAllWhatNobodyElseTakes) {
    alias("sales@example.org", {"carol@example.org"});
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "bob@example.org")));
    auto found = resolve("anybody+Detail");
    EXPECT_EQ(found.kind, Kind::accounts);
    EXPECT_EQ(names(found), Names{"bob@example.org"});
    EXPECT_EQ(found.detail, "") << "the detail belonged to another user";
    EXPECT_EQ(names(resolve("carol")), Names{"carol@example.org"});
    EXPECT_EQ(names(resolve("carol+x")), Names{"carol@example.org"});
    EXPECT_EQ(names(resolve("sales")), Names{"carol@example.org"});
    EXPECT_EQ(resolve("anybody", "other.example").kind, Kind::unknown_user) << "of this domain only";
    disable("bob@example.org");
    EXPECT_EQ(resolve("anybody").kind, Kind::disabled);
    disable("carol@example.org");
    EXPECT_EQ(resolve("carol").kind, Kind::disabled) << "a disabled account's mail is not the catch-all's";
}

TEST_F(Resolve, LeadsACatchAllThroughAliasesAndDetails) {
    alias("both@example.org", {"bob@example.org", "carol@example.org"});
    ASSERT_TRUE(run(directory.set_catch_all("other.example", "both@example.org")));
    EXPECT_EQ(names(resolve("x", "other.example")), (Names{"bob@example.org", "carol@example.org"}));
    ASSERT_TRUE(run(directory.set_catch_all("other.example", "bob+caught@example.org")));
    auto found = resolve("x", "other.example");
    EXPECT_EQ(names(found), Names{"bob@example.org"});
    EXPECT_EQ(found.detail, "caught");
}

TEST_F(Resolve, KnowsNobodyWhereTheTargetsAreGone) {
    alias("sales@example.org", {"bob@example.org"});
    alias("two@example.org", {"bob@example.org", "carol@example.org"});
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "bob@example.org")));
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    EXPECT_EQ(resolve("sales").kind, Kind::unknown_user);
    EXPECT_EQ(names(resolve("two")), Names{"carol@example.org"});
    EXPECT_EQ(resolve("anybody").kind, Kind::unknown_user);
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "carol@example.org")));
    EXPECT_EQ(resolve("sales").kind, Kind::unknown_user) << "the alias takes the address, not the catch-all";
    account("bob@example.org");
    EXPECT_EQ(names(resolve("sales")), Names{"bob@example.org"}) << "back again";
}

TEST_F(Resolve, FindsThePostmasterWithoutADomain) {
    EXPECT_EQ(resolve("postmaster", "elsewhere.example").kind, Kind::unknown_domain);
    EXPECT_EQ(run(directory.has_postmaster()), false);
    alias("PostMaster@other.example", {"bob@example.org"});
    for (const char* local : {"postmaster", "Postmaster", "POSTMASTER"}) {
        EXPECT_EQ(names(resolve(local, "")), Names{"bob@example.org"}) << local;
        EXPECT_EQ(names(resolve(local, "other.example")), Names{"bob@example.org"}) << local;
        EXPECT_EQ(names(resolve(local, "example.org")), Names{"bob@example.org"}) << "another domain's";
        EXPECT_EQ(resolve(local, "elsewhere.example").kind, Kind::unknown_domain);
    }
    account("postmaster@example.org");
    EXPECT_EQ(names(resolve("postmaster")), Names{"postmaster@example.org"});
    EXPECT_EQ(names(resolve("postmaster", "")), Names{"postmaster@example.org"}) << "of the first domain";
    ASSERT_TRUE(run(directory.remove_account("postmaster@example.org")));
    EXPECT_EQ(names(resolve("postmaster", "")), Names{"bob@example.org"});
    EXPECT_EQ(run(directory.has_postmaster()), true);
    ASSERT_TRUE(run(directory.remove_alias("postmaster@other.example")));
    EXPECT_EQ(run(directory.has_postmaster()), false);
}

// RFC 5321 s4.5.1.
TEST_F(Resolve, KeepsThePostmastersMailWhereThePostmasterIsNobody) {
    const std::vector<AccountId> kept = {kPostmasterMailbox};
    for (const char* local : {"postmaster", "Postmaster", "POSTMASTER"})
        for (const char* at : {"", "example.org", "EXAMPLE.ORG", "other.example"}) {
            auto found = resolve(local, at);
            EXPECT_EQ(found.kind, Kind::accounts) << local << at;
            EXPECT_EQ(found.accounts, kept) << local << at;
        }
    EXPECT_EQ(resolve("postmaster", "elsewhere.example").kind, Kind::unknown_domain);
    EXPECT_EQ(resolve("postmasters").kind, Kind::unknown_user);
    alias("postmaster@example.org", {"bob@example.org"});
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    for (const char* at : {"", "example.org", "other.example"})
        EXPECT_EQ(resolve("postmaster", at).accounts, kept) << "the alias leads to nobody: " << at;
    account("bob@example.org");
    disable("bob@example.org");
    EXPECT_EQ(resolve("postmaster").kind, Kind::disabled) << "the operator meant it";
    EXPECT_EQ(code(run(directory.account(kPostmasterMailbox))), Errc::not_found) << "nobody can log in to it";
}

TEST_F(Resolve, NamesAPostmasterTogetherWithTheDomain) {
    ASSERT_TRUE(run(directory.add_domain("third.example", "bob@example.org")));
    EXPECT_EQ(names(resolve("postmaster", "third.example")), Names{"bob@example.org"});
    EXPECT_EQ(names(resolve("postmaster", "")), Names{"bob@example.org"});
    ASSERT_TRUE(run(directory.add_domain("fourth.example", "jane@fourth.example"))) << "whose account is still to come";
    EXPECT_EQ(resolve("postmaster", "fourth.example").accounts, std::vector<AccountId>{kPostmasterMailbox});
    account("jane@fourth.example");
    EXPECT_EQ(names(resolve("postmaster", "fourth.example")), Names{"jane@fourth.example"});
    EXPECT_EQ(code(run(directory.add_domain("fifth.example", "nobody@example.org"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.add_domain("fifth.example", "x@elsewhere.example"))), Errc::not_found);
    EXPECT_EQ(code(run(directory.add_domain("fifth.example", "postmaster@fifth.example"))), Errc::invalid);
    EXPECT_EQ(resolve("postmaster", "fifth.example").kind, Kind::unknown_domain) << "all or nothing";
    expect_totals(4, 3, 2);
}

TEST_F(Resolve, GivesADomainsCatchAllItsPostmasterMailFirst) {
    account("postmaster@other.example");
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "carol@example.org")));
    EXPECT_EQ(names(resolve("postmaster")), Names{"carol@example.org"});
    ASSERT_TRUE(run(directory.remove_account("carol@example.org")));
    EXPECT_EQ(names(resolve("postmaster")), Names{"postmaster@other.example"});
}

TEST_F(Resolve, AnAliasMayLeadToOtherServers) {
    alias("away@example.org", {"x@far.example"});
    alias("team@example.org", {"bob@example.org", "y@far.example", "away@example.org", "Y@FAR.example"});
    for (int again : {1, 2}) {  // the second answer is a kept one
        const auto away = resolve("away");
        EXPECT_EQ(away.kind, Kind::accounts) << again;
        EXPECT_EQ(away.elsewhere, Names{"x@far.example"});
        EXPECT_TRUE(away.accounts.empty());
        const auto team = resolve("team");
        EXPECT_EQ(names(team), Names{"bob@example.org"});
        EXPECT_EQ(team.elsewhere, (Names{"y@far.example", "x@far.example"}));
    }
    domain("far.example");
    EXPECT_EQ(resolve("away").kind, Kind::unknown_user) << "now it is ours, and has no x";
    account("x@far.example");
    EXPECT_EQ(names(resolve("away")), Names{"x@far.example"});
}

TEST_F(Resolve, AnAccountKeepsWhatItMaySendAs) {
    AccountSettings settings{.expire_days = 7, .may_send_as = {"x@far.example", "@shop.example"}};
    ASSERT_TRUE(run(test::set_settings(directory, "bob@example.org", settings)));
    EXPECT_EQ(run(directory.find_account("bob@example.org"))->settings, settings);
}

}  // namespace
}  // namespace poplar::directory
