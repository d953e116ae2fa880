// An account's ledger, open sessions, and what the limits of logins hold up.
#include "api/activity.h"

#include <fmt/format.h>

#include <algorithm>

#include "activity/ledger.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "base/log.h"

namespace poplar::admin {

namespace {

api::Activity described(const activity::Entry& entry) {
    api::Activity out;
    out.kind = activity::to_string(entry.kind);
    out.first = time_text(entry.first);
    out.last = time_text(entry.last);
    out.times = entry.times;
    out.messages = entry.messages;
    if (entry.origin.device) {
        out.device = auth::to_text(*entry.origin.device);
        out.device_name = entry.origin.device_name;
    }
    out.from = entry.origin.peer;
    out.protocol = entry.origin.protocol;
    out.detail = entry.detail;
    if (entry.is_sum) out.sum.emplace();
    return out;
}

// Errors: invalid, with a message for the caller.
Result<std::vector<activity::Kind>> kinds_of(std::string_view text) {
    std::vector<activity::Kind> kinds;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        const auto kind = activity::kind_of(word);
        if (!kind)
            return fail(
                Errc::invalid,
                fmt::format("\"{}\" is no kind: login, refused, unproven, fetched, deleted, credential, restored",
                            word));
        kinds.push_back(*kind);
    }
    return kinds;
}

Task<Result<api::ActivityList>> list_activity(Context& context, Caller, api::ListActivity wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto kinds = kinds_of(wanted.kind.value_or(""));
    if (!kinds) co_return pass_on(kinds);
    Timestamp since(std::chrono::milliseconds(wanted.after));
    if (wanted.since) {
        auto time = time_of(*wanted.since, context.ledger.now());
        if (!time) co_return pass_on(time);
        since = std::max(since, *time);
    }
    auto listing = co_await context.ledger.list(*account, {since, std::move(*kinds), wanted.limit});
    if (!listing) co_return pass_on(listing);
    const auto& entries = listing->entries;
    api::ActivityList list;
    list.damaged = listing->damaged;
    for (const auto& entry : entries) list.entries.push_back(described(entry));
    const auto last = entries.empty() ? since : entries.back().last;
    list.next = static_cast<std::uint64_t>(std::max<std::int64_t>(last.time_since_epoch().count(), 0));
    co_return list;
}

Task<Result<api::SessionList>> list_sessions(Context& context, Caller, api::ListSessions wanted) {
    std::string account;
    if (wanted.address) {
        auto found = co_await find_account(context, *wanted.address);
        if (!found) co_return pass_on(found);
        account = found->address;
    }
    if (!context.sessions) co_return api::SessionList();
    co_return co_await context.sessions(std::move(account), wanted.limit);
}

Task<Result<api::Session>> end_session(Context& context, Caller, api::EndSession wanted) {
    std::optional<api::Session> ended;
    if (context.end_session) ended = co_await context.end_session(wanted.id);
    if (!ended) co_return fail(Errc::not_found, fmt::format("no session {}", wanted.id));
    log::info("admin.session_ended", {{"session", ended->id}, {"account", ended->account}, {"peer", ended->from}});
    co_return std::move(*ended);
}

Task<Result<api::BlockedList>> list_blocked(Context& context, Caller, api::ListBlocked wanted) {
    auto seconds = [](SteadyClock::duration time) {
        return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(time).count());
    };
    auto held = context.auth.held_up();
    auto codes = co_await context.auth.second_factors().held_up();
    if (!codes) co_return pass_on(codes);
    std::ranges::move(*codes, std::back_inserter(held));
    std::ranges::stable_sort(held, std::ranges::greater(), &auth::HeldUp::lasts);
    api::BlockedList list;
    list.total = held.size();
    if (held.size() > wanted.limit) held.resize(wanted.limit);
    for (auto& one : held)
        list.blocked.push_back({std::string(one.limit), std::move(one.account), std::move(one.peer), one.failures,
                                seconds(one.delay), seconds(one.lasts)});
    co_return list;
}

Task<Result<api::Release>> clear_blocked(Context& context, Caller, api::ClearBlocked wanted) {
    std::uint64_t released = context.auth.release(wanted.who);
    auto account = co_await context.directory.find_account(wanted.who);
    if (account) {
        auto codes = co_await context.auth.second_factors().release(*account);
        if (!codes && codes.error().code() != Errc::corrupt) co_return pass_on(codes);
        released += codes && *codes ? 1 : 0;
    } else if (account.error().code() != Errc::not_found && account.error().code() != Errc::invalid) {
        co_return pass_on(account);  // it is an address or a network
    }
    log::info("admin.blocked_cleared", {{"who", wanted.who}, {"released", released}});
    co_return api::Release{released};
}

}  // namespace

const std::vector<Row>& activity_rows() {
    static const std::vector<Row> rows = {
        row<api::ListActivity, list_activity>(), row<api::ListSessions, list_sessions>(),
        row<api::EndSession, end_session>(),     row<api::ListBlocked, list_blocked>(),
        row<api::ClearBlocked, clear_blocked>(),
    };
    return rows;
}

}  // namespace poplar::admin
