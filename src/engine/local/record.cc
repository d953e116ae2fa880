// The octets of segment headers, record headers, metadata and places.
#include "engine/local/record.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/crc32c.h"
#include "base/encoding.h"

namespace poplar::engine::local {

namespace {

constexpr std::string_view kSegmentMagic = "POPLARLG";
constexpr std::uint32_t kSegmentVersion = 1;

}  // namespace

// magic[8] version[4] pass[4] mark[8] number[8] first_sequence[8] next_body[8] as_of[8] further[4] crc[4]
std::string encode_segment_header(const SegmentHeader& header) {
    Encoder out;
    out.raw(kSegmentMagic).u32(kSegmentVersion).u32(header.id.pass);
    out.u64(header.mark.value).u64(header.id.number).u64(header.first_sequence);
    out.u64(header.next_body).u64(header.as_of);
    out.u32(static_cast<std::uint32_t>(std::max(header.last, header.id.number) - header.id.number));
    assert(out.bytes().size() == kSegmentHeader - 4);
    out.u32(crc32c(out.bytes()));
    return std::move(out).bytes();
}

Result<SegmentHeader> parse_segment_header(std::string_view bytes) {
    if (bytes.size() < kSegmentHeader || !bytes.starts_with(kSegmentMagic))
        return fail(Errc::corrupt, "no segment header");
    bytes = bytes.substr(0, kSegmentHeader);
    if (Decoder(bytes.substr(kSegmentHeader - 4)).u32() != crc32c(bytes.substr(0, kSegmentHeader - 4)))
        return fail(Errc::corrupt, "the segment header's checksum is wrong");
    Decoder in(bytes.substr(kSegmentMagic.size()));
    std::uint32_t version = in.u32();
    if (version != kSegmentVersion) return fail(Errc::invalid, "a segment of a newer version");
    SegmentHeader header;
    header.id.pass = in.u32();
    header.mark = RecordMark(in.u64());
    header.id.number = in.u64();
    header.first_sequence = in.u64();
    header.next_body = in.u64();
    header.as_of = in.u64();
    header.last = header.id.number + in.u32();
    return header;
}

std::string encode_place(const BodyPlace& place) {
    Encoder out(32);
    out.varint(place.segment.number).varint(place.offset).varint(place.inline_octets);
    out.varint(place.file_octets).varint(place.size);
    if (place.segment.pass > 0 || place.shared != BodyId()) out.varint(place.segment.pass);
    if (place.shared != BodyId()) out.varint(place.shared.value);
    return std::move(out).bytes();
}

Result<BodyPlace> decode_place(std::string_view bytes) {
    Decoder in(bytes);
    BodyPlace place;
    place.segment.number = in.varint();
    place.offset = in.varint();
    place.inline_octets = in.varint();
    place.file_octets = in.varint();
    place.size = in.varint();
    if (!in.at_end()) place.segment.pass = static_cast<std::uint32_t>(in.varint());
    if (!in.at_end()) place.shared = BodyId(in.varint());
    if (!in.ok() || !in.at_end()) return fail(Errc::corrupt, "a body's place in the index is damaged");
    return place;
}

std::string encode_meta(const RecordMeta& meta) {
    std::size_t expected = 32 + 10 * meta.erased_bodies.size() + 32 * meta.bodies.size();
    for (const auto& key : meta.erased) expected += 2 + key.size();
    for (const auto& entry : meta.puts) expected += 4 + entry.key.size() + entry.value.size();
    Encoder out(expected);
    out.varint(meta.change.value);
    out.varint(meta.erased.size());
    for (const auto& key : meta.erased) out.string(key);
    out.varint(meta.puts.size());
    for (const auto& entry : meta.puts) out.string(entry.key).string(entry.value);
    out.varint(meta.bodies.size());
    for (const auto& body : meta.bodies)
        out.varint(body.id.value).varint(body.size).varint(body.inline_octets).varint(body.file_octets);
    out.varint(meta.erased_bodies.size());
    for (auto id : meta.erased_bodies) out.varint(id.value);
    const auto shared = std::ranges::count_if(meta.bodies, [](const auto& body) { return body.shared != BodyId(); });
    if (shared == 0) return std::move(out).bytes();
    out.varint(static_cast<std::uint64_t>(shared));
    for (std::size_t i = 0; i < meta.bodies.size(); ++i)
        if (meta.bodies[i].shared != BodyId()) out.varint(i).varint(meta.bodies[i].shared.value);
    return std::move(out).bytes();
}

Result<RecordMeta> decode_meta(std::string_view bytes) {
    Decoder in(bytes);
    RecordMeta meta;
    meta.change = ChangeNumber(in.varint());
    // A damaged count can't ask for much memory, because every element takes at least one octet of what is there.
    for (auto n = in.varint(); n > 0 && in.ok(); --n) meta.erased.emplace_back(in.string());
    for (auto n = in.varint(); n > 0 && in.ok(); --n) {
        std::string key(in.string()), value(in.string());
        meta.puts.push_back({std::move(key), std::move(value)});
    }
    for (auto n = in.varint(); n > 0 && in.ok(); --n) {
        RecordMeta::Body body;
        body.id = BodyId(in.varint());
        body.size = in.varint();
        body.inline_octets = in.varint();
        body.file_octets = in.varint();
        meta.bodies.push_back(body);
    }
    for (auto n = in.varint(); n > 0 && in.ok(); --n) meta.erased_bodies.emplace_back(in.varint());
    bool sound = true;
    if (!in.at_end())
        for (auto n = in.varint(); n > 0 && in.ok() && sound; --n) {
            const auto which = in.varint();
            sound = which < meta.bodies.size();
            if (sound) meta.bodies[which].shared = BodyId(in.varint());
        }
    if (!in.ok() || !in.at_end() || !sound) return fail(Errc::corrupt, "a record's metadata can't be read");
    return meta;
}

// mark[8] crc[4] meta_octets[4] sequence[8] group[8] partition[8] body_octets[4] zero[4]; the crc is over what follows
// it, metadata included.
std::string encode_record_header(RecordMark mark, RecordHeader header, std::string_view meta) {
    assert(meta.size() <= kMaxMeta);
    Encoder checked(kRecordHeader);
    checked.u32(static_cast<std::uint32_t>(meta.size()));
    checked.u64(header.sequence).u64(header.group).u64(header.partition.value).u32(header.body_octets).u32(0);
    std::uint32_t crc = crc32c(meta, crc32c(checked.bytes()));
    Encoder out(kRecordHeader + meta.size());  // the caller appends the metadata
    out.u64(mark.value).u32(crc).raw(checked.bytes());
    return std::move(out).bytes();
}

Result<RecordHeader> peek_record(RecordMark mark, std::string_view bytes) {
    Decoder in(bytes);
    if (bytes.size() < kRecordHeader || in.u64() != mark.value) return fail(Errc::corrupt, "no record here");
    in.u32();
    RecordHeader header;
    header.meta_octets = in.u32();
    header.sequence = in.u64();
    header.group = in.u64();
    header.partition = PartitionId(in.u64());
    header.body_octets = in.u32();
    if (header.meta_octets > kMaxMeta || header.group > header.sequence)
        return fail(Errc::corrupt, "a record header is damaged");
    return header;
}

bool record_is_intact(std::string_view bytes, const RecordHeader& header) {
    constexpr std::size_t kChecked = 12;  // where the checksum's part begins
    std::size_t end = kRecordHeader + std::size_t{header.meta_octets};
    if (bytes.size() < end) return false;
    return Decoder(bytes.substr(8)).u32() == crc32c(bytes.substr(kChecked, end - kChecked));
}

std::size_t find_mark(RecordMark mark, std::string_view bytes, std::size_t from) {
    return bytes.find(Encoder().u64(mark.value).bytes(), from);
}

}  // namespace poplar::engine::local
