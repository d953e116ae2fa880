// Frames gather in memory and move to a file once there are too many; the end of a file makes it durable.
#include "engine/local/staged_body.h"

#include <algorithm>
#include <cstring>

#include "engine/local/frame.h"
#include "engine/local/staged_reader.h"

namespace poplar::engine::local {

namespace {
constexpr std::size_t kFileWrite = 4 * kFrameSize;  // octets written to a large body's file at once
constexpr std::size_t kFirstRoom = 16 * 1024;       // for a body of unknown size, which is small mostly
constexpr std::uint64_t kShareFrom = 4096;          // octets that are saved: reading a shared body costs a look more
constexpr std::size_t kMargin = 512;                // what comes behind a body of known size is seen at once, too
}  // namespace

void ReleasedBodies::add(BodyId shared) {
    std::lock_guard guard(mutex_);
    bodies_.push_back(shared);
}

std::vector<BodyId> ReleasedBodies::take() {
    std::lock_guard guard(mutex_);
    return std::exchange(bodies_, {});
}

LocalStagedBody::~LocalStagedBody() {
    staging_.in_memory -= frame_octets_;
    if (stored_ == Stored::yes)
        staging_.released.add(shared_);
    else if (!path_.empty() && stored_ == Stored::no)  // of one that is not shared, bodies have links of their own
        (void)unlink_file(staging_.directory.disk(), path_);
}

std::unique_ptr<BodyReader> LocalStagedBody::read() const {
    return std::make_unique<StagedReader>(shared_from_this(), staging_);
}

LocalBodyWriter::LocalBodyWriter(Staging& staging, std::uint64_t size_hint)
    : staging_(staging),
      body_(std::make_shared<LocalStagedBody>(staging)),
      expected_(size_hint == 0 ? kFirstRoom : std::min<std::uint64_t>(size_hint, kFrameData) + kMargin) {}

// At least an octet's: for what is expected or for `wanted` octets at first, then for a whole frame.
void LocalBodyWriter::make_room(std::size_t wanted) {
    if (filled_ < current_.size()) return;
    const auto first = kFrameHeader + std::min(std::max(expected_, wanted), kFrameData);
    const auto size = current_.empty() ? first : kFrameSize;
    // Returns `size` and not its argument, because libstdc++ 12 may pass a larger one.
    current_.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
    filled_ = std::max(filled_, kFrameHeader);
}

std::span<char> LocalBodyWriter::room() {
    make_room(1);
    return std::span(current_).subspan(filled_);
}

Task<Result<>> LocalBodyWriter::write(std::string_view bytes) {
    while (!bytes.empty()) {
        make_room(bytes.size());
        auto part = bytes.substr(0, current_.size() - filled_);
        // It may lie there, or a little further on.
        if (auto* to = current_.data() + filled_; to != part.data()) std::memmove(to, part.data(), part.size());
        filled_ += part.size();
        body_->size_ += part.size();
        bytes.remove_prefix(part.size());
        if (filled_ < kFrameSize) continue;
        seal_current();
        if (must_spill())
            if (auto done = co_await spill(); !done) co_return pass_on(done);
    }
    co_return Result<>{};
}

void LocalBodyWriter::seal_current() {
    current_.resize(filled_);
    seal_frame(current_);
    body_->frame_octets_ += current_.size();
    staging_.in_memory += current_.size();
    body_->frames_.push_back(std::move(current_));
    current_.clear();
    filled_ = 0;
    expected_ = kFrameData;
}

bool LocalBodyWriter::must_spill() const {
    if (file_) return body_->frame_octets_ >= kFileWrite;
    if (body_->size_ > staging_.large_body) return true;
    return staging_.in_memory > staging_.memory_budget && body_->frame_octets_ >= kFileWrite;
}

// Moves the sealed frames to the file.
Task<Result<>> LocalBodyWriter::spill() {
    auto work = [this]() -> Result<> {
        auto space = free_space(staging_.directory.disk(), staging_.directory.root());
        if (space && *space < staging_.min_free_space) return fail(Errc::no_space, "less than min_free_space is left");
        if (!file_) {
            auto path = staging_.directory.incoming_body(BodyId(staging_.next_body++));
            auto file = File::open(staging_.directory.disk(), path, File::Mode::create_new);
            if (!file) return pass_on(file);
            body_->path_ = path;
            file_ = std::move(*file);
        }
        std::vector<iovec> parts;
        for (auto& frame : body_->frames_) parts.push_back({frame.data(), frame.size()});
        if (auto written = file_->write_at(parts, body_->file_octets_); !written) return written;
        staging_.directory.disk().reached(Step::body_written);
        return {};
    };
    auto done = co_await staging_.pool.write(this, work);
    if (!done) co_return pass_on(done);
    body_->file_octets_ += body_->frame_octets_;
    staging_.in_memory -= body_->frame_octets_;
    body_->frame_octets_ = 0;
    body_->frames_.clear();
    co_return Result<>{};
}

// The file's octets; of a shared one its name, too, which the record that speaks of it relies on.
Result<> LocalBodyWriter::make_durable() {
    auto& directory = staging_.directory;
    if (auto done = file_->sync_metadata(Sync::body); !done) return done;
    directory.disk().reached(Step::body_synced);
    file_.reset();
    if (body_->shared_ == BodyId()) return {};
    if (const auto& health = directory.health(); health.stopped()) return fail(Errc::io, health.state());
    auto path = directory.large_body(kSharedBodies, body_->shared_);
    if (auto done = rename_file(directory.disk(), body_->path_, path); !done) return done;
    body_->path_ = path;
    directory.disk().reached(Step::body_linked);
    if (auto done = sync_directory(directory.disk(), path.parent_path(), Sync::body_name); !done)
        return directory.health().stop(done.error());
    directory.disk().reached(Step::body_named);
    return {};
}

Task<Result<std::shared_ptr<const StagedBody>>> LocalBodyWriter::finish(std::size_t bodies) {
    if (filled_ > kFrameHeader) seal_current();
    if (bodies > 1 && body_->size_ * (bodies - 1) >= kShareFrom) body_->shared_ = BodyId(staging_.next_body++);
    if (file_ || body_->size_ > staging_.large_body) {
        if (auto done = co_await spill(); !done) co_return pass_on(done);
        auto work = [this] { return make_durable(); };
        if (auto done = co_await staging_.pool.write(this, work); !done) co_return pass_on(done);
    }
    co_return std::shared_ptr<const StagedBody>(std::move(body_));
}

}  // namespace poplar::engine::local
