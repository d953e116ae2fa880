// Views of INBOX: what they hide, and when a message leaves INBOX because of it. Every change that takes a message out
// of INBOX, or brings one back, corrects them in the same commit (changes.cc).
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kPage = 1000;  // entries a scan
}  // namespace

Task<Result<Changes::Draft>> Changes::begin_with_views(AccountId account, Hot& hot) {
    auto draft = co_await begin(account, hot);
    if (!draft || draft->record().views == 0) co_return draft;
    auto entries = co_await engine_.scan(account, keys::views(), draft->record().views + 1);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        auto record = decode_view(entry.value);
        if (!record) co_return pass_on(record);
        draft->views.emplace(keys::view_of(entry.key), Draft::View{std::move(*record)});
    }
    if (draft->views.size() == draft->record().views) co_return draft;
    auto number = co_await engine_.change_number(account);
    if (!number) co_return pass_on(number);
    hot.reset();
    if (*number != draft->state.number) co_return fail(Errc::conflict, "somebody else changed the account");
    co_return fail(Errc::corrupt, "the account's record knows of more views, or fewer");
}

Task<Result<>> Changes::delete_in(AccountId account, Hot& hot, ViewId view, std::vector<Victim> victims,
                                  engine::Batch::Fence fence) {
    auto attempt = [&] { return try_delete_in(account, hot, view, victims, fence); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_delete_in(AccountId account, Hot& hot, ViewId view, const std::vector<Victim>& victims,
                                      const engine::Batch::Fence& fence) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    if (view == kClassicView && draft->views.empty())
        co_return co_await try_remove(account, hot, victims, "pop3", fence);
    const auto found = draft->views.find(view);
    if (found == draft->views.end()) co_return fail(Errc::denied, "the view is gone");
    auto messages = co_await still_there(account, kInbox, victims);
    if (!messages) co_return pass_on(messages);
    const auto ranges = found->second.record.hidden.ranges().size();
    if (!found->second.record.hide(*messages)) co_return Result<>{};
    if (auto joined = co_await join_ranges(account, found->second.record, *messages); !joined)
        co_return pass_on(joined);
    const auto now = found->second.record.hidden.ranges().size();
    if (now > kMostRanges && now > ranges) co_return fail(Errc::too_large, "the view has too many gaps");
    found->second.changed = true;
    draft->batch.fence = fence;
    co_return co_await commit(account, hot, std::move(*draft));
}

/// Places that have no message any more, between ranges of which one ends or begins with one of these messages, or
/// before the first, are taken in.
Task<Result<>> Changes::join_ranges(AccountId account, ViewRecord& view, const std::vector<StoredMessage>& messages) {
    auto is_one = [&](OrderKey order) { return std::ranges::binary_search(messages, order, {}, &Message::order); };
    std::vector<OrderRange> gaps;
    OrderKey before{0};  // the last place of the range before
    for (const auto& range : view.hidden.ranges()) {
        const OrderKey free(before.value + 1);
        if (free < range.first && (is_one(range.first) || is_one(before))) {
            auto live =
                co_await engine_.scan(account, {keys::message(kInbox, free), keys::message(kInbox, range.first)}, 1);
            if (!live) co_return pass_on(live);
            if (live->empty()) gaps.push_back({free, OrderKey(range.first.value - 1)});
        }
        before = range.last;
    }
    for (const auto& gap : gaps) view.hidden.fill(gap);
    co_return Result<>{};
}

Task<Result<>> Changes::make_view(AccountId account, Hot& hot, ViewId view, Timestamp since, bool counts) {
    auto attempt = [&] { return try_make_view(account, hot, view, since, counts); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_make_view(AccountId account, Hot& hot, ViewId view, Timestamp since, bool counts) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
    auto& views = draft->views;
    if (const auto found = views.find(view); found != views.end()) {
        if (found->second.record.counts == counts) co_return Result<>{};
        found->second.record.counts = counts;
        found->second.changed = true;
        co_return co_await commit(account, hot, std::move(*draft));
    }
    auto made = co_await hidden_before(account, draft->record().inbox, since);
    if (!made) co_return pass_on(made);
    made->counts = counts;
    made->used = clock_.now();
    if (views.empty()) {
        auto& classic = views[kClassicView];
        classic.record.used = clock_.now();
        classic.changed = true;
    }
    views[view] = {std::move(*made), true};
    draft->record().views = views.size();
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<> Changes::note_use(AccountId account, Hot& hot, ViewId view) {
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

// Messages of before count from INBOX's beginning up to the first that was received later, so that it is one range.
Task<Result<ViewRecord>> Changes::hidden_before(AccountId account, const MailboxRecord& inbox, Timestamp since) {
    ViewRecord view;
    if (since == kFromTheFirst || inbox.next_order == OrderKey(1)) co_return view;
    OrderKey end = inbox.next_order;
    if (since == kFromNowOn) {
        view.hidden_totals = inbox.totals;
        view.hidden_totals.seen = view.hidden_totals.deleted = 0;
    } else {
        auto range = keys::messages(kInbox);
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

Task<Result<bool>> Changes::drop_view(AccountId account, Hot& hot, ViewId view) {
    auto attempt = [&] { return try_drop_view(account, hot, view); };
    co_return co_await repeated(attempt);
}

// When the last one beside the classic one goes, what was deleted there leaves INBOX, as if it had never been hidden.
Task<Result<bool>> Changes::try_drop_view(AccountId account, Hot& hot, ViewId view) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    bool more = false;
    if (view != kClassicView && draft->views.erase(view) > 0) {
        draft->batch.erase(keys::view(view));
        draft->record().views = draft->views.size();
        more = true;
    } else if (draft->views.size() == 1) {
        auto gone = co_await hand_over(account, *draft, {kClassicView});
        if (!gone) co_return pass_on(gone);
        more = *gone == options_.forget_messages;
        if (!more) {
            draft->views.clear();
            draft->batch.erase(keys::view(kClassicView));
            draft->record().views = 0;
        }
    } else {
        co_return false;
    }
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return more;
}

Task<Result<std::uint64_t>> Changes::let_go(AccountId account, Hot& hot, std::vector<ViewId> ignored) {
    auto attempt = [&]() -> Task<Result<std::uint64_t>> {
        auto draft = co_await begin_with_views(account, hot);
        if (!draft) co_return pass_on(draft);
        std::vector<ViewId> counting;
        const auto last = clock_.now() - options_.view_unused - kUsedWithin;
        for (const auto& [id, view] : draft->views)
            if (view.record.counts && view.record.used > last && std::ranges::find(ignored, id) == ignored.end())
                counting.push_back(id);
        auto gone = co_await hand_over(account, *draft, std::move(counting));
        if (!gone || *gone == 0) co_return gone;
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return gone;
    };
    co_return co_await repeated(attempt);
}

/// A commit's worth of what all of these views hide and one of them at least has shown.
Task<Result<std::uint64_t>> Changes::hand_over(AccountId account, Draft& draft, std::vector<ViewId> views) {
    std::uint64_t count = 0;
    std::optional<OrderRanges> hidden;
    OrderKey shown(~0ull);
    for (auto view : views) {
        const auto found = draft.views.find(view);
        if (found == draft.views.end()) continue;
        const auto& record = found->second.record;
        if (record.hidden_totals.messages == 0) co_return count;
        hidden = hidden ? *hidden & record.hidden : record.hidden;
        shown = std::min(shown, record.begins);
    }
    if (!hidden) co_return count;
    OrderKey live{0};  // no message is before it
    for (const auto& orders : hidden->ranges()) {
        if (orders.last < shown || orders.last < live) continue;
        const engine::KeyRange range{keys::message(kInbox, std::max(orders.first, shown)),
                                     keys::message(kInbox, OrderKey(orders.last.value + 1))};
        auto entries = co_await engine_.scan(account, range, options_.forget_messages - count);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            retain(draft, draft.record().inbox, std::move(*message), "pop3");
            ++count;
        }
        if (count == options_.forget_messages) break;
        if (!entries->empty()) continue;
        auto next = co_await engine_.scan(account, {range.end, keys::messages(kInbox).end}, 1);
        if (!next) co_return pass_on(next);
        if (next->empty()) break;
        live = keys::order_of(next->front().key);
    }
    co_return count;
}

}  // namespace poplar::mailstore
