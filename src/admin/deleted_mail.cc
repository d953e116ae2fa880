// Deleted mail that is still kept: listing it, reading it, bringing it back.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "activity/ledger.h"
#include "admin/described.h"
#include "admin/names.h"
#include "admin/room.h"
#include "admin/row.h"
#include "api/messages.h"
#include "auth/device_password.h"
#include "base/ascii.h"
#include "base/log.h"
#include "mailstore/mail_store.h"
#include "mailstore/mailbox_name.h"

namespace poplar::admin {

namespace {

constexpr std::size_t kPage = 1000;  // deleted messages looked at together

/// The names of an account's devices, by their ids.
using DeviceNames = std::map<std::uint32_t, std::string>;

Task<Result<DeviceNames>> device_names(Context& context, directory::AccountId account) {
    auto devices = co_await context.directory.devices(account);
    if (!devices) co_return pass_on(devices);
    DeviceNames names;
    for (auto& device : *devices) names.emplace(device.id, std::move(device.name));
    co_return names;
}

/// "old laptop (28t5)", or "28t5" if it was revoked.
std::string shown(std::uint32_t device, const DeviceNames& names) {
    const auto id = auth::to_text(device);
    const auto name = names.find(device);
    return name == names.end() ? id : fmt::format("{} ({})", name->second, id);
}

std::string deleted_by(const mailstore::RetainedMessage& retained, const DeviceNames& names) {
    std::string text;
    for (auto device : retained.devices) text += (text.empty() ? "" : ", ") + shown(device, names);
    if (!text.empty()) return text;
    if (retained.reason == "pop3") return "the account's own password";
    if (retained.reason == "admin") return "administrator";
    if (retained.reason == "expire") return "server: its days were over";
    return retained.reason;
}

Task<api::Message> described(Context& context, directory::AccountId account, mailstore::RetainedMessage retained,
                             DeviceNames names, bool headers) {
    auto out = co_await described(context, account, retained.message, headers);
    out.deleted = time_text(retained.deleted);
    out.expires = time_text(retained.expires);
    out.reason = retained.reason;
    out.deleted_by = deleted_by(retained, names);
    if (retained.devices.empty()) co_return out;
    auto& devices = out.devices.emplace();
    for (auto device : retained.devices) devices.push_back(auth::to_text(device));
    co_return out;
}

Task<Result<api::MessageList>> list_retained(Context& context, Caller, api::ListRetained wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto found = co_await context.mail.list_retained(*account, wanted.offset, wanted.limit);
    if (!found) co_return pass_on(found);
    auto names = co_await device_names(context, *account);
    if (!names) co_return pass_on(names);
    api::MessageList list;
    for (auto& retained : *found)
        list.messages.push_back(co_await described(context, *account, std::move(retained), *names, wanted.headers));
    co_return list;
}

Task<Result<>> fetch_retained(Context& context, Caller, api::FetchRetained wanted, http::Stream& stream) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto found = co_await find_message(context, *account, wanted.id);
    if (found && found->live) co_return fail(Errc::not_found, fmt::format("the message {} is not deleted", wanted.id));
    if (!found)
        co_return explain(found.error(), Errc::not_found, fmt::format("no deleted message {} is kept", wanted.id));
    const std::string type(api::FetchRetained::operation().content_type);
    co_return co_await send_message(context, *account, std::move(found->message), type, stream);
}

/// No limit stops a message that comes back, but with room in the account its owner is warned when it fills up. That
/// the room can't be had is no reason to keep the message away.
Task<Result<quota::Reservation>> watched(Context& context, directory::AccountId account) {
    return room_in(context, account, {.messages = 0, .octets = 0}, quota::Binding::none);
}

Task<Result<api::Message>> restore_message(Context& context, Caller, api::RestoreMessage wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    // For the store, restoring a live message is done already. A caller who asks for it has the wrong message.
    auto found = co_await find_message(context, *account, wanted.id);
    if (found && found->live) co_return fail(Errc::exists, fmt::format("the message {} is not deleted", wanted.id));
    const auto room = co_await watched(context, *account);
    auto restored = co_await context.mail.restore(*account, wanted.id);
    if (!restored)
        co_return explain(restored.error(), Errc::not_found, fmt::format("no deleted message {} is kept", wanted.id));
    note(context, *account, activity::Kind::restored, "", 1);
    log::info("admin.message_restored", {{"account_id", account->value}, {"unique_id", wanted.id}});
    co_return co_await described(context, *account, *restored, false);
}

/// The messages that a caller wants back, but for those named by their unique-ids.
struct Wish {
    mailstore::DeletionFilter deletion;
    std::optional<mailstore::MailboxId> mailbox;  ///< that is called so now
    std::string mailbox_name;                     ///< or was, of messages of a mailbox that is gone; "": any
    std::string subject, from;                    ///< in lower case; "": any

