#pragma once
// Walks the records of one segment in order, past damage too. Replay, rebuild and verify are built on it, and so is a
// fuzz target: any bytes are allowed.
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/local/record.h"

namespace poplar::engine::local {

class File;

/// Bytes at offsets: a file, or memory in tests.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// Up to `size` octets into `to`; fewer only at the end.
    virtual Result<std::size_t> read_at(char* to, std::size_t size, std::uint64_t offset) const = 0;
    /// The first octet at or after `offset` that is not known to be an unwritten zero.
    virtual Result<std::uint64_t> next_data(std::uint64_t offset) const = 0;
};

class FileSource final : public ByteSource {
public:
    explicit FileSource(const File& file) : file_(file) {}
    Result<std::size_t> read_at(char* to, std::size_t size, std::uint64_t offset) const override;
    Result<std::uint64_t> next_data(std::uint64_t offset) const override;

private:
    const File& file_;
};

class SegmentWalk {
public:
    enum class Bodies { check, skip };
    /// Walks [begin, end) of `source`; records must have sequences of at least `min_sequence`, growing.
    SegmentWalk(const ByteSource& source, RecordMark mark, std::uint64_t begin, std::uint64_t end,
                std::uint64_t min_sequence, Bodies bodies);

    struct Step {
        enum class Kind {
            record,  ///< a commit; `body_intact` tells about its inline frames
            damage,  ///< [offset, next) is no record, but a record follows
            end,     ///< no record at or after `offset`
        };
        Kind kind = Kind::end;
        std::uint64_t offset = 0, next = 0;
        RecordHeader header;
        RecordMeta meta;
        bool body_intact = true;
        /// If not, the bodies whose frames are broken. Erased ones look so, too, because their octets were given back.
        std::vector<BodyId> broken;
        std::uint64_t body_offset() const { return offset + kRecordHeader + header.meta_octets; }
    };
    /// Errors: io.
    Result<Step> next();

private:
    Result<std::optional<Step>> record_at(std::uint64_t offset);
    Result<bool> frames_intact(std::uint64_t offset, std::uint64_t size);
    Result<std::vector<BodyId>> broken_bodies(const Step& step);
    Result<Step> skip_damage();

    const ByteSource& source_;
    RecordMark mark_;
    std::uint64_t at_, end_, min_sequence_;
    Bodies bodies_;
    std::string buffer_;
};

}  // namespace poplar::engine::local
