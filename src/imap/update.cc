// Tells the client of changes in the selected mailbox: EXISTS, EXPUNGE or VANISHED, FETCH. And IDLE.
#include <algorithm>

#include "base/ascii.h"
#include "imap/notifications.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kIdleLine = 64;  // octets of DONE, and of what is none
constexpr std::size_t kMostNews =
    10'000;  // UIDs that are looked for in lists; of more, the lists are compared as a whole

}  // namespace

/// The UIDs of the selected mailbox that the change log speaks of.
struct Client::News {
    ModSequence number;               ///< up to this change
    bool all = false;                 ///< any message may have changed: the log does not tell, or tells of too many
    bool removed = false;             ///< the mailbox
    std::vector<std::uint32_t> uids;  ///< ascending, each once

    void add(const std::vector<mailstore::UidRange>& ranges) {
        for (const auto& range : ranges)
            for (auto uid = range.first.value; uid <= range.last.value && uids.size() <= kMostNews; ++uid)
                uids.push_back(static_cast<std::uint32_t>(uid));
    }
    void sort() {
        std::ranges::sort(uids);
        uids.erase(std::ranges::unique(uids).begin(), uids.end());
    }
};

Task<Result<Client::News>> Client::read_news(ModSequence since) {
    News news;
    news.number = since;
    for (;;) {
        auto told = co_await services_.store.changes_since(account(), news.number);
        if (!told) co_return pass_on(told);
        const bool more = told->number > news.number;
        news.number = told->number;
        if (told->forgotten) news.all = true;
        for (const auto& change : told->changes) {
            using Kind = mailstore::Change::Kind;
            if (change.mailbox == selected_->id() && change.kind == Kind::mailbox_removed) news.removed = true;
            if (change.mailbox == selected_->id()) news.add(change.uids);
            if (change.kind == Kind::moved && change.to == selected_->id()) news.add(change.to_uids);
        }
        if (news.uids.size() > kMostNews) news.all = true;
        if (news.all || !more || told->changes.empty()) break;
    }
    news.sort();
    co_return news;
}

// RFC 9051 s7.5.1, RFC 7162 s3.2.10. Messages that are gone keep their numbers until the client may be told.
//
// The log is read before the list and again after it: so all that is different in the list is known, at the cost of
// what has changed, and `seen` is never later than the list.
Task<Result<>> Client::update(Expunges expunges) {
    auto news = co_await read_news(selected_->seen);
    Result<std::shared_ptr<const MessageList>> read;
    const bool nothing = news && !news->all && !news->removed && news->uids.empty() && !selected_->holds_gone();
    if (news && !nothing) read = co_await services_.store.list_uids(account(), selected_->id());
    if (news && !read && read.error().code() == Errc::not_found)
        co_return co_await bye("the mailbox was removed", "mailbox_removed");
    // The client keeps what it knows: a later command tries again.
    if (!news || !read) {
        log_failure(news ? read.error() : news.error(), "the mailbox can't be read");
        selected_->told.clear();
        co_return Result<>();
    }
    const auto before = selected_->shared_list();
    auto after = nothing ? before : std::move(*read);
    if (after == before) {
        selected_->seen = news->number;
        selected_->told.clear();
        co_return Result<>();
    }
    std::optional<Differences> found;
    if (!news->all && !selected_->holds_gone())
        if (auto later = co_await read_news(news->number); later && !later->all) {
            news->uids.insert(news->uids.end(), later->uids.begin(), later->uids.end());
            news->sort();
            found = compare_at(*before, *after, news->uids);
        }
    if (!found) found = compare(*before, *after);
    bool holds = expunges == Expunges::held && !found->gone.empty();
    const auto wanted = wanted_of_selected();
    if ((wanted & events::kMessageNew) == 0) {  // RFC 5465 s3: numbers stay as they are, and so nothing comes, either
        holds = !found->gone.empty() || found->fresh > 0;
        if (holds) after = frozen(*before, *after);
        found->gone.clear();
        found->fresh = 0;
    } else if (holds) {
        after = with_gone(*before, found->gone, *after);
        found->gone.clear();
        found->changed = compare(*before, *after).changed;
    }
    if ((wanted & events::kFlagChange) == 0) found->changed.clear();
    selected_->seen = news->number;
    selected_->replace(std::move(after), holds);
    co_return co_await tell(before, std::move(*found));
}

Task<Result<>> Client::tell(std::shared_ptr<const MessageList> before, Differences found) {
    if ((qresync_ || uids_only_) && !found.gone.empty()) {
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
    if (found.fresh == 0 || !notify_ || notify_->selected()->items.empty()) co_return Result<>();
    co_return co_await fetch_fresh(notify_->selected()->items, found.fresh);
}

void Client::begin_fetch(std::uint32_t index) {
    if (uids_only_)
        fmt::format_to(std::back_inserter(out_), "* {} UIDFETCH (", selected_->list().messages[index].uid);
    else
        fmt::format_to(std::back_inserter(out_), "* {} FETCH (", index + 1);
}

void Client::tell_flags(std::uint32_t index) {
    const auto& message = selected_->list().messages[index];
    begin_fetch(index);
    if (!uids_only_ && (by_uid() || qresync_ || rev2_ || notify_))
        fmt::format_to(std::back_inserter(out_), "UID {} ", message.uid);
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
    auto* const wakeable = dynamic_cast<net::Wakeable*>(&io());
    std::unique_ptr<engine::Watch> watch;
    std::optional<Waker> waker;
    if (selected_ && wakeable) {
        waker.emplace(*wakeable, co_await asio::this_coro::executor);
        watch = services_.store.watch(account(), waker->hint());
    }
    if (auto said = co_await say_continue("idling"); !said) co_return said;
    const auto deadline = SteadyClock::now() + options_.idle;
    for (bool ready = false; !ready;) {
        if (selected_ || notify_) {
            if (auto told = co_await tell_events(Expunges::told); !told) co_return told;
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
