// Tells the client of changes in the selected mailbox: EXISTS, EXPUNGE or VANISHED, FETCH. And IDLE.
#include "base/ascii.h"
#include "imap/client.h"
#include "net/wakeable.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kIdleLine = 64;  // octets of DONE, and of what is none

/// Wakes a session from any thread, as long as it lives.
class Waker {
public:
    Waker(net::Wakeable& connection, Executor executor)
        : executor_(std::move(executor)), target_(std::make_shared<Target>(Target{&connection})) {}

    // Holds work of the session's context, which thus is there still if the hint runs when the session has ended.
    std::function<void()> hint() const {
        return [work = asio::make_work_guard(executor_), target = std::weak_ptr(target_)] {
            asio::post(work.get_executor(), [target] {
                if (const auto alive = target.lock()) alive->connection->wake();
            });
        };
    }

private:
    struct Target {
        net::Wakeable* connection;
    };
    Executor executor_;
    std::shared_ptr<Target> target_;  // used, and dropped, on the session's thread
};

}  // namespace

// RFC 9051 s7.5.1, RFC 7162 s3.2.10. Messages that are gone keep their numbers until the client may be told.
Task<Result<>> Client::update(Expunges expunges) {
    auto read = co_await services_.store.list_uids(account(), selected_->id());
    if (!read && read.error().code() == Errc::not_found)
        co_return co_await bye("the mailbox was removed", "mailbox_removed");
    // The client keeps what it knows: a later command tries again.
    if (!read) {
        log_failure(read.error(), "the mailbox can't be read");
        selected_->told.clear();
        co_return Result<>();
    }
    if (*read == selected_->shared_list()) {
        selected_->told.clear();
        co_return Result<>();
    }
    const auto before = selected_->shared_list();
    auto found = compare(*before, **read);
    auto after = std::move(*read);
    if (expunges == Expunges::held && !found.gone.empty()) {
        after = with_gone(*before, found.gone, *after);
        found.gone.clear();
        found.changed = compare(*before, *after).changed;
    }
    if (qresync_ && !found.gone.empty()) {
        SequenceSet uids;
        for (auto index : found.gone) uids.append(before->messages[index].uid);
        untagged("VANISHED {}", uids.text());
    } else {
        std::uint32_t told = 0;
        for (auto index : found.gone) {
            untagged("{} EXPUNGE", index + 1 - told++);
            if (auto sent = co_await send_some(); !sent) co_return sent;
        }
    }
    selected_->replace(std::move(after));
    if (found.fresh > 0) untagged("{} EXISTS", selected_->count());
    if (selected_->lacks_keywords())
        if (auto named = co_await read_keywords(); !named) co_return named;
    for (auto index : found.changed) {
        const auto& message = selected_->list().messages[index];
        const auto told = selected_->told.find(message.uid);
        if (told != selected_->told.end() && message.changed <= told->second) continue;
        tell_flags(index);
        if (auto sent = co_await send_some(); !sent) co_return sent;
    }
    selected_->told.clear();
    co_return Result<>();
}

void Client::tell_flags(std::uint32_t index) {
    const auto& message = selected_->list().messages[index];
    fmt::format_to(std::back_inserter(out_), "* {} FETCH (", index + 1);
    if (by_uid() || qresync_ || rev2_) fmt::format_to(std::back_inserter(out_), "UID {} ", message.uid);
    if (condstore_) fmt::format_to(std::back_inserter(out_), "MODSEQ ({}) ", message.changed.value);
    fmt::format_to(std::back_inserter(out_), "FLAGS ({}))\r\n", selected_->flags_of(message));
}

// The names, which the mailbox has got more of.
Task<Result<>> Client::read_keywords() {
    auto names = co_await services_.store.keywords(account(), selected_->id());
    if (!names) {
        log_failure(names.error(), "the keywords can't be read");
        co_return Result<>();
    }
    const bool more = names->size() > selected_->keywords().size();
    selected_->set_keywords(std::move(*names));
    if (more) tell_flag_names();
    co_return Result<>();
}

// RFC 9051 s7.3.5, and which of them stay (s7.1).
void Client::tell_flag_names() {
    std::string names;
    for (std::size_t bit = 0; bit < kSystemFlags; ++bit) names.append(bit == 0 ? "" : " ").append(flag_name(bit));
    for (const auto& keyword : selected_->keywords()) names.append(" ").append(keyword);
    untagged("FLAGS ({})", names);
    if (selected_->read_only())
        untagged("OK [PERMANENTFLAGS ()] read-only");
    else
        untagged("OK [PERMANENTFLAGS ({} \\*)] kept", names);
}

// RFC 2177, RFC 9051 s6.3.13. DONE may have come together with IDLE.
Task<Result<>> Client::idle(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    text_ = std::string();
    auto* const wakeable = dynamic_cast<net::Wakeable*>(&connection_);
    std::unique_ptr<engine::Watch> watch;
    std::optional<Waker> waker;
    if (selected_ && wakeable) {
        waker.emplace(*wakeable, co_await asio::this_coro::executor);
        watch = services_.store.watch(account(), waker->hint());
    }
    if (auto said = co_await say_continue("idling"); !said) co_return said;
    const auto deadline = SteadyClock::now() + options_.idle;
    for (bool ready = false; !ready;) {
        if (selected_) {
            if (auto told = co_await update(Expunges::told); !told) co_return told;
            if (auto sent = co_await send(); !sent) co_return sent;
            out_ = std::string();
        }
        const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - SteadyClock::now());
        if (left <= left.zero()) co_return fail(Errc::timed_out, "idle for too long");
        if (!wakeable) break;
        auto awaited = co_await wakeable->await_octets(left);
        if (!awaited) co_return pass_on(awaited);
        ready = *awaited;
    }
    watch.reset();
    auto line = co_await read_line(kIdleLine);
    if (!line && line.error().code() == Errc::too_large)
        co_return co_await bye("[TOOBIG] the line is too long", "too_long");
    if (!line) co_return pass_on(line);
    if (!ascii::same(*line, "DONE")) {
        // A literal's octets must not become commands.
        const auto mark = literal_at_end(*line);
        if (mark && !mark->waits)
            if (auto skipped = co_await skip_command(mark->octets); !skipped) co_return skipped;
        co_return co_await bad("IDLE ends with DONE");
    }
    co_return co_await ok("done");
}

}  // namespace poplar::imap
