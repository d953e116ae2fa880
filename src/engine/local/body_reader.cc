// Bodies are read in parts: inline frames or a file, then those of the shared body. Small ones are checked and given
// out in one piece.
#include "engine/local/body_reader.h"

#include <algorithm>

namespace poplar::engine::local {

namespace {
constexpr std::uint64_t kHeldAtMost = 2u << 20;  // octets of one body; sending a larger one costs more than reading it

// The buffer of the last small body that this thread read. The next one takes it over, so a session that waits holds
// none.
thread_local std::string t_spare;
}  // namespace

LocalBodyReader::~LocalBodyReader() {
    if (held_ != 0) memory_.in_use -= held_;
    if (buffer_.capacity() > t_spare.capacity() && buffer_.capacity() <= 2 * kFrameSize) t_spare.swap(buffer_);
}

std::uint64_t LocalBodyReader::octets_of(Part part) const {
    switch (part) {
        case Part::inline_frames: return place_.inline_octets;
        case Part::file: return place_.file_octets;
        case Part::shared_frames: return shared_.place.inline_octets;
        case Part::shared_file: return shared_.place.file_octets;
        case Part::end: break;
    }
    return 0;
}

std::uint64_t LocalBodyReader::octets() const {
    return place_.inline_octets + place_.file_octets + shared_.place.inline_octets + shared_.place.file_octets;
}

// The first part from this one on that has any octets.
LocalBodyReader::Part LocalBodyReader::first_from(Part part) const {
    while (part != Part::end && octets_of(part) == 0) part = next_of(part);
    return part;
}

void LocalBodyReader::enter(Part part) {
    part_ = part;
    left_ = octets_of(part);
    offset_ = part == Part::inline_frames ? place_.offset : part == Part::shared_frames ? shared_.place.offset : 0;
    file_.reset();
}

void LocalBodyReader::rewind() {
    enter(first_from(Part::inline_frames));
    buffer_.clear();
    used_ = 0;
    whole_.clear();
}

Result<std::shared_ptr<const File>> LocalBodyReader::open_part() const {
    if (part_ == Part::inline_frames) return segment_ ? segment_ : directory_.segment_reader(place_.segment);
    if (part_ == Part::shared_frames)
        return shared_.segment ? shared_.segment : directory_.segment_reader(shared_.place.segment);
    auto path = part_ == Part::file ? directory_.large_body(partition_, id_)
                                    : directory_.large_body(kSharedBodies, place_.shared);
    auto file = File::open(directory_.disk(), path, File::Mode::read);
    if (!file) return fail(file.error().code() == Errc::not_found ? Errc::corrupt : Errc::io, file.error().detail());
    return std::make_shared<const File>(std::move(*file));
}

// Octets that look damaged are so only if the index still has the body, because an erased body leaves the index first.
Task<std::unexpected<Error>> LocalBodyReader::failure(Error error) {
    if (error.code() != Errc::corrupt) co_return std::unexpected(std::move(error));
    auto look_up = [this] { return index_.place(partition_, id_); };
    auto place = co_await pool_.read(partition_, look_up);
    if (!place && place.error().code() == Errc::not_found) co_return fail(Errc::not_found, "the body was erased");
    co_return std::unexpected(std::move(error));
}

void LocalBodyReader::extend_buffer(std::size_t octets) {
    if (buffer_.empty() && octets <= kFrameSize) {
        buffer_.swap(t_spare);
        buffer_.clear();
    }
    const auto size = buffer_.size() + octets;
    // Returns `size` and not its argument, because libstdc++ 12 may pass a larger one.
    buffer_.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

// Reads on until the buffer holds `most` octets, or all there is of this part.
Task<Result<>> LocalBodyReader::fill(std::size_t most) {
    buffer_.erase(0, used_);
    used_ = 0;
    if (left_ == 0) enter(following());
    if (!file_) {
        auto opened = open_part();
        if (!opened) co_return pass_on(opened);
        file_ = std::move(*opened);
    }
    std::size_t have = buffer_.size();
    std::size_t want = std::min<std::uint64_t>(left_, most - std::min(have, most - 1));
    extend_buffer(want);
    if (!file_->try_read_at(buffer_.data() + have, want, offset_)) {
        auto read = [this, have, want] { return file_->read_at(buffer_.data() + have, want, offset_); };
        auto got = co_await pool_.read(partition_, read);
        if (!got) co_return pass_on(got);
        if (*got != want) co_return fail(Errc::corrupt, file_->path().string() + " is too short");
    }
    offset_ += want;
    left_ -= want;
    co_return Result<>{};
}

Task<Result<std::string_view>> LocalBodyReader::next() {
    for (;;) {
        auto rest = std::string_view(buffer_).substr(used_);
        if (!rest.empty()) {
            auto frame = parse_frame(rest, whole_.empty() ? FrameCheck::crc : FrameCheck::none);
            if (!frame) co_return co_await failure(frame.error());
            if (!frame->data.empty()) {
                used_ += frame->size;
                co_return frame->data;
            }
        }
        if (left_ == 0 && (following() == Part::end || !rest.empty())) {
            if (rest.empty()) co_return std::string_view();
            co_return co_await failure(Error(Errc::corrupt, "a body's last frame is cut off"));
        }
        auto filled = co_await fill(kFrameSize);
        if (!filled) co_return co_await failure(filled.error());
    }
}

// Whether the whole body may stay in memory.
bool LocalBodyReader::hold(std::uint64_t octets) {
    if (octets <= kFrameSize || held_ != 0) return true;
    if (octets > kHeldAtMost || memory_.in_use.fetch_add(octets) + octets > memory_.budget) {
        if (octets <= kHeldAtMost) memory_.in_use -= octets;
        return false;
    }
    held_ = octets;
    return true;
}

bool LocalBodyReader::try_verify() {
    if (place_.file_octets != 0 || shared_.place.file_octets != 0 || octets() > kFrameSize || !segment_) return false;
    extend_buffer(octets());
    const auto head = place_.inline_octets, rest = shared_.place.inline_octets;
    if (!segment_->try_read_at(buffer_.data(), head, place_.offset)) return false;
    if (rest != 0 && !shared_.segment->try_read_at(buffer_.data() + head, rest, shared_.place.offset)) return false;
    auto frames = parse_frames(buffer_);
    if (!frames) return false;
    part_ = Part::end;
    left_ = 0;
    whole_ = std::move(*frames);
    return true;
}

Task<Result<>> LocalBodyReader::verify() {
    rewind();
    if (hold(octets())) {
        while (buffer_.size() < octets()) {
            auto filled = co_await fill(octets());
            if (!filled) co_return co_await failure(filled.error());
        }
        auto frames = parse_frames(buffer_);
        if (!frames) co_return co_await failure(frames.error());
        whole_ = std::move(*frames);
        co_return Result<>{};
    }
    std::uint64_t seen = 0;
    for (;;) {
        auto chunk = co_await next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        seen += chunk->size();
    }
    if (seen != place_.size) co_return fail(Errc::corrupt, "a body has not its size");
    rewind();
    co_return Result<>{};
}

namespace {

// Checks one part of a body: `left` octets of frames from `offset` on. `at` becomes the place of the frame looked at.
Result<std::uint64_t> check_part(const File& file, std::uint64_t& at, std::uint64_t left) {
    std::string buffer;
    std::uint64_t seen = 0, offset = at;
    while (left > 0 || !buffer.empty()) {
        std::size_t kept = buffer.size(), want = std::min<std::uint64_t>(left, 4 * kFrameSize - kept);
        buffer.resize(kept + want);
        auto got = file.read_at(buffer.data() + kept, want, offset);
        if (!got) return pass_on(got);
        if (*got != want) return fail(Errc::corrupt, "the file is too short");
        offset += want;
        left -= want;
        std::string_view rest = buffer;
        while (!rest.empty()) {
            auto frame = parse_frame(rest, FrameCheck::crc);
            if (!frame) return pass_on(frame);
            if (frame->data.empty()) break;
            seen += frame->data.size();
            at += frame->size;
            rest.remove_prefix(frame->size);
        }
        if (left == 0 && !rest.empty()) return fail(Errc::corrupt, "a body's last frame is cut off");
        buffer.erase(0, buffer.size() - rest.size());
    }
    return seen;
}

}  // namespace

std::optional<Damage> check_body(const StoreDirectory& directory, const Index& index, PartitionId partition, BodyId id,
                                 const BodyPlace& place) {
    auto path = directory.segment(place.segment);
    std::uint64_t at = place.offset, seen = 0;
    auto damaged = [&](std::string what) {
        return Damage{directory.relative(path), at, partition, id, std::move(what)};
    };
    if (place.inline_octets > 0) {
        auto file = directory.segment_reader(place.segment);
        if (!file) return damaged(file.error().detail());
        auto checked = check_part(**file, at, place.inline_octets);
        if (!checked) return damaged(checked.error().detail());
        seen += *checked;
    }
    if (place.file_octets > 0) {
        path = directory.large_body(partition, id);
        at = 0;
        auto file = File::open(directory.disk(), path, File::Mode::read);
        if (!file) return damaged(file.error().detail());
        auto checked = check_part(*file, at, place.file_octets);
        if (!checked) return damaged(checked.error().detail());
        seen += *checked;
        if (auto size = file->size(); !size || *size != place.file_octets) return damaged("the file has not its size");
    }
    if (place.shared != BodyId()) {
        auto shared = index.place(kSharedBodies, place.shared);
        if (!shared) return damaged("the shared body that it ends with: " + shared.error().detail());
        seen += shared->size;
    }
    if (seen != place.size) return damaged("a body has not its size");
    return std::nullopt;
}

}  // namespace poplar::engine::local
