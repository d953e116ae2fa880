#include "engine/local/segment_walk.h"

#include <gtest/gtest.h>

namespace poplar::test {
namespace {

using namespace engine;
using namespace engine::local;

// A segment in memory; from an octet on the disk can't read it.
class Memory final : public ByteSource {
public:
    std::string bytes;
    std::uint64_t unreadable_from = ~0ull;

    Result<std::size_t> read_at(char* to, std::size_t size, std::uint64_t offset) const override {
        if (offset + size > unreadable_from) return fail(Errc::io, "a bad sector");
        return bytes.copy(to, size, std::min<std::uint64_t>(offset, bytes.size()));
    }
    Result<std::uint64_t> next_data(std::uint64_t offset) const override { return offset; }
};

constexpr RecordMark kMark{0x1234'5678'9abc'def0};

std::string record(std::uint64_t sequence, std::size_t value_octets, std::size_t body_octets) {
    RecordMeta meta;
    meta.change = ChangeNumber(sequence);
    meta.puts.push_back({"key", std::string(value_octets, 'v')});
    RecordHeader header;
    header.sequence = header.group = sequence;
    header.partition = PartitionId(1);
    header.body_octets = static_cast<std::uint32_t>(body_octets);
    auto encoded = encode_meta(meta);
    return encode_record_header(kMark, header, encoded) + encoded + std::string(body_octets, 'b');
}

TEST(SegmentWalk, ReadsRecordsWhoseMetadataIsShortOrLong) {
    Memory source;
    const std::size_t sizes[] = {0, 1, 900, 1000, 1024, 100'000, 5};
    std::uint64_t sequence = 0;
    for (auto size : sizes) source.bytes += record(++sequence, size, size % 7);
    SegmentWalk walk(source, kMark, 0, source.bytes.size(), 1, SegmentWalk::Bodies::skip);
    for (auto size : sizes) {
        auto step = walk.next();
        ASSERT_TRUE(step);
        ASSERT_EQ(step->kind, SegmentWalk::Step::Kind::record) << size;
        EXPECT_EQ(step->meta.puts.at(0).value.size(), size);
    }
    auto end = walk.next();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->kind, SegmentWalk::Step::Kind::end);
    EXPECT_EQ(end->offset, source.bytes.size());
}

TEST(SegmentWalk, ABadSectorInABodyDoesNotHideTheRecord) {
    Memory source;
    source.bytes = record(1, 20, 5000);
    source.unreadable_from = source.bytes.size() - 5000;
    SegmentWalk walk(source, kMark, 0, source.bytes.size(), 1, SegmentWalk::Bodies::skip);
    auto step = walk.next();
    ASSERT_TRUE(step) << step.error().detail();
    EXPECT_EQ(step->kind, SegmentWalk::Step::Kind::record);
    EXPECT_EQ(step->meta.puts.at(0).value.size(), 20u);
}

}  // namespace
}  // namespace poplar::test
