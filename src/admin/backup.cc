#include "admin/backup.h"

#include "api/json.h"
#include "base/log.h"
#include "base/steady.h"
#include "upkeep/backup.h"

namespace poplar::admin {

namespace {

api::BackupEvent event_of(std::string_view type, const engine::BackupTotals& totals) {
    api::BackupEvent event;
    event.type = type;
    event.files = totals.files;
    event.octets = totals.octets;
    event.copied_files = totals.copied_files;
    event.copied_octets = totals.copied_octets;
    return event;
}

class EventStream final : public upkeep::BackupListener {
public:
    explicit EventStream(http::Stream& stream) : stream_(stream) {}
    Task<Result<>> progress(engine::BackupTotals totals) override { return write(event_of("progress", totals)); }
    Task<Result<>> write(api::BackupEvent event) {
        auto line = api::dump(api::to_json(event)) + "\n";
        co_return co_await stream_.write(line);
    }

private:
    http::Stream& stream_;
};

}  // namespace

Task<Result<>> back_up(Context& context, Caller, api::BackUp wanted, http::Stream& stream) {
    if (!wanted.folder.starts_with('/')) co_return fail(Errc::invalid, "folder: an absolute path begins with /");
    const auto begun = SteadyClock::now();
    if (auto done = co_await stream.begin(std::string(api::BackUp::operation().content_type)); !done) co_return done;
    EventStream events(stream);
    auto outcome = co_await upkeep::back_up(context.engine, wanted.folder, wanted.keep.value_or(0), events);
    if (!outcome) {
        log::error("backup.failed", {{"folder", wanted.folder}, {"reason", outcome.error().detail()}});
        api::BackupEvent failed;
        failed.type = "failed";
        failed.error = outcome.error().detail();
        co_return co_await events.write(std::move(failed));
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(SteadyClock::now() - begun).count();
    log::info("backup.done", {{"folder", wanted.folder},
                              {"name", outcome->name},
                              {"files", outcome->totals.files},
                              {"octets", outcome->totals.octets},
                              {"copied_octets", outcome->totals.copied_octets},
                              {"seconds", seconds}});
    auto done = event_of("done", outcome->totals);
    done.name = outcome->name;
    done.forgotten = outcome->forgotten;
    co_return co_await events.write(std::move(done));
}

}  // namespace poplar::admin
