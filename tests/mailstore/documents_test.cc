// Documents of an account, and facts that it remembers for a while.
#include "mailstore/document.h"

#include "mailstore/keys.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

class DocumentsTest : public MailboxFixture {
protected:
    ModSequence put_document(const std::string& name, std::string content) {
        auto version = run(store_.put_document(kAccount, name, std::move(content)));
        EXPECT_TRUE(version) << (version ? "" : version.error().detail());
        return version ? *version : ModSequence();
    }
    std::string content(const std::string& name) {
        auto found = run(store_.document(kAccount, name));
        return found ? found->content : "!" + std::string(to_string(found.error().code()));
    }
    std::string names() {
        auto all = run(store_.documents(kAccount));
        EXPECT_TRUE(all);
        std::string text;
        for (const auto& one : *all) text += (text.empty() ? "" : " ") + one.name + "=" + std::to_string(one.octets);
        return text;
    }
};

TEST_F(DocumentsTest, ArePutListedReadAndRemoved) {
    EXPECT_EQ(content("sieve/main"), "!not_found");
    put_document("sieve/main", "keep;");
    const auto large = std::string(kLargestDocument, '\0');
    put_document("identity", large);
    EXPECT_EQ(names(), "identity=1048576 sieve/main=5");
    EXPECT_EQ(content("sieve/main"), "keep;");
    EXPECT_EQ(content("identity"), large);
    put_document("sieve/main", "");
    EXPECT_EQ(content("sieve/main"), "");
    ASSERT_TRUE(run(store_.remove_document(kAccount, "identity")));
    EXPECT_EQ(code_of(run(store_.remove_document(kAccount, "identity"))), Errc::not_found);
    EXPECT_EQ(names(), "sieve/main=0");
    expect_sound();
}

TEST_F(DocumentsTest, AreReplacedOnlyIfTheyAreAsExpected) {
    const auto first = *run(store_.put_document(kAccount, "a", "1", ModSequence(0)));
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, "a", "2", ModSequence(0)))), Errc::exists);
    const auto second = *run(store_.put_document(kAccount, "a", "2", first));
    EXPECT_EQ(run(store_.document(kAccount, "a"))->info.version, second);
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, "a", "3", first))), Errc::exists);
    EXPECT_EQ(code_of(run(store_.remove_document(kAccount, "a", first))), Errc::exists);
    EXPECT_EQ(content("a"), "2");
    ASSERT_TRUE(run(store_.remove_document(kAccount, "a", second)));
}

TEST_F(DocumentsTest, HaveLimits) {
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, "", "x"))), Errc::invalid);
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, std::string(641, 'n'), "x"))), Errc::invalid);
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, "n", std::string(kLargestDocument + 1, 'x')))),
              Errc::too_large);
    options_.documents = 2;
    MailStore store(engine_, clock_, options_);
    ASSERT_TRUE(run(store.put_document(kAccount, "a", "x")));
    ASSERT_TRUE(run(store.put_document(kAccount, "b", "x")));
    EXPECT_EQ(code_of(run(store.put_document(kAccount, "c", "x"))), Errc::too_large);
    ASSERT_TRUE(run(store.put_document(kAccount, "b", "y")));
}

TEST_F(DocumentsTest, AreInTheChangeLogAndGoWithTheAccount) {
    append("x");
    const auto before = *run(engine_.change_number(kAccount, nullptr));
    put_document("a", "1");
    auto told = run(store_.changes_since(kAccount, before));
    ASSERT_EQ(told->changes.size(), 1u);
    EXPECT_EQ(told->changes.front().kind, Change::Kind::document);
    ASSERT_TRUE(run(store_.remember(kAccount, "f", "v", clock_.now() + std::chrono::days(1))));
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::closed)));
    EXPECT_EQ(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->size(), 1u);
    EXPECT_EQ(code_of(run(store_.put_document(kAccount, "a", "1"))), Errc::not_found);
}

using FactsTest = DocumentsTest;

TEST_F(FactsTest, AreRememberedOnceUntilTheyExpire) {
    const auto in = [&](int hours) { return clock_.now() + std::chrono::hours(hours); };
    EXPECT_EQ(*run(store_.fact(kAccount, "vacation/a@x")), std::nullopt);
    EXPECT_TRUE(*run(store_.remember(kAccount, "vacation/a@x", "1", in(2))));
    EXPECT_FALSE(*run(store_.remember(kAccount, "vacation/a@x", "2", in(9)))) << "it is there";
    EXPECT_EQ(*run(store_.fact(kAccount, "vacation/a@x")), "1");
    clock_.advance(std::chrono::hours(2));
    EXPECT_EQ(*run(store_.fact(kAccount, "vacation/a@x")), std::nullopt);
    EXPECT_TRUE(*run(store_.remember(kAccount, "vacation/a@x", "3", in(1))));
    EXPECT_EQ(*run(store_.fact(kAccount, "vacation/a@x")), "3");
    EXPECT_EQ(code_of(run(store_.remember(kAccount, "", "x", in(1)))), Errc::invalid);
    EXPECT_EQ(code_of(run(store_.remember(kAccount, "x", std::string(kLargestFact + 1, 'x'), in(1)))), Errc::too_large);
    expect_sound();
}

TEST_F(FactsTest, ExpiredOnesGoWithNewOnes) {
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(
            *run(store_.remember(kAccount, "old" + std::to_string(i), "", clock_.now() + std::chrono::hours(1))));
    clock_.advance(std::chrono::hours(1));
    for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(
            *run(store_.remember(kAccount, "new" + std::to_string(i), "", clock_.now() + std::chrono::hours(1))));
    EXPECT_EQ(run(engine_.scan(kAccount, keys::facts(), 100))->size(), 10u);
    expect_sound();
}

TEST_F(FactsTest, ARepairMakesTheirExpiryFitAgain) {
    ASSERT_TRUE(*run(store_.remember(kAccount, "a", "v", clock_.now() + std::chrono::hours(1))));
    put(keys::fact_expiry(clock_.now(), "b"), "");
    EXPECT_FALSE(run(store_.check(kAccount)));
    EXPECT_TRUE(*run(store_.repair(kAccount)));
    expect_sound();
    EXPECT_EQ(*run(store_.fact(kAccount, "a")), "v");
}

TEST_F(DocumentsTest, AFilingWithAnUnknownOutcomeIsMadeOnce) {
    using Applied = test::MemoryEngine::Applied;
    add("Work");
    std::size_t times = 0;
    for (const auto applied : {Applied::no, Applied::yes}) {
        Filing filing;
        for (const auto* mailbox : {"INBOX", "Work"}) {
            Filing::Item item;
            item.message = message("a");
            item.mailbox = mailbox;
            filing.items.push_back(std::move(item));
        }
        filing.facts = {{"told", "", clock_.now() + std::chrono::hours(1), true}};
        engine_.fail_next_commits(1, Errc::outcome_unknown, applied);
        const auto filed = run(store_.file(kAccount, filing));
        ASSERT_TRUE(filed) << filed.error().detail();
        EXPECT_EQ(filed->size(), 2u);
        ++times;
        EXPECT_EQ(list("INBOX").size(), times);
        EXPECT_EQ(list("Work").size(), times);
        EXPECT_TRUE(run(store_.fact(kAccount, "told"))->has_value());
    }
    EXPECT_TRUE(run(store_.check(kAccount)));
}

}  // namespace
}  // namespace poplar::mailstore
