// Accounts: adding, changing, removing, importing.
#include "api/accounts.h"

#include <fmt/format.h>

#include <algorithm>

#include "activity/ledger.h"
#include "admin/factor_policy.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/mail_keys.h"
#include "auth/new_policy.h"
#include "auth/open_sessions.h"
#include "auth/password.h"
#include "auth/scram.h"
#include "base/log.h"
#include "base/random.h"
#include "directory/outside_directory.h"
#include "directory/removed.h"
#include "encryption/key_text.h"
#include "mail/address.h"
#include "mailstore/mail_store.h"
#include "quota/notice.h"
#include "quota/quotas.h"

namespace poplar::admin {

namespace {

constexpr std::size_t kPasswordOctets = 1024;  // what a client can send (auth/sasl.h)
constexpr std::size_t kListed = 1000;          // messages looked at, at once
constexpr int kAttempts = 8;                   // to set a password before others that add devices win

api::Account described(const directory::Account& account) {
    api::Account out;
    out.id = account.id.value;
    out.address = account.address;
    if (account.status != directory::AccountStatus::enabled) out.status = api::AccountStatus::disabled;
    out.created = time_text(account.created);
    if (!account.password.empty()) out.password_scheme = std::string(auth::scheme_of(account.password));
    for (auto [hash, name] : {std::pair(auth::ScramHash::sha256, "SHA-256"), {auth::ScramHash::sha1, "SHA-1"}})
        if (auth::find_scram_keys(account.scram_keys, hash) || auth::find_scram_keys(account.password, hash))
            out.scram.push_back(name);
    out.shared_secret = !account.shared_secret.empty();
    if (auto days = account.settings.expire_days) out.expire_days = api::Days{*days, *days == directory::kNeverExpires};
    if (auto delay = account.settings.login_delay) out.login_delay = api::Seconds{*delay};
    describe(account.settings.second_factor, out);
    out.when_all_deleted = account.settings.keep_deleted ? "keep" : "remove";
    if (const auto& language = account.settings.language; !language.empty()) out.language = language;
    if (const auto& keep = account.settings.retention)
        out.retention = api::Seconds{static_cast<std::uint64_t>(keep->count())};
    out.may_send_as = account.settings.may_send_as;
    return out;
}

/// Forgets the account's verified password and ends its sessions; returns how many. To be called after every change of
/// the password, the secret or the status, and after a removal, once that is durable.
std::size_t credentials_changed(Context& context, directory::AccountId account) {
    context.auth.forget(account);
    return context.open_sessions.end(account);
}

// Tells the sessions which settings CAPA has to announce before a login.
Task<> announce_settings(Context& context) {
    if (!context.settings_changed) co_return;
    auto strictest = co_await context.directory.strictest_settings();
    if (strictest)
        context.settings_changed(*strictest);
    else  // sessions go on announcing the old ones
        log::warning("admin.announcement_failed", {{"reason", strictest.error().detail()}});
}

/// The password to store, empty if the caller wants none. One that was generated for the caller is put into `made`.
/// `account`: the one that gets it, if it is there already.
template <class Wanted>
Task<Result<directory::Password>> wanted_password(Context& context, const Wanted& wanted,
                                                  std::optional<std::string>& made,
                                                  std::optional<directory::AccountId> account = {}) {
    if (wanted.password.has_value() + wanted.password_hash.has_value() + wanted.generate.has_value() > 1)
        co_return fail(Errc::invalid, "give one of \"password\", \"password_hash\" and \"generate\"");
    if (wanted.password_hash) {
        if (!auth::is_valid_hash(*wanted.password_hash))
            co_return fail(Errc::invalid, "the password hash has an unknown scheme or the wrong form");
        co_return directory::Password(*wanted.password_hash);
    }
    if (wanted.generate) made = random_text(20);  // 100 random bits
    if (!made && !wanted.password) co_return directory::Password();
    auto password = made ? *made : *wanted.password;
    if (password.empty() || password.size() > kPasswordOctets)
        co_return fail(Errc::invalid, fmt::format("a password has 1 to {} octets", kPasswordOctets));
    if (password.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
        co_return fail(Errc::invalid, "a password can't contain line ends or NUL: no client could send it");
    co_return co_await context.auth.hash_password(std::move(password), account);
}

// For the secret of APOP and CRAM-MD5. RFC 1939 s7: it should be long, because an eavesdropper can try passwords.
Result<> check_secret(std::string_view secret) {
    constexpr std::size_t kLeast = 16, kMost = 255;  // octets
    if (secret.size() < kLeast || secret.size() > kMost)
        return fail(Errc::invalid, fmt::format("a shared secret has {} to {} octets", kLeast, kMost));
    if (!std::ranges::all_of(secret, [](char c) { return c >= 0x20 && c <= 0x7e; }))
        return fail(Errc::invalid, "a shared secret is printable ASCII");
    return {};
}

// For what can only be changed where the account is kept.
Result<> check_kept_here(Context& context, const std::string& address, std::string_view what) {
    const auto canonical = context.directory.canonical(address);
    const auto* outside = context.directory.outside_of(canonical);
    if (outside == nullptr) return {};
    const auto domain = canonical.substr(canonical.rfind('@') + 1);
    return fail(Errc::conflict, fmt::format("{} of {} are kept by another directory ({}): change that there", what,
                                            domain, outside->described(domain)));
}

Task<Result<api::AccountList>> list_accounts(Context& context, Caller, api::ListAccounts wanted) {
    auto accounts = co_await context.directory.accounts(wanted.domain, wanted.after, wanted.limit);
    if (!accounts) co_return pass_on(accounts);
    api::AccountList list;
    for (const auto& account : *accounts) list.accounts.push_back(described(account));
    co_return list;
}

Task<Result<api::Account>> add_account(Context& context, Caller, api::AddAccount wanted) {
    if (auto here = check_kept_here(context, wanted.address, "the accounts"); !here) co_return pass_on(here);
    std::optional<std::string> made;
    auto password = co_await wanted_password(context, wanted, made);
    if (!password) co_return pass_on(password);
    auto account = co_await context.directory.add_account(wanted.address, std::move(*password));
    if (!account) {
        const auto code = account.error().code();
        if (code == Errc::not_found)
            co_return fail(code, fmt::format("no domain for {}: add it first", wanted.address));
        if (code == Errc::exists) co_return fail(code, fmt::format("{} is there already", wanted.address));
        if (code == Errc::invalid)
            co_return fail(code, fmt::format("\"{}\": {}", wanted.address, account.error().detail()));
        co_return pass_on(account);
    }
    note(context, account->id, activity::Kind::credential, "account added");
    log::info("admin.account_added", {{"account", account->address}});
    auto reply = described(*account);
    reply.password = std::move(made);
    co_return reply;
}

Task<Result<api::Account>> show_account(Context& context, Caller, api::ShowAccount wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto totals = co_await context.mail.totals(account->id);
    if (!totals) co_return pass_on(totals);
    auto reply = described(*account);
    reply.messages = totals->messages;
    reply.octets = totals->octets;
    reply.retained_messages = totals->retained_messages;
    reply.retained_octets = totals->retained_octets;
    auto policy = co_await context.auth.second_factors().policy_of(*account);
    if (!policy) co_return pass_on(policy);
    auto factors = co_await context.directory.factors(account->id);
    const bool damaged = !factors && factors.error().code() == Errc::corrupt;
    if (!factors && !damaged) co_return pass_on(factors);
    if (damaged) factors = directory::Factors();
    const auto& totp = factors->totp;
    using directory::SecondFactor;
    reply.needs_second_factor =
        policy->need == SecondFactor::required || (policy->need == SecondFactor::optional && totp && totp->confirmed);
    reply.authenticator = damaged ? "damaged" : !totp ? "none" : totp->confirmed ? "confirmed" : "unconfirmed";
    reply.recovery_codes = totp ? totp->recovery.size() : 0;
    co_return reply;
}

/// Opens the mail of an account that gets another password. Null: it is to be lost. Errors: conflict (nothing opens
/// it).
Task<Result<encryption::MailKeyPtr>> open_for_new_password(Context& context, const directory::Account& account,
                                                           const api::SetPassword& wanted) {
    if (wanted.password_hash)
        co_return fail(Errc::conflict,
                       "the account's mail is encrypted: it takes the password itself, because a hash opens nothing");
    const int given = wanted.old_password.has_value() + wanted.recovery_code.has_value() +
                      wanted.escrow_key.has_value() + wanted.lose_mail.has_value();
    if (given != 1)
        co_return fail(Errc::conflict,
                       "the account's mail is encrypted, and a new password can't open it by itself: give one of "
                       "\"old_password\", \"recovery_code\", \"escrow_key\" and \"lose_mail\"");
    auto& keys = context.auth.mail_keys();
    if (wanted.lose_mail) co_return nullptr;
    if (wanted.old_password) co_return co_await keys.open(account, *wanted.old_password);
    if (wanted.recovery_code) co_return co_await keys.open_by_recovery_code(account, *wanted.recovery_code);
    auto secret = encryption::read_secret(*wanted.escrow_key);
    if (!secret) co_return fail(Errc::invalid, "escrow_key: 32 octets in base64, as poplar encryption made them");
    auto opened = co_await keys.open_by_escrow(account, std::move(*secret));
    if (opened) {
        note(context, account.id, activity::Kind::credential, "mail opened by the operator's key");
        log::warning("admin.escrow_used", {{"account", account.address}});
    }
    co_return opened;
}

/// Begins anew with another key, and removes what only the old one opened.
Task<Result<>> lose_mail(Context& context, directory::Account account, std::string password, std::string scram_keys) {
    auto key = co_await context.auth.mail_keys().begin_anew(account, std::move(password), std::move(scram_keys));
    if (!key) co_return pass_on(key);
    auto begun = co_await context.mail.begin_encryption(account.id, (*key)->public_key());
    if (!begun) co_return begun;
    auto mailboxes = co_await context.mail.mailboxes(account.id);
    if (!mailboxes) co_return pass_on(mailboxes);
    std::uint64_t lost = 0;
    for (const auto& mailbox : *mailboxes) {
        mailstore::OrderKey after{};
        for (bool more = true; more;) {
            auto page = co_await context.mail.list(account.id, mailbox.id, after, kListed);
            if (!page) co_return pass_on(page);
            std::vector<mailstore::Uid> unreadable;
            for (const auto& message : *page) {
                after = message.order;
                if (message.key && encryption::is_sealed_key(*message.key) && !(*key)->open(*message.key))
                    unreadable.push_back(message.uid());
            }
            more = page->size() == kListed;
            if (unreadable.empty()) continue;
            auto gone = co_await context.mail.expunge(account.id, mailbox.id, std::move(unreadable), "its key is lost");
            if (!gone) co_return pass_on(gone);
            lost += *gone;
        }
    }
    log::warning("admin.encrypted_mail_lost", {{"account", account.address}, {"messages", lost}});
    co_return Result<>();
}

Task<Result<api::CredentialChange>> set_password(Context& context, Caller, api::SetPassword wanted) {
    api::CredentialChange reply;
    reply.address = wanted.address;
    if (auto here = check_kept_here(context, wanted.address, "the passwords"); !here) co_return pass_on(here);
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (!wanted.password && !wanted.password_hash && !wanted.generate)
        co_return fail(Errc::invalid, "give one of \"password\", \"password_hash\" and \"generate\"");
    const bool encrypted = account->settings.encryption == directory::Encryption::on;
    encryption::MailKeyPtr key;
    std::shared_ptr<void> change;
    if (encrypted) {
        change = context.auth.mail_keys().begin_change(account->id);
        if (!change) co_return fail(Errc::busy, "its credentials are being changed: ask again");
        auto opened = co_await open_for_new_password(context, *account, wanted);
        if (!opened) co_return pass_on(opened);
        key = std::move(*opened);
    }
    Result<> set;
    std::string scram_keys;
    std::vector<encryption::Wrap> wraps;
    for (int attempt = 1;; ++attempt) {  // SCRAM keys are made anew if a device came while they were made
        auto password = co_await wanted_password(context, wanted, reply.password, account->id);
        if (!password) co_return pass_on(password);
        scram_keys = password->scram_keys;
        if (key) {  // before the password is set: at no time is there a password that opens nothing
            auto made = co_await context.auth.mail_keys().wraps_of(
                key, reply.password ? *reply.password : *wanted.password, scram_keys);
            if (!made) co_return pass_on(made);
            wraps = std::move(*made);
            auto added = co_await context.auth.mail_keys().add(account->id, wraps);
            if (!added) co_return pass_on(added);
        }
        set = co_await context.directory.set_password(wanted.address, std::move(*password));
        if (set || set.error().code() != Errc::conflict || attempt == kAttempts) break;
    }
    if (!set) co_return pass_on(set);
    reply.sessions_ended = credentials_changed(context, account->id);
    if (key) {
        auto kept = co_await context.auth.mail_keys().keep_only(account->id, std::move(wraps));
        if (!kept) co_return pass_on(kept);
    } else if (encrypted) {
        auto lost = co_await lose_mail(context, *account, reply.password ? *reply.password : *wanted.password,
                                       std::move(scram_keys));
        if (!lost) co_return pass_on(lost);
    }
    note(context, account->id, activity::Kind::credential, "password set");
    log::info("admin.password_set", {{"account", account->address}, {"sessions_ended", reply.sessions_ended}});
    co_return reply;
}

// "" takes it away. Returns the account as it was.
Task<Result<directory::Account>> change_secret(Context& context, std::string address, std::string secret,
                                               std::uint64_t& sessions_ended) {
    auto account = co_await find_account(context, address);
    if (!account) co_return account;
    auto set = co_await context.directory.set_shared_secret(std::move(address), std::move(secret));
    if (!set) co_return pass_on(set);
    sessions_ended = credentials_changed(context, account->id);
    co_return account;
}

Task<Result<api::CredentialChange>> set_shared_secret(Context& context, Caller, api::SetSharedSecret wanted) {
    if (wanted.secret.has_value() == wanted.generate.has_value())
        co_return fail(Errc::invalid, "give one of \"secret\" and \"generate\"");
    if (auto here = check_kept_here(context, wanted.address, "the secrets"); !here) co_return pass_on(here);
    auto secret = wanted.secret ? *wanted.secret : random_text(26);  // 130 random bits
    if (auto good = check_secret(secret); !good) co_return pass_on(good);
    api::CredentialChange reply;
    reply.address = wanted.address;
    auto account = co_await change_secret(context, wanted.address, secret, reply.sessions_ended);
    if (!account) co_return pass_on(account);
    note(context, account->id, activity::Kind::credential, "shared secret set");
    log::info("admin.shared_secret_set", {{"account", account->address}, {"sessions_ended", reply.sessions_ended}});
    if (wanted.generate) reply.secret = std::move(secret);
    co_return reply;
}

Task<Result<api::CredentialChange>> remove_shared_secret(Context& context, Caller, api::RemoveSharedSecret wanted) {
    api::CredentialChange reply;
    reply.address = wanted.address;
    auto account = co_await change_secret(context, wanted.address, "", reply.sessions_ended);
    if (!account) co_return pass_on(account);
    note(context, account->id, activity::Kind::credential, "shared secret removed");
    log::info("admin.shared_secret_removed", {{"account", account->address}, {"sessions_ended", reply.sessions_ended}});
    co_return reply;
}

Task<Result<api::Account>> set_status(Context& context, Caller, api::SetStatus wanted) {
    using directory::AccountStatus;
    const bool enabled = wanted.status == api::AccountStatus::enabled;
    const auto status = enabled ? AccountStatus::enabled : AccountStatus::disabled;
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto set = co_await context.directory.set_status(wanted.address, status);
    if (!set) co_return pass_on(set);
    const auto ended = account->status == status ? 0 : credentials_changed(context, account->id);
    if (account->status != status)
        note(context, account->id, activity::Kind::credential, enabled ? "account enabled" : "account disabled");
    account->status = status;
    auto reply = described(*account);
    reply.sessions_ended = ended;
    log::info("admin.status_set",
              {{"account", account->address}, {"status", enabled ? "enabled" : "disabled"}, {"sessions_ended", ended}});
    co_return reply;
}

/// The one spelling of what somebody may send as. Errors: invalid, with a message for the caller.
Result<std::vector<std::string>> wanted_senders(const std::vector<std::string>& given) {
    std::vector<std::string> out;
    for (const auto& text : given) {
        if (text == "none") continue;
        if (text == "*") {
            out.push_back(text);
        } else if (text.starts_with('@')) {
            auto domain = mail::canonical_domain(text.substr(1));
            if (!domain) return fail(Errc::invalid, fmt::format("\"{}\" is not of the form @DOMAIN", text));
            out.push_back("@" + *domain);
        } else {
            auto address = mail::parse_address(text);
            auto canonical = address ? mail::canonical(*address) : pass_on(address);
            if (!canonical) return fail(Errc::invalid, fmt::format("\"{}\" is not an address", text));
            out.push_back(mail::to_string(*canonical));
        }
    }
    return out;
}

/// Writes the settings that the caller gave, but for second factors. Errors: invalid.
Result<> apply_others(const api::SetSettings& wanted, directory::AccountSettings& settings) {
    if (const auto& given = wanted.expire_days) {
        settings.expire_days.reset();
        if (*given) settings.expire_days = (*given)->never ? directory::kNeverExpires : (*given)->count;
    }
    if (const auto& given = wanted.login_delay) {
        settings.login_delay.reset();
        if (*given) settings.login_delay = static_cast<std::uint32_t>((*given)->count);
    }
    if (const auto& given = wanted.when_all_deleted) {
        if (*given != "remove" && *given != "keep")
            return fail(Errc::invalid, fmt::format("\"{}\" is neither remove nor keep", *given));
        settings.keep_deleted = *given == "keep";
    }
    if (const auto& given = wanted.language) {
        settings.language.clear();
        if (*given) {
            auto language = quota::find_language(**given);
            if (!language)
                return fail(Errc::invalid,
                            fmt::format("\"{}\" is none of the languages: {}", **given, quota::languages()));
            settings.language = std::move(*language);
        }
    }
    if (const auto& given = wanted.retention) {
        settings.retention.reset();
        if (*given) settings.retention = std::chrono::seconds((*given)->count);
    }
    if (const auto& given = wanted.may_send_as) {
        auto senders = wanted_senders(*given);
        if (!senders) return pass_on(senders);
        settings.may_send_as = std::move(*senders);
    }
    return {};
}

Task<Result<api::Account>> set_settings(Context& context, Caller, api::SetSettings wanted) {
    bool new_policy = false;
    auto change = [&](directory::AccountSettings& settings,
                      const std::optional<directory::FactorPolicy>& of_domain) -> Result<> {
        auto policy = wanted_policy(wanted, settings.second_factor, of_domain);
        if (!policy) return pass_on(policy);
        new_policy = *policy != settings.second_factor;
        settings.second_factor = *policy;
        return apply_others(wanted, settings);
    };
    auto account = co_await context.directory.change_settings(wanted.address, change);
    if (!account) co_return explain(account.error(), Errc::not_found, fmt::format("no account {}", wanted.address));
    if (wanted.retention) {  // housekeeping does it otherwise, and if this fails
        auto keep = co_await context.directory.retention_of(*account);
        if (!keep) co_return pass_on(keep);
        if (auto kept = co_await context.mail.set_retention(account->id, *keep); !kept) co_return pass_on(kept);
    }
    co_await announce_settings(context);
    auto reply = described(*account);
    const auto json = api::to_json(reply);
    if (new_policy) {
        auto& factors = context.auth.second_factors();
        reply.sessions_ended =
            co_await auth::end_unfit_sessions(context.open_sessions, factors, context.directory, account->id);
        note(context, account->id, activity::Kind::credential, "second factor " + api::dump(json["second_factor"]));
    }
    log::info("admin.settings_set", {{"account", account->address},
                                     {"expire_days", api::dump(json["expire_days"])},
                                     {"login_delay", api::dump(json["login_delay"])},
                                     {"second_factor", api::dump(json["second_factor"])},
                                     {"ways", api::dump(json["second_factor_ways"])},
                                     {"when_all_deleted", reply.when_all_deleted},
                                     {"sessions_ended", reply.sessions_ended.value_or(0)},
                                     {"language", reply.language.value_or("default")},
                                     {"retention", api::dump(json["retention"])},
                                     {"may_send_as", api::dump(json["may_send_as"])}});
    co_return reply;
}

// Purges the mail of an account that was removed, before its days are over, or mail that belongs to nobody, as `verify`
// finds it.
Task<Result<api::AccountRemoval>> purge_removed(Context& context, std::string name) {
    auto id = co_await mailbox(context, name);
    if (!id) co_return pass_on(id);
    auto account = co_await context.directory.account(*id);
    if (account) co_return fail(Errc::exists, fmt::format("{} is the account {}", name, account->address));
    if (account.error().code() != Errc::not_found) co_return pass_on(account);
    auto purged = co_await context.mail.purge(*id);
    if (!purged) co_return pass_on(purged);
    auto record = co_await context.removed.list(directory::AccountId(id->value - 1), 1);
    if (!record) co_return pass_on(record);
    if (!record->empty() && record->front().id == *id)
        if (auto forgotten = co_await context.removed.forget(record->front()); !forgotten) co_return pass_on(forgotten);
    if (auto forgotten = co_await context.ledger.forget(*id); !forgotten) co_return pass_on(forgotten);
    log::info("admin.removed_account_purged", {{"account_id", id->value}});
    api::AccountRemoval reply;
    reply.removed = std::move(name);
    reply.id = id->value;
    co_return reply;
}

Task<Result<api::AccountRemoval>> remove_account(Context& context, Caller, api::RemoveAccount wanted) {
    const bool purge = wanted.purge.value_or(false);
    if (purge && wanted.address.starts_with("id:")) co_return co_await purge_removed(context, wanted.address);
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto keep = co_await context.directory.retention_of(*account);
    if (!keep) co_return pass_on(keep);
    auto kept = co_await context.removed.add(account->id, account->address, *keep);
    if (!kept) co_return pass_on(kept);
    auto removed = co_await context.directory.remove_account(wanted.address);
    if (!removed) co_return pass_on(removed);
    api::AccountRemoval reply;
    reply.removed = removed->address;
    reply.id = removed->id.value;
    reply.sessions_ended = credentials_changed(context, removed->id);
    context.quotas.forget(removed->id);
    note(context, removed->id, activity::Kind::credential, "account removed");
    co_await announce_settings(context);
    if (!purge)
        if (auto closed = co_await context.mail.close(removed->id); !closed) co_return pass_on(closed);
    log::info(
        "admin.account_removed",
        {{"account", removed->address}, {"purged", purge ? "yes" : "no"}, {"sessions_ended", reply.sessions_ended}});
    if (purge) {
        auto purged = co_await context.mail.purge(removed->id);
        if (!purged) co_return pass_on(purged);  // the record stays: housekeeping tries again
        if (auto cleared = co_await context.ledger.forget(removed->id); !cleared) co_return pass_on(cleared);
        auto forgotten = co_await context.removed.forget(*kept);
        if (!forgotten) co_return pass_on(forgotten);
    } else {
        reply.mail_kept_until = time_text(kept->expires);
    }
    co_return reply;
}

Task<Result<api::RemovedAccountList>> list_removed_accounts(Context& context, Caller, api::ListRemovedAccounts) {
    constexpr std::size_t kPage = 1000;
    api::RemovedAccountList list;
    directory::AccountId after;
    for (;;) {
        auto page = co_await context.removed.list(after, kPage);
        if (!page) co_return pass_on(page);
        for (const auto& one : *page) {
            after = one.id;
            list.removed_accounts.push_back(
                {one.id.value, one.address, time_text(one.removed), time_text(one.expires)});
        }
        if (page->size() < kPage) co_return list;
    }
}

Task<Result<api::ImportCounts>> import_accounts(Context& context, Caller, api::ImportAccounts wanted) {
    api::ImportCounts reply;
    std::vector<directory::Directory::NewAccount> accounts;
    for (auto& [address, hash] : wanted.accounts) {
        if (auto here = check_kept_here(context, address, "the accounts"); !here)
            reply.refused.push_back({std::move(address), here.error().detail()});
        else if (hash.empty() || auth::is_valid_hash(hash))  // empty: nobody can log in
            accounts.push_back({std::move(address), std::move(hash)});
        else
            reply.refused.push_back({std::move(address), "unknown scheme or malformed password hash"});
    }
    using Add = directory::Directory::AddDomains;
    const auto add = wanted.add_domains.value_or(false) ? Add::yes : Add::no;
    auto changed = [&](directory::AccountId account) {
        reply.sessions_ended += credentials_changed(context, account);
        note(context, account, activity::Kind::credential, "password imported");
    };
    auto counts = co_await context.directory.import_accounts(std::move(accounts), add, changed);
    if (!counts) co_return pass_on(counts);
    for (auto& [address, why] : counts->refused) reply.refused.push_back({std::move(address), std::move(why)});
    reply.added = counts->added, reply.updated = counts->updated, reply.unchanged = counts->unchanged;
    log::info("admin.accounts_imported", {{"added", reply.added},
                                          {"updated", reply.updated},
                                          {"unchanged", reply.unchanged},
                                          {"refused", reply.refused.size()},
                                          {"sessions_ended", reply.sessions_ended}});
    co_return reply;
}

}  // namespace

const std::vector<Row>& account_rows() {
    static const std::vector<Row> rows = {
        row<api::ListAccounts, list_accounts>(),
        row<api::AddAccount, add_account>(),
        row<api::ImportAccounts, import_accounts>(),
        row<api::ShowAccount, show_account>(),
        row<api::RemoveAccount, remove_account>(),
        row<api::SetPassword, set_password>(),
        row<api::SetSharedSecret, set_shared_secret>(),
        row<api::RemoveSharedSecret, remove_shared_secret>(),
        row<api::SetStatus, set_status>(),
        row<api::SetSettings, set_settings>(),
        row<api::ListRemovedAccounts, list_removed_accounts>(),
    };
    return rows;
}

}  // namespace poplar::admin
