// Devices: passwords of an account for one client each.
#include "api/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "activity/ledger.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/device_uses.h"
#include "auth/mail_keys.h"
#include "auth/open_sessions.h"
#include "base/log.h"
#include "base/networks.h"
#include "base/printable.h"
#include "base/units.h"
#include "mail/address.h"
#include "mailstore/mail_store.h"
#include "mailstore/mailbox_name.h"

namespace poplar::admin {

namespace {

constexpr std::array kServices{directory::Service::pop3, directory::Service::imap, directory::Service::submission,
                               directory::Service::sieve};

constexpr int kAttempts = 8;  // to add a device before others that change the account's keys win

/// The names of an account's mailboxes, by their numbers.
using MailboxNames = std::map<std::uint32_t, std::string>;

/// Of an account with these devices. Most have INBOX alone.
Task<Result<MailboxNames>> mailbox_names(Context& context, directory::AccountId account,
                                         std::vector<directory::Device> devices) {
    MailboxNames names;
    auto has_none = [](const directory::Device& device) { return device.mailboxes.empty(); };
    if (std::ranges::all_of(devices, has_none)) co_return names;
    auto all = co_await context.mail.mailboxes(account);
    if (!all) co_return pass_on(all);
    for (auto& one : *all) names.emplace(one.id.value, std::move(one.name));
    co_return names;
}

api::Device described(const directory::Device& device, const MailboxNames& names,
                      const directory::DeviceUse& use = {}) {
    api::Device out;
    out.id = auth::to_text(device.id);
    out.name = device.name;
    out.created = time_text(device.created);
    for (auto service : kServices)
        if (device.serves(service)) out.protocols.emplace_back(auth::to_string(service));
    out.from = device.networks;
    if (device.expires) out.expires = time_text(*device.expires);
    out.read_only = device.read_only;
    out.view = device.own_view ? "own" : "shared";
    for (auto id : device.mailboxes) {
        const auto name = names.find(id);
        out.mailboxes.push_back(name != names.end() ? name->second : fmt::format("(removed: {})", id));
    }
    if (device.mailboxes.empty()) out.mailboxes.emplace_back(mailstore::kInboxName);
    if (use.logins != 0) out.last_used = time_text(use.last);
    out.last_from = use.peer;
    out.last_protocol = use.protocol;
    out.logins = use.logins;
    out.fetched = use.fetched;
    out.deleted = use.deleted;
    return out;
}

/// Writes the fields that the caller gave into the device. Errors: invalid.
template <class Wanted>
Result<> apply(const Wanted& wanted, directory::Device& device) {
    if (wanted.protocols) {
        device.services = 0;
        for (const auto& name : *wanted.protocols) {
            auto found = std::ranges::find(kServices, name, [](auto service) { return auth::to_string(service); });
            if (found == kServices.end())
                return fail(Errc::invalid, fmt::format("\"{}\" is no protocol: pop3, imap, submission or sieve", name));
            device.services |= static_cast<std::uint8_t>(*found);
        }
        if (wanted.protocols->empty()) device.services = directory::Device{}.services;
    }
    if (wanted.from) {
        if (auto good = Networks::parse(*wanted.from); !good) return pass_on(good);
        device.networks = *wanted.from;
    }
    return {};
}

/// Of views and of the device: the mailboxes of its maildrop.
std::vector<mailstore::MailboxId> mailboxes_of(const directory::Device& device) {
    std::vector<mailstore::MailboxId> mailboxes(device.mailboxes.begin(), device.mailboxes.end());
    if (mailboxes.empty()) mailboxes.push_back(mailstore::kInbox);
    return mailboxes;
}

/// Those that a caller names, as the device has them. Errors: not_found; invalid.
Task<Result<std::vector<std::uint32_t>>> wanted_mailboxes(Context& context, directory::AccountId account,
                                                          std::vector<std::string> names) {
    std::vector<std::uint32_t> found;
    for (const auto& name : names) {
        auto mailbox = co_await context.mail.find_mailbox(account, name);
        if (!mailbox) co_return explain(mailbox.error(), Errc::not_found, fmt::format("no mailbox {}", name));
        found.push_back(mailbox->id.value);
    }
    std::ranges::sort(found);
    const auto same = std::ranges::unique(found);
    found.erase(same.begin(), same.end());
    if (found == std::vector{mailstore::kInbox.value}) found.clear();
    co_return found;
}

/// Makes the device's views of these mailboxes. If that fails, upkeep takes away what was made.
Task<Result<>> make_views(Context& context, directory::AccountId account, std::uint32_t device,
                          std::vector<mailstore::MailboxId> mailboxes, Timestamp since, bool counts) {
    for (auto id : mailboxes) {
        const mailstore::MailboxView view(mailstore::view_of_device(device), id);
        if (auto made = co_await context.mail.make_view(account, view, since, counts); !made) co_return made;
    }
    co_return Result<>();
}

/// Takes away the device's views of these mailboxes. The mail that leaves them, because nobody is left who has not
/// deleted it, stands in the ledger as a deletion, also if only some of it could leave.
Task<Result<>> drop_views(Context& context, directory::Account account, directory::Device device,
                          std::vector<mailstore::MailboxId> mailboxes) {
    const auto begun = context.ledger.now();
    const auto when =
        account.settings.keep_deleted ? mailstore::WhenAllDeleted::keep : mailstore::WhenAllDeleted::remove;
    std::uint64_t gone = 0;
    Result<> done;
    for (auto id : mailboxes) {
        const mailstore::MailboxView view(mailstore::view_of_device(device.id), id);
        auto dropped = co_await context.mail.drop_view(account.id, view, when);
        if (dropped) gone += *dropped;
        if (!dropped) done = pass_on(dropped);
        if (!done) break;
    }
    if (gone != 0)
        note(context, account.id, activity::Kind::deleted, "its view was the last one", gone, &device, begun);
    co_return done;
}

Result<> check_name(const std::string& name) {
    if (name.empty() || name.size() > directory::kDeviceNameLimit || with_hidden_shown(name) != name ||
        !mail::is_utf8(name))
        return fail(Errc::invalid, fmt::format("a device's name is 1 to {} octets of text without control characters",
                                               directory::kDeviceNameLimit));
    return {};
}

/// The one with this id or, if there is none, this name. Errors: not_found.
Task<Result<directory::Device>> find_device(Context& context, const directory::Account& account, std::string name) {
    auto devices = co_await context.directory.devices(account.id);
    if (!devices) co_return pass_on(devices);
    auto found = std::ranges::find(*devices, name, [](const auto& device) { return auth::to_text(device.id); });
    if (found == devices->end()) found = std::ranges::find(*devices, name, &directory::Device::name);
    if (found == devices->end())
        co_return fail(Errc::not_found, fmt::format("{} has no device {}", account.address, name));
    co_return std::move(*found);
}

/// From when on a new device's own view shows mail. Nothing: it gets no view of its own.
Result<std::optional<Timestamp>> wanted_view(const api::AddDevice& wanted, const directory::Device& device,
                                             const directory::Directory& directory) {
    const bool pop3 = device.serves(directory::Service::pop3);
    if (!pop3 && (wanted.view || wanted.since || wanted.mailbox))
        return fail(Errc::invalid, "views and mailboxes are for POP3, which the device is not good for");
    const auto view = wanted.view.value_or(pop3 ? "own" : "shared"), since = wanted.since.value_or("all");
    if (view != "own" && view != "shared")
        return fail(Errc::invalid, fmt::format("\"{}\" is no view: own or shared", view));
    if (view == "shared") {
        if (wanted.since) return fail(Errc::invalid, "\"since\" is for a view of its own");
        return std::optional<Timestamp>();
    }
    if (since == "all") return std::optional(mailstore::kFromTheFirst);
    if (since == "now") return std::optional(mailstore::kFromNowOn);
    const auto time = parse_duration(since);
    if (!time) return fail(Errc::invalid, fmt::format("\"{}\" is no time: all, now, or for example 30d", since));
    return std::optional(directory.in(-std::chrono::duration_cast<std::chrono::seconds>(*time)));
}

/// With SCRAM keys that fit those of the account and its other devices. Making them takes a while, in which a password
/// may be set or a device added: then they are made anew.
Task<Result<directory::Device>> add_with_keys(Context& context, directory::AccountId id, directory::Device device,
                                              auth::DevicePassword password) {
    for (int attempt = 1;; ++attempt) {
        auto beside = co_await context.directory.keys_stamp(id);
        if (!beside) co_return pass_on(beside);
        auto account = co_await context.directory.account(id);
        if (!account) co_return pass_on(account);
        auto scram_keys = co_await context.auth.device_scram_keys(std::move(*account), password);
        if (!scram_keys) co_return pass_on(scram_keys);
        device.scram_keys = std::move(*scram_keys);
        const auto expected = device.scram_keys.empty() ? std::nullopt : std::optional(*beside);
        auto added = co_await context.directory.add_device(id, device, expected);
        if (added || added.error().code() != Errc::conflict || attempt == kAttempts) co_return added;
    }
}

Task<Result<api::Device>> add_device(Context& context, Caller, api::AddDevice wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (auto good = check_name(wanted.name); !good) co_return pass_on(good);
    auto id = co_await context.directory.free_device_id(account->id);
    if (!id) co_return pass_on(id);
    auto password = auth::make_device_password(*id);
    directory::Device device;
    device.id = *id;
    device.name = wanted.name;
    device.secret = auth::hash_device_secret(password.secret);
    if (auto good = apply(wanted, device); !good) co_return pass_on(good);
    if (wanted.mailbox) {
        auto mailboxes = co_await wanted_mailboxes(context, account->id, *wanted.mailbox);
        if (!mailboxes) co_return pass_on(mailboxes);
        device.mailboxes = std::move(*mailboxes);
    }
    if (wanted.expires) device.expires = context.directory.in(std::chrono::seconds(wanted.expires->count));
    device.read_only = wanted.read_only.has_value();
    auto since = wanted_view(wanted, device, context.directory);
    if (!since) co_return pass_on(since);
    device.own_view = since->has_value();
    if (auto good = directory::check(device); !good) co_return pass_on(good);
    const auto mailboxes = mailboxes_of(device);
    // Before the device is there: what is delivered meanwhile is its own, too.
    if (*since) {
        auto made = co_await make_views(context, account->id, *id, mailboxes, **since, !device.read_only);
        if (!made) co_return pass_on(made);
    }
    auto added = co_await add_with_keys(context, account->id, device, password);
    if (!added) {
        if (*since) co_await drop_views(context, *account, std::move(device), mailboxes);
        co_return pass_on(added);
    }
    if (auto expected = co_await context.auth.mail_keys().expect_device(*account, *added, password); !expected)
        log::warning("admin.device_not_expected",
                     {{"account", account->address}, {"reason", expected.error().detail()}});  // its login leaves it
    note(context, account->id, activity::Kind::credential, "device added", 0, &*added);
    log::info("admin.device_added",
              {{"account", account->address}, {"device", added->name}, {"id", auth::to_text(added->id)}});
    auto names = co_await mailbox_names(context, account->id, std::vector{*added});
    if (!names) co_return pass_on(names);
    auto reply = described(*added, *names);
    reply.password = auth::grouped(password);
    co_return reply;
}

Task<Result<api::DeviceList>> list_devices(Context& context, Caller, api::ListDevices wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    co_await context.device_uses.flush();
    auto devices = co_await context.directory.devices(account->id);
    if (!devices) co_return pass_on(devices);
    auto uses = co_await context.directory.device_uses(account->id);
    if (!uses) co_return pass_on(uses);
    std::map<std::uint32_t, directory::DeviceUse> by_id;
    for (auto& one : *uses) by_id.emplace(one.device, std::move(one.use));
    std::ranges::sort(*devices, {}, &directory::Device::name);
    api::DeviceList list;
    auto names = co_await mailbox_names(context, account->id, *devices);
    if (!names) co_return pass_on(names);
    for (const auto& device : *devices) list.devices.push_back(described(device, *names, by_id[device.id]));
    co_return list;
}

Task<Result<api::Device>> set_device(Context& context, Caller, api::SetDevice wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto device = co_await find_device(context, *account, wanted.id);
    if (!device) co_return pass_on(device);
    if (wanted.name) {
        if (auto good = check_name(*wanted.name); !good) co_return pass_on(good);
        device->name = *wanted.name;
    }
    if (auto good = apply(wanted, *device); !good) co_return pass_on(good);
    if (wanted.expires) {
        device->expires.reset();
        if (*wanted.expires) device->expires = context.directory.in(std::chrono::seconds((*wanted.expires)->count));
    }
    auto gone = mailboxes_of(*device);
    if (wanted.mailbox) {
        if (!device->serves(directory::Service::pop3))
            co_return fail(Errc::invalid, "mailboxes are for POP3, which the device is not good for");
        auto mailboxes = co_await wanted_mailboxes(context, account->id, *wanted.mailbox);
        if (!mailboxes) co_return pass_on(mailboxes);
        device->mailboxes = std::move(*mailboxes);
    }
    // Before it has views that nobody would open.
    if (auto good = directory::check(*device); !good) co_return pass_on(good);
    const auto mailboxes = mailboxes_of(*device);
    std::erase_if(gone, [&](auto id) { return std::ranges::find(mailboxes, id) != mailboxes.end(); });
    if (wanted.mailbox && device->own_view) {
        auto made = co_await make_views(context, account->id, device->id, mailboxes, mailstore::kFromTheFirst,
                                        !device->read_only);
        if (!made) co_return pass_on(made);
    }
    auto set = co_await context.directory.set_device(account->id, std::move(*device));
    if (!set) co_return pass_on(set);
    // The device has to log in again, because it may be able to do less now.
    const bool restricted = wanted.protocols || wanted.from || wanted.expires || wanted.mailbox;
    const auto ended = restricted ? context.open_sessions.end({account->id, set->id}) : 0;
    note(context, account->id, activity::Kind::credential, "device changed", 0, &*set);
    log::info("admin.device_set", {{"account", account->address},
                                   {"device", set->name},
                                   {"id", auth::to_text(set->id)},
                                   {"sessions_ended", ended}});
    if (set->own_view)
        if (auto dropped = co_await drop_views(context, *account, *set, std::move(gone)); !dropped)
            co_return pass_on(dropped);
    auto names = co_await mailbox_names(context, account->id, std::vector{*set});
    if (!names) co_return pass_on(names);
    co_return described(*set, *names);
}

Task<Result<api::DeviceRevocation>> revoke_device(Context& context, Caller, api::RevokeDevice wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto device = co_await find_device(context, *account, wanted.id);
    if (!device) co_return pass_on(device);
    auto removed = co_await context.directory.remove_device(account->id, device->id);
    if (!removed) co_return pass_on(removed);
    const auto ended = context.open_sessions.end({account->id, removed->id});
    if (account->settings.encryption == directory::Encryption::on) {
        auto dropped = co_await context.auth.mail_keys().drop_device(account->id, removed->id);
        if (!dropped) co_return pass_on(dropped);
    }
    note(context, account->id, activity::Kind::credential, "device revoked", 0, &*removed);
    if (removed->own_view) {
        auto dropped = co_await drop_views(context, *account, *removed, mailboxes_of(*removed));
        if (!dropped) co_return pass_on(dropped);
    }
    log::info("admin.device_revoked", {{"account", account->address},
                                       {"device", removed->name},
                                       {"id", auth::to_text(removed->id)},
                                       {"sessions_ended", ended}});
    co_return api::DeviceRevocation{auth::to_text(removed->id), removed->name, ended};
}

}  // namespace

const std::vector<Row>& device_rows() {
    static const std::vector<Row> rows = {
        row<api::ListDevices, list_devices>(),
        row<api::AddDevice, add_device>(),
        row<api::SetDevice, set_device>(),
        row<api::RevokeDevice, revoke_device>(),
    };
    return rows;
}

}  // namespace poplar::admin
