// Views of mailboxes: what they hide, and when a message leaves its mailbox because of it. Every change that takes a
// message out of a mailbox, or brings one back, corrects them in the same commit (changes.cc).
#include <algorithm>

#include "base/log.h"
#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kPage = 1000;          // entries a scan
constexpr std::size_t kMostViews = 100'000;  // of an account: more than its devices and their mailboxes make
}  // namespace

Task<Result<Changes::Draft>> Changes::begin_with_views(AccountId account, Hot& hot) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return draft;
    if (auto loaded = co_await load_views(account, hot, *draft); !loaded) co_return pass_on(loaded);
    co_return draft;
}

Task<Result<>> Changes::load_views(AccountId account, Hot& hot, Draft& draft) {
    if (draft.record().views == 0) co_return Result<>{};
    const auto known = draft.record().views;
    if (auto read = co_await read_views(account, draft, known + 1); !read) co_return read;
    if (draft.views.size() == known) co_return Result<>{};
    auto number = co_await engine_.change_number(account);
    if (!number) co_return pass_on(number);
    if (*number != draft.state.number) {
        hot.reset();
        co_return fail(Errc::conflict, "somebody else changed the account");
    }
    // Damage took rows, or brought old ones back. Nobody's mail waits for a repair because of that.
    if (draft.views.size() > known)
        if (auto read = co_await read_views(account, draft, kMostViews); !read) co_return read;
    log::warning("mailstore.wrong_views",
                 {{"account", account.value}, {"views", draft.views.size()}, {"counted", known}});
    draft.record().views = draft.views.size();
    co_return Result<>{};
}

/// A view whose row can't be decoded shows all messages from now on: rather twice than never.
Task<Result<>> Changes::read_views(AccountId account, Draft& draft, std::size_t most) {
    auto entries = co_await engine_.scan(account, keys::views(), most);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        auto record = decode_view(entry.value);
        Draft::View view;
        if (record) {
            view.record = std::move(*record);
        } else {
            report_damage(account, record.error());
            view = {begun_now(draft), true};
        }
        draft.views.insert_or_assign(keys::view_of(entry.key), std::move(view));
    }
    co_return Result<>{};
}

// Its changes are later than any that an earlier view of this name had.
ViewRecord Changes::begun_now(Draft& draft) const {
    ViewRecord view;
    view.used = clock_.now();
    view.changes = draft.number().value;
    return view;
}

bool Changes::has_views(const Draft& draft, MailboxId mailbox) {
    return std::ranges::any_of(draft.views, [&](const auto& view) { return view.first.mailbox == mailbox; });
}

// The views in which it was deleted. One that begins later never showed it, and has deleted nothing.
std::vector<Changes::Hiding> Changes::hiding(const Draft& draft, const StoredMessage& message) {
    std::vector<Hiding> found;
    for (const auto& [id, view] : draft.views) {
        const auto& record = view.record;
        if (id.mailbox != message.mailbox || !record.has_deleted(message.order)) continue;
        const bool elsewhere = record.moved.range_with(message.order) != nullptr;
        found.push_back({id.view, elsewhere ? DeletedIn::elsewhere : DeletedIn::here});
    }
    return found;
}

// A view that has too many gaps shows the message once more. In another mailbox than that where it was deleted the
// message stays until somebody deletes it there: whoever files a message wants to keep it.
void Changes::hide_in(Draft& draft, const std::vector<Hiding>& views, MailboxId from, const StoredMessage& message) {
    for (auto [view, in] : views) {
        const auto found = draft.views.find({view, message.mailbox});
        if (found == draft.views.end()) continue;
        auto& record = found->second.record;
        if (std::max(record.hidden.ranges().size(), record.moved.ranges().size()) > kMostRanges) continue;
        record.hide(message, from == message.mailbox ? in : DeletedIn::elsewhere);
        found->second.changed = true;
    }
}

void Changes::erase_view(Draft& draft, MailboxView view) {
    draft.views.erase(view);
    draft.batch.erase(keys::view(view));
    draft.record().views = draft.views.size();
}

