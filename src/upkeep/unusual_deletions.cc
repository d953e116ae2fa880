#include "upkeep/unusual_deletions.h"

#include <algorithm>

#include "base/log.h"

namespace poplar::upkeep {

Task<Result<>> UnusualDeletions::round(jobs::Control&) {
    for (auto& [deletion, first] : deletions_.take(clock_.now())) {
        auto usual = co_await is_usual(deletion);
        Result<> done;
        if (!usual)
            done = pass_on(usual);
        else if (!*usual)
            done = co_await act(deletion, first);
        if (!done)
            log::warning("activity.deletion_not_judged",
                         {{"account", deletion.address}, {"reason", done.error().detail()}});
    }
    co_return Result<>();
}

// The ledger knows each time when more than half of a mailbox went, also of a small one: a program that always empties
// its maildrop is known by that.
Task<Result<bool>> UnusualDeletions::is_usual(activity::Deletion deletion) {
    if (ledger_.options().keep.count() == 0) co_return true;  // nothing is known of any
    auto entries = co_await ledger_.list(deletion.account, {.kinds = {activity::Kind::deleted}});
    if (!entries) co_return pass_on(entries);
    const auto network = network_key(deletion.origin.peer);
    co_return std::ranges::any_of(entries->entries, [&](const activity::Entry& entry) {
        if (entry.is_sum || entry.detail != activity::kMostOfIt || entry.last >= deletion.begun) return false;
        if (deletion.origin.device || entry.origin.device) return entry.origin.device == deletion.origin.device;
        return network_key(entry.origin.peer) == network;
    });
}

Task<Result<>> UnusualDeletions::act(activity::Deletion deletion, bool first) {
    mailstore::DeletionFilter which;
    which.since = deletion.begun;
    which.until = deletion.ended;
    which.reason = deletion.origin.protocol;
    which.device = deletion.origin.device;
    which.by_no_device = !deletion.origin.device;
    auto kept = co_await store_.keep_twice(deletion.account, which);
    if (!kept) co_return pass_on(kept);
    if (!first) co_return Result<>();
    log::warning("activity.unusual_deletion", {{"account", deletion.address},
                                               {"device", deletion.origin.device_name},
                                               {"peer", deletion.origin.peer},
                                               {"messages", deletion.messages},
                                               {"of", deletion.before},
                                               {"kept_twice", *kept}});
    co_return co_await tell_(std::move(deletion), *kept);
}

}  // namespace poplar::upkeep
