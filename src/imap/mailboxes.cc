// CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS; and how names and rights to mailboxes are read.
#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "imap/annotations.h"
#include "imap/client.h"
#include "imap/mailbox_name.h"
#include "mail/address.h"
#include "mailstore/mailbox_name.h"

namespace poplar::imap {

namespace {

constexpr std::string_view kNoName = "\xff";  // no UTF-8, so no mailbox's name
constexpr std::string_view kNoMailbox = "no such mailbox";
constexpr std::string_view kNoRight = "[NOPERM] this device's password is for reading only";
constexpr std::string_view kNotAll = "[NOPERM] this device sees only some mailboxes";

}  // namespace

std::optional<std::string> Client::mailbox_name(Cursor& in) const {
    auto name = parse_mailbox(in);
    if (!name) return std::nullopt;
    return decoded_name(std::move(*name)).value_or(std::string(kNoName));
}

// RFC 3501 s5.1.3, RFC 9051 s5.1, RFC 9755 s3.
std::optional<std::string> Client::decoded_name(std::string name) const {
    if (utf8_) return name;
    return from_utf7(name);
}

void Client::write_mailbox(std::string& out, std::string_view name) const {
    if (utf8_)
        write_astring(out, name, TextForm::utf8);
    else
        write_astring(out, to_utf7(name), TextForm::ascii);
}

bool Client::sees_all() const { return !access_->device || access_->device->device.mailboxes.empty(); }

bool Client::may_see(mailstore::MailboxId mailbox) const {
    if (sees_all()) return true;
    const auto& its = access_->device->device.mailboxes;
    return std::ranges::find(its, mailbox.value) != its.end();
}

Task<Result<mailstore::Mailbox>> Client::find_mailbox(std::string name) {
    auto mailbox = co_await services_.store.mailbox(account(), std::move(name));
    if (mailbox && !may_see(mailbox->id)) co_return fail(Errc::not_found, "the device has not this mailbox");
    if (!mailbox && mailbox.error().code() == Errc::invalid) co_return fail(Errc::not_found, "no name can be so");
    co_return mailbox;
}

// RFC 9051 s6.3.4; the special use is RFC 6154's. The mailboxes above it are made, too.
Task<Result<>> Client::create(Cursor in) {
    auto name = mailbox_name(in);
    if (!name) co_return co_await bad_arguments();
    auto use = mailstore::SpecialUse::none;
    if (in.space()) {
        if (!in.take_word("(USE ")) co_return co_await bad_arguments();
        const auto uses = parse_flag_list(in);
        if (!uses || !in.take(')')) co_return co_await bad_arguments();
        if (uses->size() > 1) co_return co_await no("[USEATTR] a mailbox has one special use");
        if (!uses->empty()) {
            const auto known = use_named(uses->front());
            if (!known) co_return co_await no("[USEATTR] not this special use");
            use = *known;
        }
    }
    if (!in.at_end()) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no(std::string(kNoRight));
    if (!sees_all()) co_return co_await no(std::string(kNotAll));
    // RFC 9051 s6.3.4: the separator at the end says that mailboxes below it will be made.
    if (name->size() > 1 && name->ends_with('/')) name->pop_back();
    auto made = co_await services_.store.add_mailbox(account(), std::move(*name), use);
    if (!made && made.error().code() == Errc::invalid) co_return co_await no("[CANNOT] no mailbox can be called so");
    if (!made && made.error().code() == Errc::exists) co_return co_await no("[ALREADYEXISTS] it is there already");
    if (!made) co_return co_await no(made.error(), "the mailbox can't be made");
    co_return co_await ok(fmt::format("[MAILBOXID (M{})] done", made->id.value));
}

// RFC 9051 s6.3.5. Mailboxes below it stay; LIST then shows a name without a mailbox above them.
Task<Result<>> Client::remove(Cursor in) {
    auto name = mailbox_name(in);
    if (!name || !in.at_end()) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no(std::string(kNoRight));
    if (!sees_all()) co_return co_await no(std::string(kNotAll));
    auto mailbox = co_await find_mailbox(*name);
    if (!mailbox) co_return co_await no(mailbox.error(), kNoMailbox);
    if (mailbox->id == mailstore::kInbox) co_return co_await no("[CANNOT] INBOX stays");
    const Timestamp begun = access_->visit.now();
    auto removed = co_await services_.store.remove_mailbox(account(), mailbox->name, "imap");
    if (!removed) co_return co_await no(removed.error(), "the mailbox can't be removed");
    if (mailbox->totals.messages > 0)
        access_->note_deleted({.messages = mailbox->totals.messages,
                               .begun = begun,
                               .mailbox = mailbox->id.value,
                               .before = mailbox->totals.messages});
    if (selected_ && selected_->id() == mailbox->id) close_selected();
    co_return co_await ok("done");
}

Task<Result<>> Client::rename(Cursor in) {
    auto from = mailbox_name(in);
    if (!from || !in.space()) co_return co_await bad_arguments();
    auto to = mailbox_name(in);
    if (!to || !in.at_end()) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no(std::string(kNoRight));
    if (!sees_all()) co_return co_await no(std::string(kNotAll));
    auto mailbox = co_await find_mailbox(*from);
    if (!mailbox) co_return co_await no(mailbox.error(), kNoMailbox);
    if (mailbox->id == mailstore::kInbox) co_return co_await rename_inbox(std::move(*to));
    auto renamed = co_await services_.store.rename_mailbox(account(), mailbox->name, std::move(*to));
    if (!renamed) co_return co_await no(renamed.error(), "the mailbox can't be renamed so");
    co_return co_await ok("done");
}

// RFC 9051 s6.3.6: INBOX stays, and its messages go into a new mailbox; those below INBOX stay.
Task<Result<>> Client::rename_inbox(std::string to) {
    auto made = co_await services_.store.add_mailbox(account(), std::move(to));
    if (!made) co_return co_await no(made.error(), "INBOX's mail can't go there");
    // RFC 5464 s4.1: they stay with INBOX, too.
    const auto copy = [&](Annotations& all) {
        all.copy(mailstore::kInbox.value, made->id.value);
        return true;
    };
    if (auto copied = co_await change_annotations(copy); !copied)
        log_failure(copied.error(), "the annotations can't be copied");
    auto list = co_await services_.store.list_uids(account(), mailstore::kInbox);
    if (!list) co_return co_await no(list.error(), "INBOX can't be read");
    std::vector<Uid> uids;
    for (const auto& message : (*list)->messages) uids.emplace_back(message.uid);
    auto moved = co_await services_.store.move(account(), mailstore::kInbox, std::move(uids), made->id);
    if (!moved) co_return co_await no(moved.error(), "not all of INBOX's mail could be moved");
    co_return co_await ok("done");
}

Task<Result<>> Client::subscribe(Cursor in) { return set_subscription(in, mailstore::Subscription::yes); }
Task<Result<>> Client::unsubscribe(Cursor in) { return set_subscription(in, mailstore::Subscription::no); }

Task<Result<>> Client::set_subscription(Cursor in, mailstore::Subscription subscription) {
    auto name = mailbox_name(in);
    if (!name || !in.at_end()) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no(std::string(kNoRight));
    // RFC 9051 s6.3.8: a name may be subscribed without a mailbox.
    auto mailbox = co_await find_mailbox(*name);
    const bool lost = !mailbox && mailbox.error().code() == Errc::not_found && sees_all();
    if (!mailbox && !lost) co_return co_await no(mailbox.error(), kNoMailbox);
    auto done = co_await services_.store.set_subscription(account(), mailbox ? mailbox->name : *name, subscription);
    const auto code = done ? Errc::io : done.error().code();
    if (lost && (code == Errc::not_found || code == Errc::invalid)) co_return co_await no(mailbox.error(), kNoMailbox);
    if (!done) co_return co_await no(done.error(), "the subscription can't be kept");
    co_return co_await ok("done");
}

// RFC 9051 s6.3.11.
Task<Result<>> Client::status(Cursor in) {
    auto name = mailbox_name(in);
    if (!name || !in.space()) co_return co_await bad_arguments();
    const auto items = parse_status_items(in);
    if (!items || !in.at_end()) co_return co_await bad_arguments();
    condstore_ = condstore_ || items->highest_mod_sequence;
    auto mailbox = co_await find_mailbox(std::move(*name));
    if (!mailbox) co_return co_await no(mailbox.error(), kNoMailbox);
    auto written = co_await write_status(*mailbox, *items);
    if (!written) co_return co_await no(written.error(), "the mailbox can't be read");
    co_return co_await ok("done");
}

// The failure is the store's.
Task<Result<>> Client::write_status(const mailstore::Mailbox& mailbox, const StatusItems& items) {
    std::uint64_t deleted = 0;
    if (items.deleted_storage && mailbox.totals.deleted > 0) {
        auto octets = co_await deleted_octets(mailbox.id);
        if (!octets) co_return pass_on(octets);
        deleted = *octets;
    }
    out_.append("* STATUS ");
    write_mailbox(out_, mailbox.name);
    out_.append(" (").append(status_of(mailbox, items, options_.append_limit, deleted)).append(")\r\n");
    co_return Result<>();
}

// RFC 9208 s4.1.4.
Task<Result<std::uint64_t>> Client::deleted_octets(mailstore::MailboxId mailbox) {
    auto list = co_await services_.store.list_uids(account(), mailbox);
    if (!list) co_return pass_on(list);
    std::vector<Uid> deleted;
    for (const auto& message : (*list)->messages)
        if ((message.flags & static_cast<std::uint32_t>(mailstore::Flag::deleted)) != 0)
            deleted.emplace_back(message.uid);
    auto totals = co_await services_.store.measure(account(), mailbox, std::move(deleted));
    if (!totals) co_return pass_on(totals);
    co_return totals->octets;
}

}  // namespace poplar::imap
