// Limits of mail, as they are set and as they hold for an account.
#include "directory/quota.h"

#include <gtest/gtest.h>

#include "tests/directory/fixture.h"

namespace poplar::directory {
namespace {

using test::run;

class Quota : public DirectoryTest {
protected:
    void SetUp() override {
        domain("example.org");
        domain("other.example");
        account("bob@example.org");
        account("carol@example.org");
        account("dan@other.example");
    }
    void limit(const std::string& address, MailLimits limits) {
        auto change = [limits](auto& settings, const auto&) -> Result<> {
            settings.quota = limits;
            return {};
        };
        ASSERT_TRUE(run(directory.change_settings(address, change)));
    }
    void limit_domain(const std::string& name, MailLimits accounts, MailLimits total = {}) {
        auto change = [=](MailLimits& of_accounts, MailLimits& of_all) {
            of_accounts = accounts;
            of_all = total;
        };
        ASSERT_TRUE(run(directory.change_quota(name, change)));
    }
    /// "octets/messages of domain: octets/messages", or "none", for each account that the address leads to.
    std::string bounds(const std::string& local, const std::string& name = "example.org") {
        auto found = run(directory.resolve({local, name}));
        if (!found) return "failed";
        std::string text;
        for (std::size_t i = 0; i < found->accounts.size(); ++i) {
            if (i != 0) text += ", ";
            const auto* one = found->bounds.empty() ? nullptr : found->bounds.at(i).get();
            auto number = [](std::uint64_t n) { return std::to_string(n); };
            text += !one ? "none"
                         : number(one->octets) + "/" + number(one->messages) + " of " + one->domain + ": " +
                               number(one->domain_octets) + "/" + number(one->domain_messages);
            auto account = run(directory.account(found->accounts[i]));
            auto same = run(directory.bounds_of(*account));
            EXPECT_TRUE(same && (*same == nullptr) == (one == nullptr) && (!one || **same == *one)) << text;
        }
        return text;
    }
};

TEST_F(Quota, AccountHasItsOwnLimitElseItsDomains) {
    EXPECT_EQ(bounds("bob"), "none");
    EXPECT_TRUE(run(directory.resolve({"bob", "example.org"}))->bounds.empty());
    limit_domain("example.org", {.octets = 1000});
    EXPECT_EQ(bounds("bob"), "1000/0 of example.org: 0/0");
    limit("bob@example.org", {.messages = 5});
    EXPECT_EQ(bounds("bob"), "1000/5 of example.org: 0/0") << "each number by itself";
    limit("bob@example.org", {.octets = 0});
    EXPECT_EQ(bounds("bob"), "none") << "0 is no limit, whatever the domain says";
    EXPECT_EQ(bounds("carol"), "1000/0 of example.org: 0/0");
    EXPECT_EQ(bounds("dan", "other.example"), "none");
    limit_domain("example.org", {}, {.octets = 5000, .messages = 50});
    EXPECT_EQ(bounds("bob"), "0/0 of example.org: 5000/50") << "also without a limit of its own";
    limit_domain("example.org", {});
    EXPECT_EQ(bounds("carol"), "none");
}

TEST_F(Quota, AliasesAndTheirTargetsBoundsStandInOneOrder) {
    alias("all@example.org", {"carol@example.org", "dan@other.example", "bob@example.org"});
    limit("dan@other.example", {.octets = 7});
    EXPECT_EQ(bounds("all"), "none, 7/0 of other.example: 0/0, none");
    limit("bob@example.org", {.messages = 3});
    EXPECT_EQ(bounds("all"), "none, 7/0 of other.example: 0/0, 0/3 of example.org: 0/0") << "what was kept is not used";
    limit_domain("example.org", {.octets = 9});
    EXPECT_EQ(bounds("all"), "9/0 of example.org: 0/0, 7/0 of other.example: 0/0, 9/3 of example.org: 0/0");
    ASSERT_TRUE(run(directory.set_catch_all("other.example", "all@example.org")));
    EXPECT_EQ(bounds("whoever", "other.example"), bounds("all"));
}

TEST_F(Quota, LimitsAndLanguageAreStored) {
    auto change = [](auto& settings, const auto&) -> Result<> {
        settings.quota = {.octets = 1ull << 50, .messages = 0};
        settings.language = "de";
        settings.login_delay = 60;
        return {};
    };
    ASSERT_TRUE(run(directory.change_settings("bob@example.org", change)));
    limit_domain("example.org", {.octets = 1, .messages = 2}, {.octets = 3, .messages = 4});
    Directory again{engine, clock, {}};
    auto bob = run(again.find_account("bob@example.org"));
    ASSERT_TRUE(bob);
    EXPECT_EQ(bob->settings.quota, (MailLimits{.octets = 1ull << 50, .messages = 0}));
    EXPECT_EQ(bob->settings.language, "de");
    EXPECT_EQ(bob->settings.login_delay, 60u);
    auto stored = run(again.domain("EXAMPLE.org"));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->quota, (MailLimits{.octets = 1, .messages = 2}));
    EXPECT_EQ(stored->total, (MailLimits{.octets = 3, .messages = 4}));
    EXPECT_EQ(code(run(again.domain("nowhere.example"))), Errc::not_found);
    auto none = [](MailLimits&, MailLimits&) {};
    EXPECT_EQ(code(run(again.change_quota("nowhere.example", none))), Errc::not_found);
}

TEST_F(Quota, ChangeOfOneLimitSeesWhatIsStored) {
    limit_domain("example.org", {.octets = 1}, {.messages = 4});
    auto change = [](MailLimits& accounts, MailLimits& total) {
        EXPECT_EQ(accounts, (MailLimits{.octets = 1}));
        EXPECT_EQ(total, (MailLimits{.messages = 4}));
        total.octets = 9;
    };
    auto stored = run(directory.change_quota("example.org", change));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->quota, (MailLimits{.octets = 1}));
    EXPECT_EQ(stored->total, (MailLimits{.octets = 9, .messages = 4}));
}

}  // namespace
}  // namespace poplar::directory
