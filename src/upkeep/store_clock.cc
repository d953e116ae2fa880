// Compares the machine's clock with the steady clock and with what the store knows.
#include "upkeep/store_clock.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "directory/removed.h"

namespace poplar::upkeep {

namespace {

constexpr std::string_view kKey = "clock";
constexpr std::uint8_t kVersion = 1;
constexpr auto kJump = std::chrono::hours(24);       // less is no reason for doubt; it may be a night without power
constexpr auto kStoreEvery = std::chrono::hours(1);  // while the clock runs evenly

/// A time before 1970 is written as its beginning.
std::uint64_t millis_kept(Timestamp time) { return millis(std::max(time, Timestamp{})); }

// In seconds, for people.
std::int64_t seconds(Timestamp::duration span) {
    return std::chrono::duration_cast<std::chrono::seconds>(span).count();
}

bool is_about(Timestamp time, Timestamp expected) { return time >= expected - kJump && time <= expected + kJump; }

}  // namespace

Task<Result<>> StoreClock::load() {
    auto done = co_await read();
    std::lock_guard guard(mutex_);
    known_ = known_ || !done;
    co_return done;
}

Task<Result<>> StoreClock::read() {
    auto value = co_await engine_.get(directory::kServerPartition, std::string(kKey));
    if (!value && value.error().code() == Errc::not_found) co_return Result<>();
    if (!value) co_return pass_on(value);
    Decoder in(*value);
    const auto version = in.u8();
    const auto expected = timestamp(in.varint());
    const bool doubted = in.u8() != 0;
    Line doubt;
    if (doubted) {
        doubt.begun = timestamp(in.varint());
        doubt.last = timestamp(in.varint());
    }
    if (!in.ok() || !in.at_end() || version != kVersion)
        co_return fail(Errc::corrupt, "what is kept of the clock can't be read");
    std::lock_guard guard(mutex_);
    known_ = true;
    news_ = false;
    expected_ = expected;
    if (doubted) doubt_ = doubt;
    looked_ = SteadyClock::now();
    latest_ = static_cast<std::int64_t>(millis_kept(expected));
    co_return Result<>();
}

Timestamp StoreClock::now() const {
    return std::max(wall_.now(), Timestamp(std::chrono::milliseconds(latest_.load())));
}

// With the mutex held.
void StoreClock::look() {
    const auto steady = SteadyClock::now();
    const auto passed = std::chrono::duration_cast<Timestamp::duration>(steady - std::exchange(looked_, steady));
    const auto now = wall_.now();
    if (!std::exchange(known_, true)) expected_ = now - passed;
    expected_ += passed;
    auto believe = [&](std::string_view why) {
        if (doubt_) {
            news_ = true;
            log::warning("clock.believed", {{"why", why}, {"off_by_seconds", seconds(now - expected_)}});
        }
        // After a jump back that is believed, new records get the new times, not the later ones of before.
        latest_ = static_cast<std::int64_t>(millis_kept(doubt_ ? now : std::max(now, timestamp(latest_))));
        expected_ = now;
        doubt_.reset();
    };
    if (is_about(now, expected_)) return believe("it is right again");
    if (doubt_ && is_about(now, doubt_->last + passed)) {
        doubt_->last = now;
        if (believe_after_.count() > 0 && now - doubt_->begun >= believe_after_) believe("it has run evenly");
        return;
    }
    doubt_ = Line{now, now};
    news_ = true;
    log::error("clock.doubted", {{"off_by_seconds", seconds(now - expected_)},
                                 {"advice", "nothing is forgotten; if the clock is right: poplar clock confirm"}});
}

std::optional<Timestamp> StoreClock::to_forget_by() {
    std::lock_guard guard(mutex_);
    look();
    return doubt_ ? std::nullopt : std::optional(expected_);
}

Timestamp StoreClock::Even::now() const {
    std::lock_guard guard(clock_.mutex_);
    clock_.look();
    return clock_.expected_;
}

StoreClock::State StoreClock::state() {
    std::lock_guard guard(mutex_);
    look();
    State state{doubt_.has_value(), wall_.now(), expected_, {}, {}};
    if (doubt_) state.since = doubt_->begun;
    if (doubt_ && believe_after_.count() > 0) state.believed_at = doubt_->begun + believe_after_;
    return state;
}

std::string StoreClock::encode() const {
    Encoder out;
    out.u8(kVersion).varint(millis_kept(expected_)).u8(doubt_ ? 1 : 0);
    if (doubt_) out.varint(millis_kept(doubt_->begun)).varint(millis_kept(doubt_->last));
    return std::move(out).bytes();
}

Task<Result<>> StoreClock::keep() {
    engine::Batch batch;
    {
        std::lock_guard guard(mutex_);
        look();
        if (!news_ && stored_ && looked_ - *stored_ < kStoreEvery) co_return Result<>();
        batch.put(std::string(kKey), encode());
        news_ = false;
        stored_ = looked_;
    }
    auto done = co_await engine_.commit(directory::kServerPartition, std::move(batch));
    if (done) co_return Result<>();
    std::lock_guard guard(mutex_);
    news_ = true;
    co_return pass_on(done);
}

Task<Result<>> StoreClock::confirm() {
    {
        std::lock_guard guard(mutex_);
        look();
        if (doubt_)
            log::warning("clock.believed",
                         {{"why", "an operator confirmed it"}, {"off_by_seconds", seconds(wall_.now() - expected_)}});
        expected_ = wall_.now();
        latest_ = static_cast<std::int64_t>(millis_kept(expected_));
        doubt_.reset();
        news_ = true;
    }
    co_return co_await keep();
}

Task<Result<>> StoreClock::round(jobs::Control&) {
    auto kept = co_await keep();
    if (!kept) log::warning("clock.not_kept", {{"reason", kept.error().detail()}});
    co_return kept;
}

}  // namespace poplar::upkeep
