// Walks both indexes side by side, and writes what only the old one has as records of a new segment.
#include "engine/local/salvage.h"

#include <algorithm>

#include "base/encoding.h"

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kRecord = 4u << 20;  // octets of a record past which the next is begun

// Writes the records, each of one partition.
class Writer {
public:
    Writer(const StoreDirectory& directory, const Position& end)
        : directory_(directory), number_(end.segment + 1), group_(end.next_sequence), sequence_(end.next_sequence) {}

    Result<> begin(PartitionId partition) {
        if (partition == partition_) return {};
        if (auto done = flush(); !done) return done;
        partition_ = partition;
        change_ = 0;
        return {};
    }
    void change(std::uint64_t number) { change_ = std::max(change_, number); }
    void put(std::string_view key, std::string_view value) {
        meta_.puts.push_back({std::string(key), std::string(value)});
        octets_ += key.size() + value.size();
    }
    void erase(std::string_view key) {
        meta_.erased.emplace_back(key);
        octets_ += key.size();
    }
    void erase(BodyId id) { meta_.erased_bodies.push_back(id); }
    // As it stands; a frame that is damaged stays so.
    Result<> body(BodyId id, const BodyPlace& place) {
        RecordMeta::Body body{id, place.size, 0, place.file_octets, place.shared};
        if (place.inline_octets > 0) {
            auto file = directory_.segment_reader(place.segment);
            if (!file && file.error().code() != Errc::corrupt) return pass_on(file);
            std::string frames(place.inline_octets, '\0');
            Result<std::size_t> got = 0;
            if (file) got = (*file)->read_at(frames.data(), frames.size(), place.offset);
            if (!got) return pass_on(got);
            body.inline_octets = place.inline_octets;
            frames_ += frames;
        }
        meta_.bodies.push_back(body);
        return {};
    }
    Result<> flush_if_long() { return octets_ + frames_.size() < kRecord ? Result<>() : flush(); }

    Result<> flush() {
        if (meta_.puts.empty() && meta_.erased.empty() && meta_.bodies.empty() && meta_.erased_bodies.empty())
            return {};
        if (!file_) {
            auto made = directory_.create_segment(number_, sequence_);
            if (!made) return pass_on(made);
            file_ = std::move(*made);
        }
        meta_.change = ChangeNumber(++change_);
        auto meta = encode_meta(meta_);
        RecordHeader header{.sequence = sequence_++, .group = group_, .partition = partition_};
        header.body_octets = static_cast<std::uint32_t>(frames_.size());
        auto record = encode_record_header(directory_.mark(), header, meta) + meta + frames_;
        if (auto written = file_->write_at(record, offset_); !written) return written;
        offset_ += record.size();
        ++records_;
        meta_ = {};
        frames_.clear();
        octets_ = 0;
        return {};
    }
    Result<std::uint64_t> finish() {
        if (auto done = flush(); !done) return pass_on(done);
        if (file_)
            if (auto synced = file_->sync_metadata(Sync::group); !synced) return pass_on(synced);
        return records_;
    }

private:
    const StoreDirectory& directory_;
    std::optional<File> file_;
    std::uint64_t number_, group_, sequence_, offset_ = kSegmentHeader, records_ = 0;
    PartitionId partition_;
    std::uint64_t change_ = 0, octets_ = 0;
    RecordMeta meta_;
    std::string frames_;
};

}  // namespace

Result<std::uint64_t> salvage(const StoreDirectory& directory, const Index& known, const Index& anew,
                              const Position& end) {
    Writer writer(directory, end);
    Index::Walk left(known), right(anew);
    while (left.valid() || right.valid()) {
        int order = !right.valid() ? -1 : !left.valid() ? 1 : left.raw_key().compare(right.raw_key());
        const auto& one = order <= 0 ? left : right;
        if (one.partition().value > 0) {
            if (auto begun = writer.begin(one.partition()); !begun) return pass_on(begun);
            if (one.kind() == Index::Kind::change) {
                if (order <= 0) writer.change(Decoder(left.value()).u64());
                if (order >= 0) writer.change(Decoder(right.value()).u64());
            } else if (one.kind() == Index::Kind::entry) {
                if (order > 0)
                    writer.erase(one.rest());
                else if (order < 0 || left.value() != right.value())
                    writer.put(one.rest(), left.value());
            } else if (one.kind() == Index::Kind::body) {
                BodyId id(Decoder(one.rest()).u64_key());
                if (order > 0) writer.erase(id);
                if (order < 0) {
                    auto place = decode_place(left.value());
                    if (!place) return pass_on(place);
                    if (auto copied = writer.body(id, *place); !copied) return pass_on(copied);
                }
            }
            if (auto done = writer.flush_if_long(); !done) return pass_on(done);
        }
        if (order <= 0) left.next();
        if (order >= 0) right.next();
    }
    for (const auto* walk : {&left, &right})
        if (auto sound = walk->sound(); !sound) return pass_on(sound);
    return writer.finish();
}

}  // namespace poplar::engine::local
