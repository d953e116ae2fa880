// The scrubber's thread: when a round is due, where it stands, and the pace of its reads.
#include "engine/local/scrubber.h"

#include "base/background.h"
#include "base/encoding.h"
#include "base/log.h"

namespace poplar::engine::local {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr auto kStoreEvery = std::chrono::minutes(1);
constexpr std::size_t kMostDamage = 100;  // places remembered; all are logged and counted
constexpr std::uint8_t kVersion = 1;

std::uint64_t millis(system_clock::time_point time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count());
}
system_clock::time_point time_of(std::uint64_t value) {
    return system_clock::time_point(milliseconds(static_cast<std::int64_t>(value)));
}

void encode(Encoder& out, const Damage& damage) {
    out.string(damage.file).varint(damage.offset).string(damage.what);
    out.varint(damage.partition ? damage.partition->value + 1 : 0).varint(damage.body ? damage.body->value + 1 : 0);
}

Damage decode_damage(Decoder& in) {
    Damage damage;
    damage.file = in.string();
    damage.offset = in.varint();
    damage.what = in.string();
    if (auto partition = in.varint()) damage.partition = PartitionId(partition - 1);
    if (auto body = in.varint()) damage.body = BodyId(body - 1);
    return damage;
}

}  // namespace

Scrubber::Scrubber(const Options& options, const StoreDirectory& directory, Index& index, const SegmentTable& table,
                   const Committer& committer)
    : options_(options), directory_(directory), index_(index), table_(table), committer_(committer) {
    auto stored = index_.scrub_state();
    if (!stored) return;  // a new round
    Decoder in(*stored);
    ScrubStatus status;
    bool known = in.u8() == kVersion;
    status.under_way = in.u8() != 0;
    status.begun = time_of(in.varint());
    status.ended = time_of(in.varint());
    SegmentId segment{in.varint(), static_cast<std::uint32_t>(in.varint())};
    auto offset = in.varint();
    status.records = in.varint();
    status.bodies = in.varint();
    status.octets = in.varint();
    status.damaged = in.varint();
    for (auto n = in.varint(); n > 0 && in.ok() && known; --n) status.damage.push_back(decode_damage(in));
    if (!known || !in.ok() || !in.at_end()) return;
    status_ = std::move(status);
    segment_ = segment;
    offset_ = offset;
}

Scrubber::~Scrubber() {
    {
        std::lock_guard guard(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Scrubber::start() {
    thread_ = std::thread([this] {
        become_background_thread("scrubber");
        run();
    });
}

void Scrubber::begin_round() {
    {
        std::lock_guard guard(mutex_);
        if (status_.under_way) return;
        asked_ = status_.under_way = true;
    }
    wake_.notify_all();
}

ScrubStatus Scrubber::status() const {
    std::lock_guard guard(mutex_);
    return status_;
}

// False: stopping.
bool Scrubber::wait_until_due() {
    constexpr auto kLookEvery = std::chrono::minutes(10);  // the clock may be set meanwhile
    std::unique_lock lock(mutex_);
    for (;;) {
        if (stopping_) return false;
        if (status_.under_way) return true;  // asked for, or not ended before a restart
        bool by_itself = options_.scrub_every.count() > 0 && options_.scrub_rate > 0;
        auto now = system_clock::now();
        if (by_itself && (status_.begun > now || now - status_.begun >= options_.scrub_every)) return true;
        wake_.wait_for(lock, kLookEvery, [this] { return stopping_ || asked_; });
    }
}

void Scrubber::run() {
    while (wait_until_due()) {
        {
            std::lock_guard guard(mutex_);
            bool goes_on = status_.under_way && !asked_;
            if (!goes_on) {
                auto ended = status_.ended;
                status_ = {};
                status_.ended = ended;
                status_.begun = time_of(millis(system_clock::now()));
                status_.under_way = true;
                segment_ = {};
                offset_ = 0;
            }
            asked_ = false;
            records_before_ = status_.records;
            bodies_before_ = status_.bodies;
            octets_before_ = status_.octets;
        }
        auto done = round();
        {
            std::lock_guard guard(mutex_);
            if (!done && done.error().code() == Errc::cancelled) return store();
            status_.under_way = false;
            status_.ended = time_of(millis(system_clock::now()));
            status_.failure = done ? std::string() : done.error().detail();
        }
        auto now = status();
        if (done)
            log::info("store.scrubbed", {{"records", now.records}, {"bodies", now.bodies}, {"damaged", now.damaged}});
        else
            log::warning("store.scrub_failed", {{"reason", now.failure}});
        std::lock_guard guard(mutex_);
        store();
    }
}

Result<> Scrubber::round() {
    auto report = [this](const Damage& damage) { found(damage); };
    auto rest = [this](std::uint64_t octets) { return pace(octets); };
    auto progress = [this](const VerifyTotals& totals) {
        std::lock_guard guard(mutex_);
        status_.records = records_before_ + totals.records;
        status_.bodies = bodies_before_ + totals.bodies;
        status_.octets = octets_before_ + totals.octets;
    };
    StoreCheck check(directory_, index_, table_, [this] { return committer_.durable_end(); }, report, rest, progress);
    auto walked = walk(check);
    progress(check.totals());
    return walked;
}

Result<> Scrubber::walk(StoreCheck& check) {
    for (const auto& row : check.segments()) {
        if (row.id.number < segment_.number) continue;
        bool same = row.id == segment_;
        if (!same) offset_ = 0;
        segment_ = row.id;
        if (auto done = check.segment(row, offset_, &offset_); !done) return done;
        segment_ = {row.space.last + 1, 0};
        offset_ = 0;
        std::lock_guard guard(mutex_);
        store();
    }
    if (auto done = check.rest(); !done) return done;
    check.format();
    return check.index_files();
}

void Scrubber::found(const Damage& damage) {
    log::error("store.damage", {{"file", damage.file},
                                {"offset", damage.offset},
                                {"what", damage.what},
                                {"partition", damage.partition ? damage.partition->value : 0},
                                {"body", damage.body ? damage.body->value : 0}});
    std::lock_guard guard(mutex_);
    ++status_.damaged;
    if (status_.damage.size() < kMostDamage) status_.damage.push_back(damage);
}

bool Scrubber::pace(std::uint64_t octets) {
    std::unique_lock lock(mutex_);
    if (SteadyClock::now() - stored_ >= kStoreEvery) store();
    if (options_.scrub_rate == 0) return !stopping_;
    std::chrono::duration<double> rest(static_cast<double>(octets) / static_cast<double>(options_.scrub_rate));
    return !wake_.wait_for(lock, rest, [this] { return stopping_; });
}

// With the mutex held.
void Scrubber::store() {
    Encoder out;
    out.u8(kVersion).u8(status_.under_way).varint(millis(status_.begun)).varint(millis(status_.ended));
    out.varint(segment_.number).varint(segment_.pass).varint(offset_);
    out.varint(status_.records).varint(status_.bodies).varint(status_.octets).varint(status_.damaged);
    out.varint(status_.damage.size());
    for (const auto& damage : status_.damage) encode(out, damage);
    (void)index_.store_scrub_state(out.bytes());
    stored_ = SteadyClock::now();
}

}  // namespace poplar::engine::local
