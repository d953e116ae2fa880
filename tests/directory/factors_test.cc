// Second factors of accounts, as they are stored.
#include "directory/factors.h"

#include <fmt/format.h>

#include "directory/records.h"
#include "tests/directory/fixture.h"
#include "tests/support/set_settings.h"

namespace poplar::directory {
namespace {

using test::run;

class FactorsTest : public DirectoryTest {
protected:
    FactorsTest() { domain("example.org"); }

    static Factors full(Timestamp now) {
        Factors factors;
        factors.totp = Totp{"12345678901234567890", true, {56'000'000, 57'000'000}, {"one", "two"}};
        factors.wrong_codes = 3;
        factors.wrong_counted = now;
        factors.sites = {{Site::Kind::window, 1, "192.0.2.0/24", "192.0.2.1", Service::pop3, now, now},
                         {Site::Kind::accepted, 2, "2001:db8::/64", "2001:db8::1", Service::imap, now, now},
                         {Site::Kind::denied, 3, "unix", "unix", Service::pop3, now, now},
                         {Site::Kind::pending, 4, "198.51.100.0/24", "198.51.100.1", Service::sieve, now, now}};
        factors.next_site = 5;
        factors.mailed_code = "hash";
        factors.mailed = now;
        return factors;
    }
    Result<Factors> put(AccountId id, Factors wanted, std::optional<std::uint64_t> version = {}) {
        auto change = [&](Factors& factors, Timestamp) -> Result<> {
            factors = wanted;
            return {};
        };
        return run(directory.change_factors(id, version, change));
    }
    Result<Domain> set_policy(const std::string& name, std::optional<FactorPolicy> wanted) {
        auto set = [&](std::optional<FactorPolicy>& policy) -> Result<> {
            policy = wanted;
            return {};
        };
        return run(directory.change_second_factor(name, set));
    }
    /// Puts octets in the place of the record.
    void damage(AccountId id) {
        engine::Batch batch;
        batch.put(factors_key(id), "damaged");
        ASSERT_TRUE(run(engine.commit(kDirectoryPartition, std::move(batch))));
    }
    std::vector<Site::Kind> kinds(AccountId id) {
        std::vector<Site::Kind> out;
        for (const auto& site : run(directory.factors(id))->sites) out.push_back(site.kind);
        return out;
    }
};

TEST_F(FactorsTest, AreReadAsTheyWereWritten) {
    const auto bob = account("bob@example.org").id;
    EXPECT_EQ(run(directory.factors(bob)), Factors{});
    const auto all = full(clock.now());
    EXPECT_EQ(put(bob, all), all);
    EXPECT_EQ(run(directory.factors(bob)), all);
    EXPECT_EQ(put(bob, Factors{}), Factors{});
    EXPECT_FALSE(run(engine.get(kDirectoryPartition, factors_key(bob))));
}

TEST_F(FactorsTest, DamagedOrNewerRecordsAreCorrupt) {
    const auto good = encode(full(clock.now()));
    for (std::size_t size = 0; size < good.size(); ++size) {
        auto cut = decode_factors(good.substr(0, size));
        EXPECT_TRUE(!cut || *cut != full(clock.now())) << size;  // tags may end where a whole field does
    }
    EXPECT_FALSE(decode_factors(""));
    EXPECT_FALSE(decode_factors("\x02"));
    EXPECT_FALSE(decode_factors(good + '\x7f'));
}

TEST_F(FactorsTest, AChangeIsMadeForTheAccountThatWasRead) {
    const auto bob = account("bob@example.org");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}new")));
    EXPECT_EQ(code(put(bob.id, full(clock.now()), bob.credential_version)), Errc::conflict);
    EXPECT_EQ(run(directory.factors(bob.id)), Factors{});
    EXPECT_TRUE(put(bob.id, full(clock.now()), bob.credential_version + 1));
    EXPECT_EQ(code(put(AccountId(bob.id.value + 1), Factors{})), Errc::not_found);
    auto refuse = [](Factors& factors, Timestamp) -> Result<> {
        factors.totp.reset();
        return fail(Errc::denied, "no");
    };
    EXPECT_EQ(code(run(directory.change_factors(bob.id, std::nullopt, refuse))), Errc::denied);
    EXPECT_TRUE(run(directory.factors(bob.id))->totp);
}

TEST_F(FactorsTest, ANewPasswordClosesWindowsAndAnImportedOneToo) {
    const auto bob = account("bob@example.org").id;
    const std::vector kept{Site::Kind::accepted, Site::Kind::denied};
    put(bob, full(clock.now()));
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}new")));
    EXPECT_EQ(kinds(bob), kept);
    EXPECT_EQ(run(directory.factors(bob))->mailed_code, "");
    EXPECT_TRUE(run(directory.factors(bob))->totp);
    put(bob, full(clock.now()));
    ASSERT_TRUE(run(directory.import_accounts({{"bob@example.org", "{PLAIN}newer"}}, Directory::AddDomains::no)));
    EXPECT_EQ(kinds(bob), kept);
    put(bob, full(clock.now()));
    ASSERT_TRUE(run(directory.upgrade_password(bob, "{PLAIN}newer", "{PLAIN}same but stronger")));
    EXPECT_EQ(kinds(bob).size(), 4u) << "the password is the same";
}

