#include "engine/local/disk_pool.h"

#include <gtest/gtest.h>

#include <latch>
#include <string>

#include "base/asio.h"

namespace poplar::engine::local {
namespace {

/// One thread that is held up while jobs come.
class HeldDiskPool : public testing::Test {
public:
    HeldDiskPool() {
        pool_.post([this] {
            entered_.count_down();
            gate_.wait();
        });
        entered_.wait();
    }
    ~HeldDiskPool() override { context_.run(); }

    auto job(char name) {
        return [this, name]() -> Result<> {
            order_.push_back(name);
            return {};
        };
    }
    void read(std::uint64_t partition, char name) {
        auto one = [](HeldDiskPool& self, PartitionId of, char name) -> Task<> {
            EXPECT_TRUE(co_await self.pool_.read(of, self.job(name)));
        };
        asio::co_spawn(context_, one(*this, PartitionId(partition), name), asio::detached);
        context_.poll();
    }
    void write(const void* writer, char name) {
        auto one = [](HeldDiskPool& self, const void* by, char name) -> Task<> {
            EXPECT_TRUE(co_await self.pool_.write(by, self.job(name)));
        };
        asio::co_spawn(context_, one(*this, writer, name), asio::detached);
        context_.poll();
    }
    std::string order() {
        gate_.count_down();
        context_.run();
        return order_;
    }

    asio::io_context context_{1};
    std::latch entered_{1}, gate_{1};
    std::string order_;
    DiskPool pool_{1};
};

TEST_F(HeldDiskPool, AnAccountsReadWaitsForOneOfEachOtherAccount) {
    for (char name : std::string("abcdefgh")) read(1, name);
    read(2, '2');
    read(3, '3');
    EXPECT_EQ(order(), "a23bcdefgh");
}

TEST_F(HeldDiskPool, NeitherReadsNorMessagesThatComeInKeepOutTheOthers) {
    for (char name : std::string("abcdefgh")) read(1, name);
    int first, second;
    for (char name : std::string("123")) write(&first, name);
    write(&second, '+');
    const auto found = order();
    EXPECT_LT(found.find('1'), 3u) << found;
    EXPECT_LT(found.find('+'), found.find('2')) << found;
    EXPECT_LT(found.find('b'), found.find('+')) << found;
}

TEST_F(HeldDiskPool, TellsWhatFailed) {
    Result<> got;
    auto one = [](HeldDiskPool& self, Result<>& result) -> Task<> {
        auto work = []() -> Result<> { return fail(Errc::io, "no disk"); };
        result = co_await self.pool_.read(PartitionId(1), std::move(work));
    };
    asio::co_spawn(context_, one(*this, got), asio::detached);
    context_.poll();
    order();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Errc::io);
}

}  // namespace
}  // namespace poplar::engine::local
