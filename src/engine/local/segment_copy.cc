// Walks the sources twice: survey() asks the index about each entry and body, write() copies those that it had.
#include "engine/local/segment_copy.h"

#include <fmt/format.h>

namespace poplar::engine::local {

namespace {

constexpr std::size_t kWrite = 256u << 10;      // octets written at once
constexpr std::uint64_t kSyncEvery = 8u << 20;  // so that no single sync holds up those of deliveries

std::unexpected<Error> stopped() { return fail(Errc::cancelled, "the copying was stopped"); }

// Found or not; other failures are passed on.
template <class T>
Result<bool> found(const Result<T>& result) {
    if (result) return true;
    if (result.error().code() == Errc::not_found) return false;
    return std::unexpected(result.error());
}

}  // namespace

// The file being written.
class SegmentCopy::Draft {
public:
    Draft(Disk& disk, File file) : disk_(disk), file_(std::move(file)) {}

    Result<> append(std::string_view bytes) {
        buffer_.append(bytes);
        return buffer_.size() >= kWrite ? write() : Result<>();
    }
    /// Appends `size` octets of `from`, unchecked: whoever reads a body checks it.
    Result<> append(const File& from, std::uint64_t offset, std::uint64_t size) {
        auto before = buffer_.size();
        buffer_.resize(before + size);
        auto got = from.read_at(buffer_.data() + before, size, offset);
        if (!got) return pass_on(got);
        if (*got != size) return fail(Errc::corrupt, from.path().string() + " is too short");
        return buffer_.size() >= kWrite ? write() : Result<>();
    }
    Result<> finish() {
        if (auto written = write(); !written) return written;
        if (auto synced = file_.sync_metadata(Sync::copy); !synced) return synced;
        disk_.reached(Step::copy_synced);
        return {};
    }

private:
    Result<> write() {
        if (auto written = file_.write_at(buffer_, offset_); !written) return written;
        offset_ += buffer_.size();
        unsynced_ += buffer_.size();
        buffer_.clear();
        disk_.reached(Step::copy_written);
        if (unsynced_ < kSyncEvery) return {};
        unsynced_ = 0;
        return file_.sync(Sync::copy);
    }

