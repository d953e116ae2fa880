// The server as a whole: its status, the check of what is stored, the clock.
#include "api/server.h"

#include "admin/backup.h"
#include "admin/names.h"
#include "admin/row.h"
#include "admin/verify_events.h"
#include "base/log.h"
#include "engine/inspection.h"
#include "mailstore/mail_store.h"
#include "upkeep/retention.h"
#include "upkeep/store_clock.h"

namespace poplar::admin {

namespace {

api::Storage storage_state(const engine::Status& engine, std::string directory) {
    api::Storage out;
    out.health = engine.health;
    out.state = engine.state;
    out.directory = std::move(directory);
    out.segments = engine.segments;
    out.log_octets = engine.log_octets;
    out.index_octets = engine.index_octets;
    out.free_octets = engine.free_octets;
    out.staged_octets = engine.staged_octets;
    out.used_octets = engine.used_octets;
    out.live_octets = engine.live_octets;
    out.large_octets = engine.large_octets;
    out.copying = {engine.copying, engine.copies, engine.copied_octets, engine.freed_octets};
    out.commits = engine.commits;
    out.groups = engine.groups;
    for (const auto& one : engine.damage) out.damage_found_at_start.push_back({one.file, one.what, one.offset});
    return out;
}

Task<api::Scrub> scrub_state(Context& context, engine::ScrubStatus scrub) {
    auto time = [](std::chrono::system_clock::time_point at) {
        api::Nullable<std::string> text;
        if (at != std::chrono::system_clock::time_point())
            text = time_text(std::chrono::time_point_cast<std::chrono::milliseconds>(at));
        return text;
    };
    api::Scrub out;
    out.under_way = scrub.under_way;
    out.begun = time(scrub.begun);
    out.ended = time(scrub.ended);
    out.records = scrub.records;
    out.bodies = scrub.bodies;
    out.octets = scrub.octets;
    out.damaged = scrub.damaged;
    for (auto& one : scrub.damage) {
        auto named = co_await upkeep::name_damage(std::move(one), context.directory, context.mail);
        out.damage.push_back(damage_event(named));
    }
    out.failure = std::move(scrub.failure);
    co_return out;
}

Task<api::DirectoryTotals> directory_state(Context& context) {
    api::DirectoryTotals out;
    auto totals = co_await context.directory.totals();
    if (totals)
        out.domains = totals->domains, out.accounts = totals->accounts, out.aliases = totals->aliases;
    else
        out.error = to_string(totals.error().code());
    co_return out;
}

Task<api::PostmasterState> postmaster_state(Context& context) {
    api::PostmasterState out;
    auto named = co_await context.directory.has_postmaster();
    auto kept = co_await context.mail.totals(directory::kPostmasterMailbox);
    if (named && kept)
        out.named = *named, out.kept_messages = kept->messages, out.kept_octets = kept->octets;
    else
        out.error = to_string(named ? kept.error().code() : named.error().code());
    co_return out;
}

api::ClockState clock_state(upkeep::StoreClock& store_clock) {
    const auto clock = store_clock.state();
    api::ClockState out;
    out.doubted = clock.doubted;
    out.time = time_text(clock.now);
    if (!clock.doubted) return out;
    out.expected = time_text(clock.expected);
    out.since = time_text(clock.since);
    auto& believed = out.believed_at.emplace();
    if (clock.believed_at) believed = time_text(*clock.believed_at);
    return out;
}

Task<Result<api::Status>> show_status(Context& context, Caller, api::ShowStatus) {
    api::Status out;
    if (context.own_status) context.own_status(out);
    out.hostname = context.hostname;
    auto engine = context.engine.status();
    out.storage = storage_state(engine, std::move(out.storage.directory));
    out.scrub = co_await scrub_state(context, std::move(engine.scrub));
    out.directory = co_await directory_state(context);
    out.postmaster = co_await postmaster_state(context);
    out.clock = clock_state(context.clock);
    if (const auto& last = context.retention.last())
        out.housekeeping =
            api::Housekeeping{last->accounts, last->aged, last->expired, last->purged, last->failures, last->suspended};
    co_return out;
}

class EventStream final : public upkeep::VerifyListener {
public:
    explicit EventStream(http::Stream& stream) : stream_(stream) {}
    Task<Result<>> damaged(upkeep::NamedDamage damage) override { return write(damage_event(damage)); }
    Task<Result<>> progress(engine::VerifyTotals totals) override { return write(progress_event(totals)); }
    Task<Result<>> write(api::VerifyEvent event) {
        auto line = api::dump(api::to_json(event)) + "\n";
        co_return co_await stream_.write(line);
    }

private:
    http::Stream& stream_;
};

Task<Result<>> verify(Context& context, Caller, api::Verify, http::Stream& stream) {
    if (context.verifying) co_return fail(Errc::busy, "a verification is running already");
    struct Running {
        explicit Running(bool& f) : flag(f) { flag = true; }
        ~Running() { flag = false; }
        bool& flag;
    } running(context.verifying);
    auto done = co_await stream.begin(std::string(api::Verify::operation().content_type));
    if (!done) co_return done;
    EventStream events(stream);
    auto outcome =
        co_await upkeep::verify_store(context.engine, context.directory, context.mail, context.removed, events);
    if (outcome)
        done = co_await events.write(done_event(*outcome));
    else
        done = pass_on(outcome);
    if (!done) log::warning("admin.verify_ended", {{"reason", done.error().detail()}});
    co_return done;
}

Task<Result<api::Scrubbing>> begin_scrub(Context& context, Caller, api::BeginScrub) {
    context.engine.scrub();
    co_return api::Scrubbing();
}

Task<Result<api::Confirmation>> confirm_clock(Context& context, Caller, api::ConfirmClock) {
    auto confirmed = co_await context.clock.confirm();
    if (!confirmed) co_return pass_on(confirmed);
    co_return api::Confirmation();
}

}  // namespace

const std::vector<Row>& server_rows() {
    static const std::vector<Row> rows = {
        row<api::ShowStatus, show_status>(),     row<api::Verify, verify>(),
        row<api::BeginScrub, begin_scrub>(),     row<api::BackUp, back_up>(),
        row<api::ConfirmClock, confirm_clock>(),
    };
    return rows;
}

}  // namespace poplar::admin
