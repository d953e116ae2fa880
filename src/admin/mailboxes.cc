// Mailboxes, moving and flagging messages, the change log.
#include "api/mailboxes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "admin/described.h"
#include "admin/names.h"
#include "admin/room.h"
#include "admin/row.h"
#include "base/log.h"
#include "mailstore/mail_store.h"

namespace poplar::admin {

namespace {

using mailstore::SpecialUse;

constexpr std::array<std::pair<SpecialUse, std::string_view>, 5> kUses{{{SpecialUse::drafts, "drafts"},
                                                                        {SpecialUse::sent, "sent"},
                                                                        {SpecialUse::junk, "junk"},
                                                                        {SpecialUse::trash, "trash"},
                                                                        {SpecialUse::archive, "archive"}}};

api::Mailbox described(const mailstore::Mailbox& mailbox) {
    api::Mailbox out;
    out.name = mailbox.name;
    out.id = mailbox.id.value;
    for (const auto& [use, name] : kUses)
        if (use == mailbox.use) out.use = std::string(name);
    out.subscribed = mailbox.subscribed;
    out.messages = mailbox.totals.messages;
    out.octets = mailbox.totals.octets;
    out.unseen = mailbox.totals.unseen();
    out.deleted = mailbox.totals.deleted;
    out.uid_validity = mailbox.uid_validity;
    out.uid_next = mailbox.uid_next.value;
    out.mod_sequence = mailbox.changed.value;
    return out;
}

/// Adds a message for the caller to a failure about a mailbox.
std::unexpected<Error> about(const Error& failed, const std::string& name) {
    switch (failed.code()) {
        case Errc::not_found: return fail(Errc::not_found, fmt::format("no mailbox {}", name));
        case Errc::exists: return fail(Errc::exists, fmt::format("there is a mailbox {} already", name));
        case Errc::denied: return fail(Errc::denied, "INBOX stays as it is");
        case Errc::invalid: return fail(Errc::invalid, fmt::format("no mailbox can be called \"{}\"", name));
        case Errc::too_large: return fail(Errc::busy, "the account has as many mailboxes as it may (mailboxes.limit)");
        default: return std::unexpected(failed);
    }
}

Task<Result<api::MailboxList>> list_mailboxes(Context& context, Caller, api::ListMailboxes wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto found = co_await context.mail.mailboxes(*account);
    if (!found) co_return pass_on(found);
    api::MailboxList list;
    for (const auto& one : *found) list.mailboxes.push_back(described(one));
    co_return list;
}

Task<Result<api::Mailbox>> add_mailbox(Context& context, Caller, api::AddMailbox wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto use = SpecialUse::none;
    if (wanted.use) {
        auto found = std::ranges::find(kUses, *wanted.use, [](const auto& one) { return one.second; });
        if (found == kUses.end())
            co_return fail(Errc::invalid,
                           fmt::format("\"{}\" is no use: drafts, sent, junk, trash or archive", *wanted.use));
        use = found->first;
    }
    auto added = co_await context.mail.add_mailbox(account->id, wanted.name, use);
    if (!added) co_return about(added.error(), wanted.name);
    log::info("admin.mailbox_added", {{"account", account->address}, {"mailbox", added->name}});
    co_return described(*added);
}

Task<Result<api::Mailbox>> rename_mailbox(Context& context, Caller, api::RenameMailbox wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto renamed = co_await context.mail.rename_mailbox(account->id, wanted.name, wanted.to);
    if (!renamed) co_return about(renamed.error(), renamed.error().code() == Errc::exists ? wanted.to : wanted.name);
    log::info("admin.mailbox_renamed", {{"account", account->address}, {"mailbox", wanted.name}, {"to", wanted.to}});
    auto now = co_await context.mail.mailbox(account->id, wanted.to);
    if (!now) co_return about(now.error(), wanted.to);
    co_return described(*now);
}

Task<Result<api::Mailbox>> subscribe_mailbox(Context& context, Caller, api::SubscribeMailbox wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    const auto how = wanted.subscribed ? mailstore::Subscription::yes : mailstore::Subscription::no;
    auto done = co_await context.mail.set_subscription(account->id, wanted.name, how);
    if (!done) co_return about(done.error(), wanted.name);
    auto now = co_await context.mail.mailbox(account->id, wanted.name);
    if (!now) co_return about(now.error(), wanted.name);
    co_return described(*now);
}

Task<Result<api::Removal>> remove_mailbox(Context& context, Caller, api::RemoveMailbox wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto removed = co_await context.mail.remove_mailbox(account->id, wanted.name, "admin");
    if (!removed) co_return about(removed.error(), wanted.name);
    log::info("admin.mailbox_removed", {{"account", account->address}, {"mailbox", wanted.name}});
    co_return api::Removal{wanted.name};
}

/// A live message. Errors: not_found, with a message for the caller.
Task<Result<LocatedMessage>> find_live(Context& context, std::string address, std::string id) {
    auto found = co_await locate(context, std::move(address), id);
    if (found && !found->live) co_return fail(Errc::not_found, fmt::format("the message {} is deleted", id));
    co_return found;
}

/// Moves or copies by `transfer`. Returns the message at its new place.
template <class Transfer>
Task<Result<api::Message>> transfer(Context& context, const LocatedMessage& found, std::string name,
                                    Transfer transfer) {
    auto to = co_await context.mail.mailbox(found.account, name);
    if (!to) co_return about(to.error(), name);
    auto done = co_await transfer(to->id);
    if (!done) co_return pass_on(done);
    if (done->empty()) co_return fail(Errc::not_found, "the message has gone meanwhile");
    auto there = co_await context.mail.list(found.account, to->id, mailstore::OrderKey(done->front().to.value - 1), 1);
    if (!there) co_return pass_on(there);
    if (there->empty()) co_return fail(Errc::not_found, "the message has gone meanwhile");
    co_return co_await described(context, found.account, there->front(), false);
}

Task<Result<api::Message>> move_message(Context& context, Caller, api::MoveMessage wanted) {
    auto found = co_await find_live(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    auto move = [&](mailstore::MailboxId to) {
        return context.mail.move(found->account, found->message.mailbox, {found->message.uid()}, to);
    };
    auto moved = co_await transfer(context, *found, wanted.mailbox, move);
    if (moved)
        log::info("admin.message_moved",
                  {{"account_id", found->account.value}, {"unique_id", wanted.id}, {"mailbox", wanted.mailbox}});
    co_return moved;
}

Task<Result<api::Message>> copy_message(Context& context, Caller, api::CopyMessage wanted) {
    auto found = co_await find_live(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    auto room = co_await room_in(context, found->account, {.octets = found->message.octets});
    if (!room) co_return pass_on(room);
    auto copy = [&](mailstore::MailboxId to) {
        return context.mail.copy(found->account, found->message.mailbox, {found->message.uid()}, to);
    };
    auto copied = co_await transfer(context, *found, wanted.mailbox, copy);
    if (copied)
        log::info("admin.message_copied",
                  {{"account_id", found->account.value}, {"unique_id", wanted.id}, {"mailbox", wanted.mailbox}});
    co_return copied;
}

mailstore::FlagChange change_of(mailstore::FlagChange::How how, const std::vector<std::string>& names) {
    mailstore::FlagChange change{.how = how};
    for (const auto& name : names) {
        if (const auto flag = flag_of(name))
            change.system |= static_cast<std::uint8_t>(*flag);
        else
            change.keywords.push_back(name);
    }
    return change;
}

Task<Result<api::Message>> flag_message(Context& context, Caller, api::FlagMessage wanted) {
    using How = mailstore::FlagChange::How;
    auto found = co_await find_live(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    const auto& message = found->message;
    for (const auto& [how, names] : {std::pair(How::add, &wanted.add), {How::remove, &wanted.remove}}) {
        if (!*names || (*names)->empty()) continue;
        auto done = co_await context.mail.change_flags(found->account, message.mailbox, {message.uid()},
                                                       change_of(how, **names));
        if (!done && done.error().code() == Errc::invalid)
            co_return fail(Errc::invalid, "that is no flag and no keyword");
        if (!done) co_return pass_on(done);
    }
    auto now = co_await context.mail.find(found->account, wanted.id);
    if (!now) co_return explain(now.error(), Errc::not_found, fmt::format("no message {}", wanted.id));
    co_return co_await described(context, found->account, *now, false);
}

std::string_view name_of(mailstore::Change::Kind kind) {
    using Kind = mailstore::Change::Kind;
    switch (kind) {
        case Kind::added: return "added";
        case Kind::removed: return "removed";
        case Kind::flags: return "flags";
        case Kind::moved: return "moved";
        case Kind::mailbox: return "mailbox";
        case Kind::mailbox_removed: return "mailbox_removed";
        case Kind::document: return "document";
    }
    return "";
}

std::vector<std::string> texts_of(const std::vector<mailstore::UidRange>& ranges) {
    std::vector<std::string> out;
    for (const auto& range : ranges)
        out.push_back(range.first == range.last ? fmt::format("{}", range.first.value)
                                                : fmt::format("{}:{}", range.first.value, range.last.value));
    return out;
}

Task<Result<api::ChangeList>> list_changes(Context& context, Caller, api::ListChanges wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto told = co_await context.mail.changes_since(*account, mailstore::ModSequence(wanted.since), wanted.limit);
    if (!told) co_return pass_on(told);
    api::ChangeList list;
    list.number = told->number.value;
    list.forgotten = told->forgotten;
    for (const auto& change : told->changes) {
        api::Change out;
        out.number = change.number.value;
        out.kind = name_of(change.kind);
        out.mailbox = change.mailbox.value;
        out.uids = texts_of(change.uids);
        if (change.kind == mailstore::Change::Kind::moved) {
            out.to = change.to.value;
            out.to_uids = texts_of(change.to_uids);
        }
        list.changes.push_back(std::move(out));
    }
    co_return list;
}

}  // namespace

const std::vector<Row>& mailbox_rows() {
    static const std::vector<Row> rows = {
        row<api::ListMailboxes, list_mailboxes>(), row<api::AddMailbox, add_mailbox>(),
        row<api::RenameMailbox, rename_mailbox>(), row<api::SubscribeMailbox, subscribe_mailbox>(),
        row<api::RemoveMailbox, remove_mailbox>(), row<api::MoveMessage, move_message>(),
        row<api::CopyMessage, copy_message>(),     row<api::FlagMessage, flag_message>(),
        row<api::ListChanges, list_changes>(),
    };
    return rows;
}

}  // namespace poplar::admin