Task<Result<>> Changes::delete_in(AccountId account, Hot& hot, std::vector<Deletions> deletions, WhenAllDeleted when) {
    auto attempt = [&] { return try_delete_in(account, hot, deletions, when); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_delete_in(AccountId account, Hot& hot, const std::vector<Deletions>& deletions,
                                      WhenAllDeleted when) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    std::map<MailboxId, std::vector<StoredMessage>> found;
    for (const auto& part : deletions) {
        auto there = co_await still_there(account, part.of.mailbox, part.victims);
        if (!there) co_return pass_on(there);
        found[part.of.mailbox] = std::move(*there);
        draft->batch.fences.push_back(part.fence);
    }
    if (auto more = co_await find_moved(account, deletions, found); !more) co_return pass_on(more);
    bool changed = false;
    for (auto& [mailbox, messages] : found) {
        const MailboxView view(deletions.front().of.view, mailbox);
        auto deleted = co_await delete_from(account, *draft, view, std::move(messages), deletions.front().device, when);
        if (!deleted) co_return pass_on(deleted);
        changed |= *deleted;
    }
    if (!changed) co_return Result<>{};
    co_return co_await commit(account, hot, std::move(*draft));
}

/// Adds those that somebody moved meanwhile from one of these mailboxes to another, or to a new place in the same.
Task<Result<>> Changes::find_moved(AccountId account, const std::vector<Deletions>& deletions,
                                   std::map<MailboxId, std::vector<StoredMessage>>& found) {
    std::shared_ptr<const engine::Snapshot> snapshot;
    std::vector<StoredMessage> moved;
    for (const auto& part : deletions) {
        const auto& there = found.at(part.of.mailbox);
        for (const auto& victim : part.victims) {
            if (std::ranges::binary_search(there, victim.order, {}, &Message::order)) continue;
            if (!snapshot) snapshot = engine_.snapshot(account);
            auto now = co_await look_up(engine_, account, victim.unique_id, snapshot);
            if (!now && now.error().code() == Errc::not_found) continue;
            if (!now) co_return pass_on(now);
            if (!now->retained && victim.is(now->message)) moved.push_back(std::move(now->message));
        }
    }
    for (auto& message : moved) {
        const auto home = found.find(message.mailbox);
        if (home == found.end()) continue;
        auto& messages = home->second;
        messages.insert(std::ranges::lower_bound(messages, message.order, {}, &Message::order), std::move(message));
    }
    co_return Result<>{};
}

/// A view's deletion of these messages, ascending. False: it changes nothing.
Task<Result<bool>> Changes::delete_from(AccountId account, Draft& draft, MailboxView view,
                                        std::vector<StoredMessage> messages, std::optional<std::uint32_t> device,
                                        WhenAllDeleted when) {
    auto from = co_await mailbox(account, draft, view.mailbox);
    if (!from && from.error().code() == Errc::not_found) co_return false;  // removed, with all that was in it
    if (!from) co_return pass_on(from);
    auto found = draft.views.find(view);
    const bool alone = view.view == kClassicView && !has_views(draft, view.mailbox);
    if (view.view != kClassicView && found == draft.views.end()) co_return fail(Errc::denied, "the view is gone");
    if (messages.empty()) co_return false;
    if (alone && when == WhenAllDeleted::remove) {
        Deleter by("pop3");
        if (device) by.devices.push_back(*device);
        for (auto& message : messages) retain(draft, **from, std::move(message), by);
        co_return true;
    }
    // The classic view beside others has always a row, unless damage took it.
    if (found == draft.views.end()) {
        found = draft.views.emplace(view, Draft::View{begun_now(draft)}).first;
        draft.record().views = draft.views.size();
    }
    auto& record = found->second.record;
    const auto ranges = record.hidden.ranges().size();
    if (!record.hide(messages)) co_return false;
    if (auto joined = co_await join_ranges(account, view.mailbox, record, messages); !joined) co_return pass_on(joined);
    const auto now = record.hidden.ranges().size();
    if (now > kMostRanges && now > ranges) co_return fail(Errc::too_large, "the view has too many gaps");
    found->second.changed = true;
    co_return true;
}

/// Places that have no message any more, between ranges of which one ends or begins with one of these messages, or
/// before the first, are taken in.
Task<Result<>> Changes::join_ranges(AccountId account, MailboxId mailbox, ViewRecord& view,
                                    const std::vector<StoredMessage>& messages) {
    auto is_one = [&](OrderKey order) { return std::ranges::binary_search(messages, order, {}, &Message::order); };
    std::vector<OrderRange> gaps;
    OrderKey before{0};  // the last place of the range before
    for (const auto& range : view.hidden.ranges()) {
        const OrderKey free(before.value + 1);
        if (free < range.first && (is_one(range.first) || is_one(before))) {
            auto live =
                co_await engine_.scan(account, {keys::message(mailbox, free), keys::message(mailbox, range.first)}, 1);
            if (!live) co_return pass_on(live);
            if (live->empty()) gaps.push_back({free, OrderKey(range.first.value - 1)});
        }
        before = range.last;
    }
    for (const auto& gap : gaps) view.hidden.fill(gap);
    co_return Result<>{};
}

Task<Result<>> Changes::make_view(AccountId account, Hot& hot, MailboxView view, Timestamp since, bool counts) {
    auto attempt = [&] { return try_make_view(account, hot, view, since, counts); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_make_view(AccountId account, Hot& hot, MailboxView view, Timestamp since, bool counts) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
    auto& views = draft->views;
    if (const auto found = views.find(view); found != views.end()) {
        if (found->second.record.counts == counts && !found->second.changed) co_return Result<>{};
        found->second.record.counts = counts;
        found->second.changed = true;
        co_return co_await commit(account, hot, std::move(*draft));
    }
    auto of = co_await mailbox(account, *draft, view.mailbox);
    if (!of) co_return pass_on(of);
    auto made = co_await hidden_before(account, view.mailbox, **of, since, begun_now(*draft));
    if (!made) co_return pass_on(made);
    made->counts = counts;
    const MailboxView beside(kClassicView, view.mailbox);
    if (!views.contains(beside)) views[beside] = {begun_now(*draft), true};
    views[view] = {std::move(*made), true};
    draft->record().views = views.size();
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<> Changes::note_use(AccountId account, Hot& hot, MailboxView view) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin_with_views(account, hot);
        if (!draft) co_return pass_on(draft);
        const auto found = draft->views.find(view);
        if (found == draft->views.end()) co_return Result<>{};
        found->second.record.used = clock_.now();
        found->second.changed = true;
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_await repeated(attempt);
}

// Messages of before count from the mailbox's beginning up to the first that was received later, so that it is one
// range.
Task<Result<ViewRecord>> Changes::hidden_before(AccountId account, MailboxId id, MailboxRecord mailbox, Timestamp since,
                                                ViewRecord view) {
    if (since == kFromTheFirst || mailbox.next_order == OrderKey(1)) co_return view;
    OrderKey end = mailbox.next_order;
    if (since == kFromNowOn) {
        view.hidden_totals = mailbox.totals;
        view.hidden_totals.seen = view.hidden_totals.deleted = 0;
    } else {
        auto range = keys::messages(id);
        for (bool more = true; more;) {
            auto page = co_await engine_.scan(account, range, kPage);
            if (!page) co_return pass_on(page);
            more = page->size() == kPage;
            for (const auto entry : *page) {
                Message message;
                if (auto decoded = decode_message(entry, message); !decoded) co_return pass_on(decoded);
                if (message.received >= since) {
                    end = message.order;
                    more = false;
                    break;
                }
                count_in(view.hidden_totals, message);
            }
            if (more) range.begin_behind(page->back().key);
        }
    }
    view.begins = end;
    if (end > OrderKey(1)) view.hidden = OrderRanges({{OrderKey(1), OrderKey(end.value - 1)}});
    co_return view;
}

Task<Result<Changes::Dropped>> Changes::drop_view(AccountId account, Hot& hot, MailboxView view, WhenAllDeleted when) {
    auto attempt = [&] { return try_drop_view(account, hot, view, when); };
    co_return co_await repeated(attempt);
}

// When the last one of a mailbox beside the classic one goes, what was deleted there leaves the mailbox, as if it had
// never been hidden.
Task<Result<Changes::Dropped>> Changes::try_drop_view(AccountId account, Hot& hot, MailboxView view,
                                                      WhenAllDeleted when) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    Dropped dropped;
    const MailboxView classic(kClassicView, view.mailbox);
    auto is_beside = [&](const auto& one) { return one.first.mailbox == view.mailbox && one.first != classic; };
    if (view != classic && draft->views.contains(view)) {
        erase_view(*draft, view);
        dropped.more = true;
    } else if (when == WhenAllDeleted::remove && draft->views.contains(classic) &&
               std::ranges::none_of(draft->views, is_beside)) {
        auto gone = co_await hand_over(account, *draft, view.mailbox, {kClassicView}, options_.forget_messages);
        if (!gone) co_return pass_on(gone);
        dropped.gone = *gone;
        dropped.more = *gone == options_.forget_messages;
        if (!dropped.more) erase_view(*draft, classic);
    } else {
        co_return dropped;
    }
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return dropped;
}

Task<Result<std::uint64_t>> Changes::let_go(AccountId account, Hot& hot, std::vector<ViewId> ignored) {
    auto attempt = [&] { return try_let_go(account, hot, ignored); };
    co_return co_await repeated(attempt);
}

Task<Result<std::uint64_t>> Changes::try_let_go(AccountId account, Hot& hot, const std::vector<ViewId>& ignored) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    std::map<MailboxId, std::vector<ViewId>> counting;
    const auto last = clock_.now() - options_.view_unused - kUsedWithin;
    for (const auto& [id, view] : draft->views)
        if (view.record.counts && view.record.used > last && std::ranges::find(ignored, id.view) == ignored.end())
            counting[id.mailbox].push_back(id.view);
    std::uint64_t all = 0;
    for (auto& [mailbox, views] : counting) {
        auto gone = co_await hand_over(account, *draft, mailbox, std::move(views), options_.forget_messages - all);
        if (!gone) co_return gone;
        all += *gone;
        if (all == options_.forget_messages) break;
    }
    if (all == 0) co_return all;
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return all;
}

