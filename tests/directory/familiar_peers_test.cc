#include "directory/records.h"
#include "tests/directory/fixture.h"

namespace poplar::directory {
namespace {

using test::run;
using PeerKeys = Directory::PeerKeys;

class FamiliarPeers : public DirectoryTest {
protected:
    void SetUp() override {
        domain("example.org");
        id = account("bob@example.org").id;
    }
    PeerKeys note(PeerKeys peers, std::size_t limit = 4) {
        auto noted = run(directory.note_familiar_peers({{id, std::move(peers)}}, limit));
        EXPECT_TRUE(noted);
        return noted && !noted->empty() ? noted->front().peers : PeerKeys{};
    }
    PeerKeys kept() {
        auto peers = run(directory.familiar_peers(id));
        EXPECT_TRUE(peers);
        return peers ? *peers : PeerKeys{};
    }
    AccountId id{};
};

TEST_F(FamiliarPeers, AreThoseThatCameLast) {
    EXPECT_EQ(kept(), PeerKeys{});
    EXPECT_EQ(note({1, 2, 3, 4, 5}), (PeerKeys{5, 4, 3, 2}));
    EXPECT_EQ(kept(), (PeerKeys{5, 4, 3, 2}));
    EXPECT_EQ(note({2}), (PeerKeys{2, 5, 4, 3})) << "it was about to be forgotten";
    EXPECT_EQ(note({6}), (PeerKeys{6, 2, 5, 4}));
}

TEST_F(FamiliarPeers, CostAWriteOnceForWhoeverComesFromTheSameFewPlaces) {
    note({1, 2});
    auto before = engine.commits();
    for (int i = 0; i < 10; ++i) note({1, 2});
    EXPECT_EQ(engine.commits(), before);
    EXPECT_EQ(kept(), (PeerKeys{2, 1}));
}

TEST_F(FamiliarPeers, OfManyAccountsAreOneCommit) {
    std::vector<Directory::SeenPeers> seen;
    for (int i = 0; i < 100; ++i) seen.push_back({account("user" + std::to_string(i) + "@example.org").id, {7}});
    auto before = engine.commits();
    ASSERT_TRUE(run(directory.note_familiar_peers(seen, 4)));
    EXPECT_EQ(engine.commits(), before + 1);
}

TEST_F(FamiliarPeers, GoWithTheAccountAndDoNotComeBack) {
    note({1});
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    EXPECT_EQ(kept(), PeerKeys{});
    EXPECT_EQ(note({1}), PeerKeys{});
    EXPECT_EQ(kept(), PeerKeys{});
}

TEST_F(FamiliarPeers, AreBegunAnewWhereTheRecordIsDamaged) {
    engine::Batch batch;
    batch.put(familiar_peers_key(id), "\x01too short");
    ASSERT_TRUE(run(engine.commit(kDirectoryPartition, std::move(batch))));
    EXPECT_EQ(code(run(directory.familiar_peers(id))), Errc::corrupt);
    EXPECT_EQ(note({1}), PeerKeys{1});
    EXPECT_EQ(kept(), PeerKeys{1});
}

}  // namespace
}  // namespace poplar::directory
