#include "upkeep/verify.h"

#include <gtest/gtest.h>

#include "directory/removed.h"
#include "engine/local/local_engine.h"
#include "mailstore/mail_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace poplar::upkeep {
namespace {

using test::run;
class Findings final : public VerifyListener {
public:
    Task<Result<>> damaged(NamedDamage found) override {
        damage.push_back(std::move(found));
        co_return Result<>();
    }
    Task<Result<>> progress(engine::VerifyTotals) override { co_return Result<>(); }
    std::vector<NamedDamage> damage;
};

TEST(Verify, NamesMailThatBelongsToNobody) {
    test::TempDir directory_path;
    engine::local::Options options;
    options.directory = directory_path.path() / "store";
    options.min_free_space = options.reserved_space = 0;
    auto engine = engine::local::LocalEngine::open(options);
    ASSERT_TRUE(engine);
    test::ManualClock clock;
    directory::Directory directory(**engine, clock, {});
    mailstore::MailStore store(**engine, clock, {});
    directory::RemovedAccounts removed(**engine, clock, std::chrono::days(30));
    auto findings = [&] {
        Findings found;
        auto outcome = run(verify_store(**engine, directory, store, removed, found));
        EXPECT_TRUE(outcome);
        EXPECT_EQ(outcome->totals.damaged, found.damage.size());
        return found.damage;
    };
    ASSERT_TRUE(run(directory.add_domain("example.org")));
    auto account = run(directory.add_account("jane@example.org", ""));
    ASSERT_TRUE(account);
    const mailstore::AccountId nobody(5000), known(5001), empty(5002);
    for (auto id : {account->id, nobody, known}) {
        mailstore::NewMessage message;
        message.head = "Subject: x\r\n\r\n";
        ASSERT_TRUE(run(store.append(id, message)));
    }
    ASSERT_TRUE(run(store.close(empty)));
    ASSERT_TRUE(run(removed.add(known, "gone@example.org")));
    auto found = findings();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].damage.partition, nobody);
    EXPECT_TRUE(found[0].damage.what.contains("1 messages"));
    ASSERT_TRUE(run(store.purge(nobody)));
    EXPECT_TRUE(findings().empty());
}

}  // namespace
}  // namespace poplar::upkeep
