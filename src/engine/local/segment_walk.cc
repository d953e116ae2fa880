// Takes a record as intact by mark, sizes, sequence and checksum; behind damage it searches for the next mark.
#include "engine/local/segment_walk.h"

#include <algorithm>

#include "engine/local/file.h"
#include "engine/local/frame.h"

namespace poplar::engine::local {

namespace {
constexpr std::size_t kWindow = 1 << 20;
constexpr std::size_t kAtOnce = 1024;  // octets that most records' metadata end within
}  // namespace

Result<std::size_t> FileSource::read_at(char* to, std::size_t size, std::uint64_t offset) const {
    return file_.read_at(to, size, offset);
}
Result<std::uint64_t> FileSource::next_data(std::uint64_t offset) const { return file_.next_data(offset); }

SegmentWalk::SegmentWalk(const ByteSource& source, RecordMark mark, std::uint64_t begin, std::uint64_t end,
                         std::uint64_t min_sequence, Bodies bodies)
    : source_(source), mark_(mark), at_(begin), end_(end), min_sequence_(min_sequence), bodies_(bodies) {}

Result<SegmentWalk::Step> SegmentWalk::next() {
    auto record = record_at(at_);
    if (!record) return pass_on(record);
    if (!*record) return skip_damage();
    at_ = (*record)->next;
    min_sequence_ = (*record)->header.sequence + 1;
    return std::move(**record);
}

// The record at `offset`, if there is an intact one.
Result<std::optional<SegmentWalk::Step>> SegmentWalk::record_at(std::uint64_t offset) {
    if (end_ - offset < kRecordHeader) return std::nullopt;
    auto read = [&](std::size_t size) {
        buffer_.resize(size);
        return source_.read_at(buffer_.data(), size, offset);
    };
    auto got = read(std::min<std::uint64_t>(kAtOnce, end_ - offset));
    if (!got) got = read(kRecordHeader);  // what can't be read may lie behind it
    if (!got) return pass_on(got);
    auto header = peek_record(mark_, std::string_view(buffer_).substr(0, *got));
    if (!header || header->sequence < min_sequence_ || header->total() > end_ - offset) return std::nullopt;

    const auto size = kRecordHeader + std::size_t{header->meta_octets};
    if (size > *got) got = read(size);
    if (!got) return pass_on(got);
    buffer_.resize(std::min(*got, size));
    if (!record_is_intact(buffer_, *header)) return std::nullopt;
    auto meta = decode_meta(std::string_view(buffer_).substr(kRecordHeader));
    if (!meta) return std::nullopt;

    Step step;
    step.kind = Step::Kind::record;
    step.offset = offset;
    step.next = offset + header->total();
    step.header = *header;
    step.meta = std::move(*meta);
    if (bodies_ == Bodies::check && header->body_octets > 0) {
        auto intact = frames_intact(step.body_offset(), header->body_octets);
        if (!intact) return pass_on(intact);
        step.body_intact = *intact;
        if (!*intact) {
            auto broken = broken_bodies(step);
            if (!broken) return pass_on(broken);
            step.broken = std::move(*broken);
        }
    }
    return step;
}

Result<std::vector<BodyId>> SegmentWalk::broken_bodies(const Step& step) {
    std::vector<BodyId> broken, all;
    auto offset = step.body_offset();
    for (const auto& body : step.meta.bodies) {
        bool within = body.inline_octets <= step.next - offset;
        auto intact = within ? frames_intact(offset, body.inline_octets) : Result<bool>(false);
        if (!intact) return pass_on(intact);
        if (!*intact) broken.push_back(body.id);
        all.push_back(body.id);
        if (within) offset += body.inline_octets;
    }
    return broken.empty() ? all : broken;  // all: the record's sizes don't fit its bodies
}

Result<bool> SegmentWalk::frames_intact(std::uint64_t offset, std::uint64_t size) {
    buffer_.resize(std::min<std::uint64_t>(size, kWindow));
    while (size > 0) {
        auto got = source_.read_at(buffer_.data(), std::min<std::uint64_t>(size, kWindow), offset);
        if (!got) return pass_on(got);
        std::string_view window(buffer_.data(), *got);
        std::size_t used = 0;
        while (used < window.size()) {
            auto frame = parse_frame(window.substr(used), FrameCheck::crc);
            if (!frame) return false;
            if (frame->data.empty()) break;  // goes on behind the window
            used += frame->size;
        }
        if (used == 0) return false;
        offset += used;
        size -= used;
    }
    return true;
}

// Looks for the next intact record behind `at_`, wherever it begins.
Result<SegmentWalk::Step> SegmentWalk::skip_damage() {
    Step step;
    step.offset = at_;
    std::string window;
    std::uint64_t search = at_;
    while (search < end_) {
        auto data = source_.next_data(search);
        if (!data) return pass_on(data);
        search = std::max(search, *data);
        if (search >= end_) break;
        window.resize(std::min<std::uint64_t>(kWindow, end_ - search));
        auto got = source_.read_at(window.data(), window.size(), search);
        if (!got) return pass_on(got);
        window.resize(*got);
        if (window.empty()) break;
        std::size_t from = search == at_ ? 1 : 0;  // at `at_` itself there is none
        for (auto i = find_mark(mark_, window, from); i != std::string::npos; i = find_mark(mark_, window, i + 1)) {
            auto record = record_at(search + i);
            if (!record) return pass_on(record);
            if (!*record) continue;
            step.kind = Step::Kind::damage;
            at_ = step.next = search + i;
            return step;
        }
        constexpr std::size_t kOverlap = sizeof(RecordMark) - 1;  // a mark may lie across two windows
        if (window.size() <= kOverlap) break;
        search += window.size() - (search + window.size() < end_ ? kOverlap : 0);
    }
    step.kind = Step::Kind::end;
    step.next = end_;
    at_ = end_;
    return step;
}

}  // namespace poplar::engine::local
