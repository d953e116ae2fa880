// The log's segments. Any bytes can be walked; and of a log that was written right, then damaged in one place, every
// record outside of the damage is found, unchanged, and nothing else is.
#include "engine/local/frame.h"
#include "engine/local/record.h"
#include "engine/local/segment_walk.h"
#include "fuzz/check.h"

namespace poplar::engine::local {
namespace {

using Kind = SegmentWalk::Step::Kind;

constexpr RecordMark kMark{0x6b72616d20656874ull};

class Memory final : public ByteSource {
public:
    explicit Memory(std::string_view bytes) : bytes_(bytes) {}
    Result<std::size_t> read_at(char* to, std::size_t size, std::uint64_t offset) const override {
        if (offset >= bytes_.size()) return 0;
        return bytes_.copy(to, size, offset);
    }
    Result<std::uint64_t> next_data(std::uint64_t offset) const override { return offset; }

private:
    std::string_view bytes_;
};

/// Every step of a walk over all of `bytes`; each begins where the one before it ended.
std::vector<SegmentWalk::Step> walk(std::string_view bytes, SegmentWalk::Bodies bodies) {
    const Memory source(bytes);
    SegmentWalk walk(source, kMark, 0, bytes.size(), 0, bodies);
    std::vector<SegmentWalk::Step> steps;
    std::uint64_t at = 0;
    for (;;) {
        auto step = walk.next();
        CHECK(step.has_value());
        CHECK(step->offset == at);
        at = step->next;
        CHECK(at <= bytes.size());
        steps.push_back(std::move(*step));
        if (steps.back().kind == Kind::end) return steps;
        CHECK(at > steps.back().offset);
    }
}

void check_any_bytes(std::string_view in) {
    static_cast<void>(parse_segment_header(in));
    static_cast<void>(parse_frames(in));
    if (auto place = decode_place(in)) {
        auto again = decode_place(encode_place(*place));
        CHECK(again && encode_place(*again) == encode_place(*place));
    }
    if (auto meta = decode_meta(in)) {
        auto again = decode_meta(encode_meta(*meta));
        CHECK(again && encode_meta(*again) == encode_meta(*meta));
    }
    walk(in, SegmentWalk::Bodies::check);
    // The same octets as metadata whose checksum is right.
    const std::string record = encode_record_header(kMark, {1, 1, PartitionId(7), 0, 0}, in) + std::string(in);
    const auto steps = walk(record, SegmentWalk::Bodies::check);
    CHECK((steps.front().kind == Kind::record) == decode_meta(in).has_value());
}

struct Written {
    std::uint64_t offset, body_offset, end;
    std::string meta;
};

void check_log(fuzz::Input& input) {
    const std::uint32_t damage_at = input.number() << 8 | input.number();
    const std::uint8_t damage = input.number();
    std::string log;
    std::vector<Written> written;
    std::uint64_t sequence = 0;
    while (!input.rest().empty() && written.size() < 50) {
        const auto puts = input.number() % 4u;
        RecordMeta meta;
        meta.change = ChangeNumber(written.size());
        for (unsigned i = 0; i < puts; ++i)
            meta.puts.push_back({std::string(1, static_cast<char>(input.number())), std::string(input.number(), 'v')});
        std::string frames;
        for (unsigned i = input.number() % 3u; i > 0; --i) {
            const std::string data(input.number() + 1u, static_cast<char>(input.number()));
            append_frame(data, frames);
            meta.bodies.push_back({BodyId(++sequence), data.size(), kFrameHeader + data.size(), 0});
        }
        ++sequence;
        const std::string encoded = encode_meta(meta);
        const std::uint64_t offset = log.size();
        const RecordHeader header{sequence, sequence, PartitionId(input.number()), 0,
                                  static_cast<std::uint32_t>(frames.size())};
        log += encode_record_header(kMark, header, encoded) + encoded + frames;
        written.push_back({offset, log.size() - frames.size(), log.size(), encoded});
    }
    const std::uint64_t place = log.empty() ? 0 : damage_at % log.size();
    if (!log.empty()) log[place] = static_cast<char>(log[place] ^ damage);

    std::size_t found = 0;
    for (const auto& step : walk(log, SegmentWalk::Bodies::check)) {
        if (step.kind != Kind::record) continue;
        while (found < written.size() && written[found].offset < step.offset) ++found;
        CHECK(found < written.size() && written[found].offset == step.offset);
        CHECK(written[found].end == step.next);
        CHECK(encode_meta(step.meta) == written[found].meta);
        const bool hit = damage != 0 && place >= written[found].body_offset && place < written[found].end;
        CHECK(step.body_intact == !hit);
        written.erase(written.begin() + static_cast<std::ptrdiff_t>(found));
    }
    for (const auto& lost : written) CHECK(damage != 0 && place >= lost.offset && place < lost.body_offset);
}

}  // namespace
}  // namespace poplar::engine::local

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    if (input.number() & 1) {
        poplar::engine::local::check_log(input);
    } else {
        poplar::engine::local::check_any_bytes(input.rest());
    }
    return 0;
}