TEST_F(FactorsTest, ADamagedRecordStopsNoNewPasswordAndNoImport) {
    std::vector<Directory::NewAccount> list;
    for (int i = 0; i < 1'000; ++i) list.push_back({fmt::format("user{}@example.org", i), "{PLAIN}old"});
    ASSERT_EQ(run(directory.import_accounts(list, Directory::AddDomains::no))->added, 1'000u);
    const auto one = find("user500@example.org");
    damage(one.id);
    for (auto& account : list) account.password = "{PLAIN}new";
    auto counts = run(directory.import_accounts(list, Directory::AddDomains::no));
    ASSERT_TRUE(counts);
    EXPECT_EQ(counts->updated, 1'000u);
    ASSERT_TRUE(run(directory.set_password("user500@example.org", "{PLAIN}newer")));
    EXPECT_EQ(find("user500@example.org").password, "{PLAIN}newer");
    EXPECT_EQ(code(run(directory.factors(one.id))), Errc::corrupt) << "which lets nobody in";
}

TEST_F(FactorsTest, WhatIsDamagedCanBeForgottenAndIsToldOf) {
    const auto bob = account("bob@example.org").id, carol = account("carol@example.org").id;
    put(bob, full(clock.now()));
    damage(carol);
    auto all = run(directory.all_factors(AccountId(), 10));
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 2u);
    EXPECT_EQ((*all)[0].account, bob);
    EXPECT_EQ((*all)[0].factors, full(clock.now()));
    EXPECT_EQ((*all)[1].account, carol);
    EXPECT_FALSE((*all)[1].factors);
    EXPECT_EQ(run(directory.all_factors(AccountId(), 1))->size(), 1u);
    EXPECT_EQ(run(directory.all_factors(bob, 10))->front().account, carol);
    ASSERT_TRUE(run(directory.forget_factors(carol)));
    EXPECT_EQ(run(directory.factors(carol)), Factors{});
    EXPECT_EQ(code(run(directory.forget_factors(AccountId(9'999)))), Errc::not_found);
}

// Two administrators, or two programs, at a time: each changes what it was asked to, whatever the order.
TEST_F(FactorsTest, OfTwoChangesAtATimeNoneIsLost) {
    const auto bob = account("bob@example.org");
    for (int steps = 0; steps < 20; ++steps) {
        ASSERT_TRUE(run(test::set_settings(directory, "bob@example.org", {})));
        asio::io_context context(1);
        auto days = [](AccountSettings& settings, const std::optional<FactorPolicy>&) -> Result<> {
            settings.expire_days = 7;
            return {};
        };
        auto delay = [](AccountSettings& settings, const std::optional<FactorPolicy>&) -> Result<> {
            settings.login_delay = 60;
            return {};
        };
        auto change = [](Directory& in, Directory::ChangeSettings what) -> Task<> {
            EXPECT_TRUE(co_await in.change_settings("bob@example.org", std::move(what)));
        };
        asio::co_spawn(context, change(directory, days), asio::detached);
        for (int step = 0; step < steps; ++step) context.poll_one();
        context.restart();  // the first may be done
        asio::co_spawn(context, change(directory, delay), asio::detached);
        context.run();
        EXPECT_EQ(find("bob@example.org").settings, (AccountSettings{.expire_days = 7, .login_delay = 60})) << steps;
    }
}

TEST_F(FactorsTest, AChangeOfSettingsKnowsTheDomainsPolicyAndMayRefuse) {
    account("bob@example.org");
    const FactorPolicy policy{SecondFactor::required, static_cast<std::uint8_t>(FactorWay::approval)};
    ASSERT_TRUE(set_policy("example.org", policy));
    std::optional<FactorPolicy> seen;
    auto refuse = [&](AccountSettings& settings, const std::optional<FactorPolicy>& of_domain) -> Result<> {
        seen = of_domain;
        settings.expire_days = 7;
        return fail(Errc::invalid, "no");
    };
    EXPECT_EQ(code(run(directory.change_settings("bob@example.org", refuse))), Errc::invalid);
    EXPECT_EQ(seen, policy);
    EXPECT_EQ(find("bob@example.org").settings, AccountSettings{});
    EXPECT_EQ(code(run(directory.change_settings("nobody@example.org", refuse))), Errc::not_found);
}

TEST_F(FactorsTest, GoWithTheAccount) {
    const auto bob = account("bob@example.org").id;
    put(bob, full(clock.now()));
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    EXPECT_FALSE(run(engine.get(kDirectoryPartition, factors_key(bob))));
}

TEST_F(FactorsTest, PoliciesOfAccountsAndDomainsAreKept) {
    const auto bob = account("bob@example.org");
    const FactorPolicy policy{SecondFactor::required, static_cast<std::uint8_t>(FactorWay::approval)};
    EXPECT_EQ(run(directory.second_factor_of("example.org")), FactorPolicy{});
    EXPECT_EQ(run(directory.second_factor_of("elsewhere.org")), FactorPolicy{});
    ASSERT_TRUE(set_policy("example.org", policy));
    ASSERT_TRUE(run(directory.set_catch_all("example.org", "bob@example.org")));
    EXPECT_EQ(run(directory.second_factor_of("example.org")), policy);
    ASSERT_TRUE(set_policy("example.org", std::nullopt));
    EXPECT_EQ(run(directory.second_factor_of("example.org")), FactorPolicy{});
    EXPECT_EQ(run(directory.domains())->front().catch_all, "bob@example.org");
    EXPECT_EQ(code(set_policy("elsewhere.org", policy)), Errc::not_found);
    ASSERT_TRUE(run(test::set_settings(directory, "bob@example.org", {.expire_days = 7, .second_factor = policy})));
    EXPECT_EQ(find("bob@example.org").settings.second_factor, policy);
    EXPECT_EQ(find("bob@example.org").settings.expire_days, 7u);
}

TEST_F(FactorsTest, ADomainsPolicyIsReadOnceAndAChangeCountsAtOnce) {
    const FactorPolicy policy{SecondFactor::optional};
    run(directory.second_factor_of("example.org"));
    const auto before = engine.reads();
    EXPECT_EQ(run(directory.second_factor_of("example.org")), FactorPolicy{});
    EXPECT_EQ(engine.reads(), before);
    ASSERT_TRUE(set_policy("example.org", policy));
    EXPECT_EQ(run(directory.second_factor_of("example.org")), policy);
    ASSERT_TRUE(run(directory.remove_domain("example.org")));
    domain("example.org");
    EXPECT_EQ(run(directory.second_factor_of("example.org")), FactorPolicy{}) << "a new domain of that name";
}

// Octets of programs before there were second factors, and of one that knows more.
TEST_F(FactorsTest, EarlierRecordsHaveNoPolicyAndNewerOnesAreCorrupt) {
    Domain old{"example.org", "", clock.now()};
    auto value = encode(old);
    auto read = decode_domain(domain_key("example.org"), value);
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->second_factor);
    EXPECT_EQ(value.size(), 10u) << "version, time and an empty address: as older programs wrote it";
    EXPECT_FALSE(decode_domain(domain_key("example.org"), value + std::string("\x01\x03", 2))) << "no such need";
    EXPECT_FALSE(decode_domain(domain_key("example.org"), value + std::string("\x01\x40", 2))) << "no such way";
    EXPECT_FALSE(decode_domain(domain_key("example.org"), value + std::string("\x1f\x00", 2)));
}

}  // namespace
}  // namespace poplar::directory