std::vector<std::uint32_t> Changes::devices_that_deleted(const Draft& draft, const std::vector<ViewId>& views,
                                                         const StoredMessage& message) {
    std::vector<std::uint32_t> devices;
    for (auto view : views) {
        const auto found = draft.views.find({view, message.mailbox});
        const bool its = view != kClassicView && found != draft.views.end();
        if (its && found->second.record.has_deleted(message.order)) devices.push_back(view.value - 1);
    }
    return devices;
}

/// Takes out of the mailbox what all of these views hide and one of them at least has deleted there, `most` at most.
/// Returns how many messages.
Task<Result<std::uint64_t>> Changes::hand_over(AccountId account, Draft& draft, MailboxId id, std::vector<ViewId> views,
                                               std::uint64_t most) {
    std::uint64_t count = 0;
    std::optional<OrderRanges> hidden;
    OrderRanges deleted;  // by any
    for (auto view : views) {
        const auto found = draft.views.find({view, id});
        if (found == draft.views.end()) continue;
        const auto& record = found->second.record;
        if (record.hidden_totals.messages == 0) co_return count;
        hidden = hidden ? *hidden & record.hidden : record.hidden;
        deleted = deleted | (record.deleted() - record.moved);
    }
    if (!hidden) co_return count;
    auto from = co_await mailbox(account, draft, id);
    if (!from) co_return pass_on(from);
    OrderKey live{0};  // no message is before it
    const auto leaving = *hidden & deleted;
    for (const auto& orders : leaving.ranges()) {
        if (orders.last < live) continue;
        const engine::KeyRange range{keys::message(id, orders.first),
                                     keys::message(id, OrderKey(orders.last.value + 1))};
        auto entries = co_await engine_.scan(account, range, most - count);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            const Deleter by("pop3", devices_that_deleted(draft, views, *message));
            retain(draft, **from, std::move(*message), by);
            ++count;
        }
        if (count == most) break;
        if (!entries->empty()) continue;
        auto next = co_await engine_.scan(account, {range.end, keys::messages(id).end}, 1);
        if (!next) co_return pass_on(next);
        if (next->empty()) break;
        live = keys::order_of(next->front().key);
    }
    co_return count;
}

}  // namespace poplar::mailstore
