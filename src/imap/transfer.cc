// COPY and MOVE (RFC 9051 s6.4.7, s6.4.8; RFC 4315, RFC 6851).
#include "imap/client.h"
#include "quota/room.h"

namespace poplar::imap {

namespace {

/// `1:3,7`, in the given order, which the other set of COPYUID has, too (RFC 4315 s3).
std::string in_order(const std::vector<mailstore::Transferred>& all, Uid mailstore::Transferred::* which) {
    std::string text;
    for (std::size_t i = 0; i < all.size();) {
        auto end = i + 1;
        while (end < all.size() && (all[end].*which).value == (all[end - 1].*which).value + 1) ++end;
        fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : ",", (all[i].*which).value);
        if (end - i > 1) fmt::format_to(std::back_inserter(text), ":{}", (all[end - 1].*which).value);
        i = end;
    }
    return text;
}

}  // namespace

Task<Result<>> Client::copy(Cursor in) { return transfer(in, Transfer::copy); }
Task<Result<>> Client::move(Cursor in) { return transfer(in, Transfer::move); }

Task<Result<>> Client::transfer(Cursor in, Transfer how) {
    auto indexes = parse_messages(in);
    if (!indexes || !in.space()) co_return co_await bad_arguments();
    auto name = mailbox_name(in);
    if (!name || !in.at_end()) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no("[NOPERM] this device's password is for reading only");
    const bool moves = how == Transfer::move;
    if (moves && selected_->read_only()) co_return co_await no("[CANNOT] the mailbox is open read-only");
    auto target = co_await find_mailbox(std::move(*name));
    if (!target && target.error().code() == Errc::not_found) co_return co_await no("[TRYCREATE] no such mailbox");
    if (!target) co_return co_await no(target.error(), "the mailbox can't be read");
    if (moves && target->id == selected_->id()) co_return co_await no("[CANNOT] they are in this mailbox already");
    auto uids = uids_at(*indexes);
    Result<std::vector<mailstore::Transferred>> done;
    quota::Reservation room;
    if (moves) {
        done = co_await services_.store.move(account(), selected_->id(), std::move(uids), target->id);
    } else {
        auto totals = co_await services_.store.measure(account(), selected_->id(), uids);
        if (!totals) co_return co_await no(totals.error(), "the messages can't be read");
        auto kept = co_await quota::room_in(services_.directory, services_.quotas, account(),
                                            {.messages = totals->messages, .octets = totals->octets});
        if (!kept && kept.error().code() == Errc::no_space) co_return co_await no("[OVERQUOTA] the account is full");
        if (!kept) co_return co_await no(kept.error(), "the account can't be read");
        room = std::move(*kept);
        done = co_await services_.store.copy(account(), selected_->id(), std::move(uids), target->id);
    }
    if (!done && done.error().code() == Errc::not_found) co_return co_await no("[TRYCREATE] no such mailbox");
    if (!done) co_return co_await no(done.error(), moves ? "not all could be moved" : "nothing was copied");
    if (done->empty()) co_return co_await ok("there was nothing");
    const auto code =
        fmt::format("[COPYUID {} {} {}]", target->uid_validity, in_order(*done, &mailstore::Transferred::from),
                    in_order(*done, &mailstore::Transferred::to));
    // RFC 6851 s4.3: a move is told before the messages disappear.
    if (moves) {
        untagged("OK {} moved", code);
        co_return co_await ok("done");
    }
    co_return co_await ok(code + " done");
}

}  // namespace poplar::imap
