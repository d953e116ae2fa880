#pragma once
// The content of a segment (storage-format.md, "Segments"): a header, then records, each one commit. Pure functions
// over bytes; reading and writing files is elsewhere.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace poplar::engine::local {

inline constexpr std::size_t kSegmentHeader = 64;
inline constexpr std::size_t kRecordHeader = 48;
inline constexpr std::uint32_t kMaxMeta = 256u << 20;  ///< octets; what a record's metadata may take

/// Begins every record of a store: random, made with the store, known to nobody outside. A message holds octets of its
/// sender's choice; without the mark they could be made to look like a record to a reader that searches behind damage.
using RecordMark = Strong<struct RecordMarkTag>;

/// One file of the log. Pass 0 is the segment as it was written; a later pass is a copy of what still counts in one or
/// more neighbouring segments, and stands for them all, under the number of the first.
struct SegmentId {
    std::uint64_t number = 0;
    std::uint32_t pass = 0;
    auto operator<=>(const SegmentId&) const = default;
};

/// The engine's own partition: bodies that those of several partitions end with (storage-format.md, "Shared
/// bodies").
inline constexpr PartitionId kSharedBodies{~0ull};

struct SegmentHeader {
    RecordMark mark;                   ///< as in FORMAT: a segment of another store is refused
    SegmentId id;                      ///< its place in the log, as in its name
    std::uint64_t first_sequence = 0;  ///< no record in it has a smaller one
    // Of copies:
    std::uint64_t last = 0;       ///< the number of the last segment it stands for
    std::uint64_t as_of = 0;      ///< the index durably knew the log up to here when it was decided what counts
    std::uint64_t next_body = 0;  ///< no body id below it may be given out again; 0: says nothing
};
std::string encode_segment_header(const SegmentHeader& header);
/// Errors: corrupt (damaged or no segment), invalid (a newer version).
Result<SegmentHeader> parse_segment_header(std::string_view bytes);

/// Where a body's octets are. Inline frames stand in a segment; what follows them, if anything does, is a file of its
/// own (a large body) or another body (a shared one).
struct BodyPlace {
    SegmentId segment;
    std::uint64_t offset = 0;         ///< of the inline frames
    std::uint64_t inline_octets = 0;  ///< frames included; may be 0
    std::uint64_t file_octets = 0;    ///< frames included; 0: there is no file
    std::uint64_t size = 0;           ///< octets of the body itself, with those of the shared one
    BodyId shared = {};               ///< in kSharedBodies; 0: there is none
    bool operator==(const BodyPlace&) const = default;
};
std::string encode_place(const BodyPlace& place);
Result<BodyPlace> decode_place(std::string_view bytes);

/// A record's fixed part. Its metadata follows, then the inline frames of its bodies.
struct RecordHeader {
    std::uint64_t sequence = 0;  ///< grows along the log, with gaps
    std::uint64_t group = 0;     ///< sequence of the first record of its group (one write, one sync)
    PartitionId partition;
    std::uint32_t meta_octets = 0;
    std::uint32_t body_octets = 0;  ///< inline frames of all bodies together
    std::uint64_t total() const { return kRecordHeader + std::uint64_t{meta_octets} + body_octets; }
};

/// A commit as the log tells it.
struct RecordMeta {
    struct Body {
        BodyId id;
        std::uint64_t size = 0, inline_octets = 0, file_octets = 0;  // as in BodyPlace
        BodyId shared = {};
        BodyPlace place(SegmentId segment, std::uint64_t offset) const {
            return {segment, offset, inline_octets, file_octets, size, shared};
        }
    };
    ChangeNumber change;
    std::vector<std::string> erased;
    std::vector<Entry> puts;
    std::vector<Body> bodies;
    std::vector<BodyId> erased_bodies;
};
std::string encode_meta(const RecordMeta& meta);
Result<RecordMeta> decode_meta(std::string_view bytes);

/// The header's kRecordHeader octets for `meta`; fills in meta_octets.
std::string encode_record_header(RecordMark mark, RecordHeader header, std::string_view meta);

/// The header at the beginning of `bytes`, unchecked but for its mark and limits: tells how long the record claims to
/// be. Errors: corrupt.
Result<RecordHeader> peek_record(RecordMark mark, std::string_view bytes);
/// True if the checksum over the header and its metadata is right. `bytes` begins with both.
bool record_is_intact(std::string_view bytes, const RecordHeader& header);

/// The first place at or after `from` where a record might begin; npos if none. For going on behind damage.
std::size_t find_mark(RecordMark mark, std::string_view bytes, std::size_t from);

}  // namespace poplar::engine::local
