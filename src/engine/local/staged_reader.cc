#include "engine/local/staged_reader.h"

#include <algorithm>

#include "engine/local/frame.h"

namespace poplar::engine::local {

Result<std::string_view> StagedReader::next_in_memory() {
    const auto& frames = body_->frames();
    if (next_frame_ == frames.size()) return std::string_view();
    auto frame = parse_frame(frames[next_frame_++], FrameCheck::crc);
    if (!frame) return pass_on(frame);
    return frame->data;
}

// Reads on until the buffer holds so many octets behind those that were given out, or there are no more.
Task<Result<>> StagedReader::fill(std::size_t wanted) {
    buffer_.erase(0, used_);
    used_ = 0;
    const auto have = buffer_.size();
    const auto want = std::min<std::uint64_t>(wanted - std::min(have, wanted), body_->file_octets() - offset_);
    auto read = [this, have, want]() -> Result<> {
        if (!file_) {
            auto opened = File::open(staging_.directory.disk(), body_->path(), File::Mode::read);
            if (!opened) return pass_on(opened);
            file_ = std::move(*opened);
        }
        buffer_.resize(have + want);
        auto got = file_->read_at(buffer_.data() + have, want, offset_);
        if (!got) return pass_on(got);
        if (*got != want) return fail(Errc::corrupt, file_->path().string() + " is too short");
        return {};
    };
    auto done = co_await staging_.pool.write(body_.get(), read);
    if (done) offset_ += want;
    co_return done;
}

Task<Result<std::string_view>> StagedReader::next() {
    if (!body_->in_file()) co_return next_in_memory();
    if (buffer_.size() - used_ < kFrameSize && offset_ < body_->file_octets())
        if (auto filled = co_await fill(kFrameSize); !filled) co_return pass_on(filled);
    const auto rest = std::string_view(buffer_).substr(used_);
    if (rest.empty()) co_return std::string_view();
    auto frame = parse_frame(rest, FrameCheck::crc);
    if (!frame) co_return pass_on(frame);
    if (frame->data.empty()) co_return fail(Errc::corrupt, "a staged body's last frame is cut off");
    used_ += frame->size;
    co_return frame->data;
}

Task<Result<>> StagedReader::verify() {
    for (bool read : {true, false}) {  // and begins again
        next_frame_ = used_ = 0;
        offset_ = 0;
        buffer_.clear();
        for (bool more = read; more;) {
            auto chunk = co_await next();
            if (!chunk) co_return pass_on(chunk);
            more = !chunk->empty();
        }
    }
    co_return Result<>{};
}

}  // namespace poplar::engine::local
