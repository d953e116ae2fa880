// Work on mail that is there already: it is done while its client listens.
#include "api/mail_work.h"

#include <fmt/format.h>

#include "activity/ledger.h"
#include "admin/names.h"
#include "admin/room.h"
#include "admin/row.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "upkeep/archive.h"
#include "upkeep/store_clock.h"

namespace poplar::admin {

namespace {

constexpr std::uint64_t kTellEvery = 100;  // messages

/// Begins the reply with the first event, so that a request which can't be done is refused as any other.
class Events {
public:
    Events(http::Stream& stream, std::string content_type) : stream_(stream), content_type_(std::move(content_type)) {}

    Task<Result<>> write(api::MailWorkEvent event) {
        if (!begun_) {
            auto done = co_await stream_.begin(content_type_);
            if (!done) co_return done;
            begun_ = true;
        }
        auto line = api::dump(api::to_json(event)) + "\n";
        co_return co_await stream_.write(line);
    }

private:
    http::Stream& stream_;
    const std::string content_type_;
    bool begun_ = false;
};

api::MailWorkEvent counted(std::string type, const delivery::StoredTotals& totals) {
    api::MailWorkEvent event;
    event.type = std::move(type);
    event.messages = totals.messages;
    event.looked_at = totals.looked_at;
    event.moved = totals.moved;
    event.copied = totals.copied;
    event.flagged = totals.flagged;
    event.discarded = totals.discarded;
    event.left_out = totals.skipped;
    event.failed = totals.failed;
    return event;
}

class RunEvents final : public delivery::StoredWatcher {
public:
    RunEvents(Context& context, directory::AccountId account, Events& events)
        : context_(context), account_(account), events_(events) {}

    Task<Result<>> on_step(delivery::StoredStep step, delivery::StoredTotals totals) override {
        last = totals;
        if (!step.done.empty() || !step.skipped.empty() || !step.error.empty()) {
            api::MailWorkEvent event;
            event.type = "message";
            event.message = std::move(step.unique_id);
            if (!step.done.empty()) event.done = std::move(step.done);
            if (!step.skipped.empty()) event.skipped = std::move(step.skipped);
            if (!step.error.empty()) event.error = std::move(step.error);
            if (auto written = co_await events_.write(std::move(event)); !written) co_return written;
        }
        if (totals.looked_at % kTellEvery != 0) co_return Result<>();
        co_return co_await events_.write(counted("progress", totals));
    }
    Task<Result<quota::Reservation>> room(std::uint64_t octets) override {
        return room_in(context_, account_, {.octets = octets});
    }

    delivery::StoredTotals last;

private:
    Context& context_;
    const directory::AccountId account_;
    Events& events_;
};

Task<Result<mailstore::MailboxId>> mailbox_of(Context& context, directory::AccountId account,
                                              std::optional<std::string> named) {
    auto name = named.value_or(std::string("INBOX"));
    auto found = co_await context.mail.find_mailbox(account, name);
    if (!found) co_return explain(found.error(), Errc::not_found, fmt::format("no mailbox {}", name));
    co_return found->id;
}

Task<Result<>> run_script(Context& context, Caller, api::RunScript wanted, http::Stream& stream) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto ready = co_await context.delivery.scripts().compiled(account->id, wanted.script);
    if (!ready) co_return pass_on(ready);
    if (!ready->script)
        co_return fail(ready->trouble.empty() ? Errc::not_found : Errc::invalid,
                       ready->trouble.empty() ? fmt::format("no script {}", wanted.script) : ready->trouble);
    auto mailbox = co_await mailbox_of(context, account->id, std::move(wanted.mailbox));
    if (!mailbox) co_return pass_on(mailbox);
    const auto begun = context.ledger.now();
    Events events(stream, std::string(api::RunScript::operation().content_type));
    RunEvents watcher(context, account->id, events);
    auto done = co_await context.delivery.filter().run_over(
        {account->id, account->address, context.hostname, *mailbox, ready->script, wanted.dry_run}, watcher);
    const auto& totals = done ? *done : watcher.last;
    if (!wanted.dry_run && totals.discarded != 0)
        note(context, account->id, activity::Kind::deleted, fmt::format("the script {}", wanted.script),
             totals.discarded, nullptr, begun);
    log::info("admin.script_run", {{"account", account->address},
                                   {"script", wanted.script},
                                   {"dry_run", wanted.dry_run},
                                   {"messages", totals.looked_at},
                                   {"moved", totals.moved},
                                   {"copied", totals.copied},
                                   {"flagged", totals.flagged},
                                   {"discarded", totals.discarded},
                                   {"failures", totals.failed},
                                   {"ended", done ? std::string("whole") : done.error().detail()}});
    if (!done) co_return pass_on(done);
    co_return co_await events.write(counted("done", totals));
}

class ArchiveEvents final : public upkeep::ArchiveWatcher {
public:
    explicit ArchiveEvents(Events& events) : events_(events) {}
    Task<Result<>> on_moved(upkeep::ArchiveTotals totals) override {
        last = totals;
        return tell("progress", totals);
    }
    Task<Result<>> tell(std::string type, upkeep::ArchiveTotals totals) {
        api::MailWorkEvent event;
        event.type = std::move(type);
        event.moved = totals.moved;
        event.mailboxes = totals.mailboxes;
        return events_.write(std::move(event));
    }

    upkeep::ArchiveTotals last;

private:
    Events& events_;
};

Task<Result<>> archive_mail(Context& context, Caller, api::ArchiveMail wanted, http::Stream& stream) {
    constexpr std::uint64_t kLongest = 100ull * 365 * 86'400;
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (wanted.older.count == 0) co_return fail(Errc::invalid, "older: name a time, for example 365d");
    if (wanted.older.count > kLongest) co_return fail(Errc::invalid, "older: at most a hundred years");
    const auto name = wanted.mailbox.value_or(std::string("INBOX"));
    Events events(stream, std::string(api::ArchiveMail::operation().content_type));
    ArchiveEvents watcher(events);
    auto done = co_await upkeep::archive_mail(
        context.mail, account->id,
        {name, wanted.to, std::chrono::seconds(static_cast<std::int64_t>(wanted.older.count))}, context.ledger.now(),
        watcher);
    const auto& totals = done ? *done : watcher.last;
    if (done || totals.moved != 0)
        log::info("admin.mail_archived", {{"account", account->address},
                                          {"mailbox", name},
                                          {"to", wanted.to},
                                          {"messages", totals.moved},
                                          {"ended", done ? std::string("whole") : done.error().detail()}});
    if (!done) co_return explain(done.error(), Errc::not_found, fmt::format("no mailbox {}", name));
    co_return co_await watcher.tell("done", totals);
}

}  // namespace

const std::vector<Row>& mail_work_rows() {
    static const std::vector<Row> rows = {row<api::RunScript, run_script>(), row<api::ArchiveMail, archive_mail>()};
    return rows;
}

}  // namespace poplar::admin