    Disk& disk_;
    File file_;
    std::string buffer_;
    std::uint64_t offset_ = 0, unsynced_ = 0;
};

// The answer of `look`, or the one that the survey had in its place.
template <class Look>
Result<bool> SegmentCopy::decide(Look look) {
    if (surveyed_) {
        if (next_ == decided_.size()) return fail(Errc::corrupt, "a segment has changed while it was copied");
        return decided_[next_++];
    }
    Result<bool> yes = look();
    if (yes) decided_.push_back(*yes);
    return yes;
}

Result<SegmentCopy::Kept> SegmentCopy::keep(SegmentId id, const SegmentWalk::Step& step) {
    const auto partition = step.header.partition;
    const bool erasures_count = step.header.sequence > erased_until_;
    Kept kept;
    for (const auto& key : step.meta.erased) {
        if (!erasures_count) break;
        auto there = decide([&] { return found(*index_.get(partition, key, nullptr, Wait::yes)); });
        if (!there) return pass_on(there);
        if (!*there) kept.meta.erased.push_back(key);
    }
    for (const auto& entry : step.meta.puts) {
        auto counts = decide([&]() -> Result<bool> {
            auto value = *index_.get(partition, entry.key, nullptr, Wait::yes);
            auto there = found(value);
            return there && *there ? *value == entry.value : there;
        });
        if (!counts) return pass_on(counts);
        if (*counts) kept.meta.puts.push_back(entry);
        kept.less |= !*counts;
    }
    auto offset = step.body_offset();
    for (const auto& body : step.meta.bodies) {
        auto here = decide([&]() -> Result<bool> {
            auto place = index_.place(partition, body.id);
            auto there = found(place);
            return there && *there ? place->segment == id && place->offset == offset : there;
        });
        if (!here) return pass_on(here);
        if (*here) {
            kept.meta.bodies.push_back(body);
            if (body.inline_octets > 0) kept.frames.emplace_back(offset, body.inline_octets);
            kept.body_octets += body.inline_octets;
        }
        kept.less |= !*here;
        offset += body.inline_octets;
    }
    for (auto body : step.meta.erased_bodies) {
        if (!erasures_count) break;
        auto there = decide([&] { return found(index_.place(partition, body)); });
        if (!there) return pass_on(there);
        if (!*there) kept.meta.erased_bodies.push_back(body);
    }
    kept.meta.change = step.meta.change;
    const auto& meta = kept.meta;
    if (meta.erased.empty() && meta.puts.empty() && meta.bodies.empty() && meta.erased_bodies.empty()) {
        auto later = decide([&]() -> Result<bool> {
            auto number = *index_.change_number(partition, nullptr, Wait::yes);
            if (!number) return pass_on(number);
            return *number > meta.change;
        });
        if (!later) return pass_on(later);
        kept.nothing = *later;
    }
    return kept;
}

Result<CopyTotals> SegmentCopy::walk(Draft* draft, const Pace& pace) {
    CopyTotals totals;
    for (auto id : sources_) {
        auto file = File::open(directory_.disk(), directory_.segment(id), File::Mode::read);
        if (!file) return pass_on(file);
        auto size = file->size();
        if (!size) return pass_on(size);
        auto header = directory_.read_header(*file);
        if (!header && unreadable_ == Unreadable::refuse) return pass_on(header);
        FileSource source(*file);
        SegmentWalk walk(source, directory_.mark(), kSegmentHeader, *size, 1, SegmentWalk::Bodies::skip);
        for (;;) {
            auto step = walk.next();
            if (!step) return pass_on(step);
            bool end = step->kind == SegmentWalk::Step::Kind::end;
            if (end && (step->offset == *size || unreadable_ == Unreadable::leave_out)) break;
            if (step->kind == SegmentWalk::Step::Kind::damage && unreadable_ == Unreadable::leave_out) continue;
            if (step->kind != SegmentWalk::Step::Kind::record)
                return fail(Errc::corrupt,
                            fmt::format("{} is damaged at {}", directory_.relative(file->path()), step->offset));
            auto kept = keep(id, *step);
            if (!kept) return pass_on(kept);
            totals.left_out |= kept->less;
            std::uint64_t seen = kRecordHeader + step->header.meta_octets;
            if (!kept->nothing) {
                auto meta = encode_meta(kept->meta);
                auto record = step->header;
                record.body_octets = static_cast<std::uint32_t>(kept->body_octets);
                ++totals.records;
                totals.meta_octets += kRecordHeader + meta.size();
                totals.bodies += kept->frames.size();
                totals.body_octets += kept->body_octets;
                if (draft) {
                    auto head = encode_record_header(directory_.mark(), record, meta);
                    if (auto done = draft->append(head + meta); !done) return pass_on(done);
                    for (auto [offset, octets] : kept->frames)
                        if (auto done = draft->append(*file, offset, octets); !done) return pass_on(done);
                    seen += kept->body_octets;
                }
            }
            if (!pace(seen)) return stopped();
        }
    }
    return totals;
}

Result<CopyTotals> SegmentCopy::survey(const Pace& pace) {
    auto totals = walk(nullptr, pace);
    surveyed_ = totals.has_value();
    return totals;
}

Result<CopyTotals> SegmentCopy::write(const SegmentHeader& header, const Pace& pace) {
    auto file = directory_.create_draft(header.id);
    if (!file) return pass_on(file);
    Draft draft(directory_.disk(), std::move(*file));
    auto fill = [&]() -> Result<CopyTotals> {
        if (auto done = draft.append(encode_segment_header(header)); !done) return pass_on(done);
        auto totals = walk(&draft, pace);
        if (!totals) return totals;
        if (auto done = draft.finish(); !done) return pass_on(done);
        if (auto done = directory_.publish_draft(header.id); !done) return pass_on(done);
        return totals;
    };
    auto totals = fill();
    if (!totals) (void)directory_.remove_draft(header.id);
    return totals;
}

}  // namespace poplar::engine::local