    bool fits(const mailstore::RetainedMessage& retained) const {
        const auto& name = retained.mailbox.empty() ? std::string(mailstore::kInboxName) : retained.mailbox;
        const bool its_mailbox =
            mailbox_name.empty() || (mailbox ? retained.message.mailbox == *mailbox : name == mailbox_name);
        return its_mailbox && deletion.fits(retained);
    }
    bool asks_for_headers() const { return !subject.empty() || !from.empty(); }
    bool fits(const api::Message& message) const {
        auto has = [](const std::optional<std::string>& text, const std::string& part) {
            return part.empty() || (text && ascii::to_lower(*text).contains(part));
        };
        return has(message.subject, subject) && has(message.from, from);
    }
};

/// Errors: not_found, with a message for the caller; and the directory's.
Task<Result<>> add_device(Context& context, directory::AccountId account, std::string text,
                          mailstore::DeletionFilter& filter) {
    auto devices = co_await context.directory.devices(account);
    if (!devices) co_return pass_on(devices);
    auto found = std::ranges::find(*devices, text, [](const auto& device) { return auth::to_text(device.id); });
    if (found == devices->end()) found = std::ranges::find(*devices, text, &directory::Device::name);
    if (found != devices->end()) {
        filter.device = found->id;
    } else if (text == "none") {
        filter.reason = "pop3";
        filter.by_no_device = true;
    } else if (const auto revoked = auth::device_of_text(text)) {
        filter.device = *revoked;
    } else {
        co_return fail(Errc::not_found, fmt::format("no device {}; of one that was revoked give the id", text));
    }
    co_return Result<>();
}

/// Errors: invalid, not_found, with a message for the caller.
Task<Result<Wish>> wish_of(Context& context, directory::AccountId account, const api::RestoreMessages& wanted) {
    Wish wish;
    const auto now = context.directory.in(std::chrono::seconds(0));
    if (wanted.since) {
        auto since = time_of(*wanted.since, now);
        if (!since) co_return pass_on(since);
        wish.deletion.since = *since;
    }
    if (wanted.until) {
        auto until = time_of(*wanted.until, now);
        if (!until) co_return pass_on(until);
        // Times are told in whole seconds.
        wish.deletion.until = *until + std::chrono::seconds(1) - std::chrono::milliseconds(1);
    }
    if (wanted.device)
        if (auto added = co_await add_device(context, account, *wanted.device, wish.deletion); !added)
            co_return pass_on(added);
    if (wanted.mailbox) {
        auto name = mailstore::canonical_name(*wanted.mailbox);
        if (!name) co_return pass_on(name);
        wish.mailbox_name = std::move(*name);
        auto there = co_await context.mail.find_mailbox(account, wish.mailbox_name);
        if (there) wish.mailbox = there->id;
        if (!there && there.error().code() != Errc::not_found) co_return pass_on(there);
    }
    wish.subject = ascii::to_lower(wanted.subject.value_or(""));
    wish.from = ascii::to_lower(wanted.from_header.value_or(""));
    co_return wish;
}

bool says_what(const api::RestoreMessages& wanted) {
    return wanted.ids || wanted.since || wanted.until || wanted.device || wanted.mailbox || wanted.subject ||
           wanted.from_header || wanted.all;
}

/// Those that a wish fits; with `ids`, of these alone. As many as the reply may name are described in it.
Task<Result<std::vector<std::string>>> chosen(Context& context, directory::AccountId account,
                                              const api::RestoreMessages& wanted, Wish wish, api::Restoration& reply) {
    auto names = co_await device_names(context, account);
    if (!names) co_return pass_on(names);
    std::vector<std::string> ids;
    const bool dry = wanted.dry_run.has_value();
    auto is_asked_for = [&](const std::string& id) {
        return !wanted.ids || std::ranges::find(*wanted.ids, id) != wanted.ids->end();
    };
    for (std::size_t offset = 0;; offset += kPage) {
        auto page = co_await context.mail.list_retained(account, offset, kPage);
        if (!page) co_return pass_on(page);
        for (auto& one : *page) {
            if (!is_asked_for(one.message.unique_id) || !wish.fits(one)) continue;
            const bool shows = dry && reply.messages.size() < api::RestoreMessages::kAtOnce;
            const auto octets = one.message.octets;
            auto id = one.message.unique_id;
            if (wish.asks_for_headers() || shows) {
                auto message = co_await described(context, account, std::move(one), *names, true);
                if (!wish.fits(message)) continue;
                if (shows) reply.messages.push_back(std::move(message));
            }
            ids.push_back(std::move(id));
            reply.octets += octets;
            if (!dry && ids.size() == api::RestoreMessages::kAtOnce) co_return ids;
        }
        if (page->size() < kPage) co_return ids;
    }
}

/// Says of ids that are not among those that come back, whether they are there.
Task<Result<>> look_for_others(Context& context, directory::AccountId account, const api::RestoreMessages& wanted,
                               const std::vector<std::string>& ids, api::Restoration& reply) {
    for (const auto& id : wanted.ids.value_or(std::vector<std::string>())) {
        if (std::ranges::find(ids, id) != ids.end()) continue;
        auto found = co_await find_message(context, account, id);
        if (!found && found.error().code() != Errc::not_found) co_return pass_on(found);
        if (found && found->live)
            ++reply.already;
        else if (!found)
            reply.missing.push_back(id);
    }
    co_return Result<>();
}

Task<Result<api::Restoration>> restore_messages(Context& context, Caller, api::RestoreMessages wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (!says_what(wanted)) co_return fail(Errc::invalid, "say which messages: unique-ids, a filter, or all");
    std::optional<mailstore::MailboxId> to;
    if (wanted.to) {
        auto there = co_await mailbox_called(context, *account, *wanted.to);
        if (!there) co_return pass_on(there);
        to = *there;
    }
    auto wish = co_await wish_of(context, *account, wanted);
    if (!wish) co_return pass_on(wish);
    api::Restoration reply;
    auto ids = co_await chosen(context, *account, wanted, std::move(*wish), reply);
    if (!ids) co_return pass_on(ids);
    if (auto looked = co_await look_for_others(context, *account, wanted, *ids, reply); !looked)
        co_return pass_on(looked);
    if (wanted.dry_run) {
        reply.restored = ids->size();
        co_return reply;
    }
    reply.more = ids->size() == api::RestoreMessages::kAtOnce && !wanted.ids;
    const auto room = co_await watched(context, *account);
    for (const auto& id : *ids) {
        auto restored = co_await context.mail.restore(*account, id, to);
        if (restored)
            ++reply.restored;
        else if (restored.error().code() != Errc::not_found)  // it may have gone for good meanwhile
            co_return pass_on(restored);
    }
    if (reply.restored != 0) note(context, *account, activity::Kind::restored, "", reply.restored);
    log::info("admin.messages_restored", {{"account_id", account->value}, {"messages", reply.restored}});
    co_return reply;
}

}  // namespace

const std::vector<Row>& deleted_mail_rows() {
    static const std::vector<Row> rows = {
        row<api::ListRetained, list_retained>(),
        row<api::FetchRetained, fetch_retained>(),
        row<api::RestoreMessage, restore_message>(),
        row<api::RestoreMessages, restore_messages>(),
    };
    return rows;
}

}  // namespace poplar::admin
