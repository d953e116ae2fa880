#include "engine/local/file.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/direct.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::Disk;
using engine::local::File;

/// Has the first `cached` octets of its files in memory, and notes what it is asked for.
class HalfCachedDisk final : public Disk {
public:
    ssize_t pread(int fd, void* to, std::size_t size, std::uint64_t offset) override {
        longest_read = std::max(longest_read, size);
        return Disk::pread(fd, to, size, offset);
    }
    ssize_t pread_cached(int fd, void* to, std::size_t size, std::uint64_t offset) override {
        if (offset + size > cached) missed += size;
        if (offset >= cached) return errno = EAGAIN, -1;
        return Disk::pread(fd, to, std::min<std::uint64_t>(size, cached - offset), offset);
    }

    std::uint64_t cached = 0;
    std::size_t longest_read = 0, missed = 0;
};

class LongReads : public testing::Test {
protected:
    LongReads() {
        auto path = directory_.path() / "file";
        auto made = File::open(disk_, path, File::Mode::create_new);
        if (!made || !made->write_at(content_, 0)) throw std::runtime_error("no file to read");
        file_ = std::make_unique<File>(std::move(*made));
    }

    TempDir directory_;
    HalfCachedDisk disk_;
    std::string content_ = pattern(300'001, 5);
    std::unique_ptr<File> file_;
    std::string got_ = std::string(200'000, '\0');
};

TEST_F(LongReads, FromDiskGoInStepsForTheKernelToReadAhead) {
    auto octets = file_->read_at(got_.data(), got_.size(), 77);
    ASSERT_TRUE(octets) << octets.error().detail();
    EXPECT_EQ(*octets, got_.size());
    EXPECT_TRUE(got_ == content_.substr(77, got_.size()));
    EXPECT_EQ(disk_.longest_read, 32u << 10);
}

TEST_F(LongReads, EndWithTheFile) {
    auto octets = file_->read_at(got_.data(), got_.size(), 200'000);
    ASSERT_TRUE(octets) << octets.error().detail();
    EXPECT_EQ(*octets, 100'001u);
    EXPECT_TRUE(got_.substr(0, *octets) == content_.substr(200'000));
}

TEST_F(LongReads, FromMemoryNeedAllOfIt) {
    disk_.cached = content_.size();
    ASSERT_TRUE(file_->try_read_at(got_.data(), got_.size(), 77));
    EXPECT_TRUE(got_ == content_.substr(77, got_.size()));
    for (std::uint64_t cached : {0u, 100u, 77u + (32u << 10), 150'000u, 200'076u}) {
        disk_.cached = cached;
        EXPECT_FALSE(file_->try_read_at(got_.data(), got_.size(), 77)) << cached;
    }
}

// The kernel begins to read all that is asked for and missing, at once.
TEST_F(LongReads, FromMemoryAskForNoMoreThanAStepOfWhatIsNotThere) {
    EXPECT_FALSE(file_->try_read_at(got_.data(), got_.size(), 77));
    EXPECT_EQ(disk_.missed, 32u << 10);
}

}  // namespace
}  // namespace poplar::test
