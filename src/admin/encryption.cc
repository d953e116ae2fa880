// Mail that is encrypted at rest: beginning, ending, recovery codes.
#include "api/encryption.h"

#include <fmt/format.h>

#include "activity/ledger.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/mail_keys.h"
#include "auth/open_sessions.h"
#include "base/log.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"

namespace poplar::admin {

namespace {

using directory::Account;

/// Errors: conflict, if another directory keeps its password: a change there would lock the mail without a word.
Task<Result<Account>> find_own(Context& context, std::string address) {
    auto account = co_await find_account(context, std::move(address));
    if (!account) co_return account;
    if (context.directory.outside_of(account->address) != nullptr)
        co_return fail(Errc::conflict,
                       "another directory keeps this account's password, which may change there unseen: its mail can't "
                       "be encrypted");
    co_return account;
}

Task<Result<api::Encryption>> described(Context& context, const Account& account) {
    api::Encryption out;
    out.address = account.address;
    auto stored = co_await context.mail.encryption(account.id);
    if (!stored) co_return pass_on(stored);
    auto keychain = co_await context.directory.keychain(account.id);
    if (!keychain) co_return pass_on(keychain);
    using State = mailstore::EncryptionStatus::State;
    using api::EncryptionState;
    switch (stored->state) {
        case State::off: out.state = *keychain ? EncryptionState::beginning : EncryptionState::off; break;
        case State::beginning: out.state = EncryptionState::beginning; break;
        case State::on: out.state = EncryptionState::on; break;
        case State::ending: out.state = *keychain ? EncryptionState::ending : EncryptionState::off; break;
    }
    if (!*keychain && account.settings.encryption == directory::Encryption::wanted) out.state = EncryptionState::wanted;
    if (!*keychain) co_return out;
    for (const auto& wrap : (*keychain)->wraps) {
        using encryption::WrapKind;
        if (wrap.pending)
            ++out.waiting;
        else if (wrap.kind == WrapKind::password)
            ++out.passwords;
        else if (wrap.kind == WrapKind::device)
            ++out.devices;
        else if (wrap.kind == WrapKind::recovery)
            out.recovery_code_made = true;
        else if (wrap.kind == WrapKind::escrow)
            out.escrow = true;
    }
    if (stored->sealed) out.since = time_text(*stored->sealed);
    if (out.state == EncryptionState::on) co_return out;
    auto count = co_await context.mail.count_sealed(account.id);
    if (!count) co_return pass_on(count);
    out.sealed = count->sealed;
    out.in_clear = count->in_clear;
    co_return out;
}

Task<Result<api::Encryption>> show_encryption(Context& context, Caller, api::ShowEncryption wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    co_return co_await described(context, *account);
}

Task<Result<api::Encryption>> enable_encryption(Context& context, Caller, api::EnableEncryption wanted) {
    auto account = co_await find_own(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (account->settings.encryption == directory::Encryption::on) co_return co_await described(context, *account);
    if (!wanted.password) {
        auto set = co_await context.directory.want_encryption(account->id, directory::Directory::Wanted::yes);
        if (!set) co_return pass_on(set);
        context.auth.forget(account->id);
        log::info("admin.encryption_wanted", {{"account", account->address}});
        co_return co_await described(context, *set);
    }
    auto key = co_await context.auth.mail_keys().begin(*account, *wanted.password);
    if (!key) co_return pass_on(key);
    // The job does it, too, should this fail.
    auto begun = co_await context.mail.begin_encryption(account->id, (*key)->public_key());
    if (!begun) co_return pass_on(begun);
    auto code = co_await context.auth.mail_keys().new_recovery_code(*account, *key);
    if (!code) co_return pass_on(code);
    // Those that can't open the mail would go on with what they listed before.
    const auto ended = context.open_sessions.end(account->id);
    note(context, account->id, activity::Kind::credential, "encryption begun");
    log::info("admin.encryption_begun", {{"account", account->address}, {"sessions_ended", ended}});
    auto reply = co_await described(context, *account);
    if (reply) reply->recovery_code = std::move(*code);
    co_return reply;
}

Task<Result<api::DomainEncryption>> enable_for_domain(Context& context, Caller, api::EnableDomainEncryption wanted) {
    constexpr std::size_t kPage = 100;
    auto domain = co_await context.directory.domain(wanted.name);
    if (!domain) co_return explain(domain.error(), Errc::not_found, fmt::format("no domain {}", wanted.name));
    if (context.directory.outside_of("x@" + domain->name) != nullptr)
        co_return fail(Errc::conflict,
                       "another directory keeps the domain's passwords, which may change there unseen: its mail can't "
                       "be encrypted");
    api::DomainEncryption reply;
    reply.name = domain->name;
    std::string after;
    for (bool more = true; more;) {
        auto page = co_await context.directory.accounts(domain->name, after, kPage);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            ++reply.accounts;
            auto set = co_await context.directory.want_encryption(account.id, directory::Directory::Wanted::yes);
            if (!set && set.error().code() != Errc::exists && set.error().code() != Errc::not_found)
                co_return pass_on(set);
            if (!set && set.error().code() == Errc::exists) ++reply.encrypted;
            if (!set) continue;
            ++reply.wanted;
            context.auth.forget(account.id);
        }
        more = page->size() == kPage;
    }
    log::info("admin.encryption_wanted", {{"domain", reply.name}, {"accounts", reply.wanted}});
    co_return reply;
}

Task<Result<encryption::MailKeyPtr>> open_key(Context& context, const Account& account,
                                              const std::optional<std::string>& password,
                                              const std::optional<std::string>& code) {
    auto& keys = context.auth.mail_keys();
    if (code) return keys.open_by_recovery_code(account, *code);
    return keys.open(account, password.value_or(""));
}

/// Steps until a round finds nothing to do. Returns how many messages can't be read.
Task<Result<std::uint64_t>> decrypt_all(Context& context, directory::AccountId account, encryption::MailKeyPtr key) {
    for (;;) {
        mailstore::Converted round;
        do {
            auto step = co_await context.mail.convert(account, round.next, key);
            if (!step) co_return pass_on(step);
            round.messages += step->messages;
            round.unreadable += step->unreadable;
            round.next = std::move(step->next);
        } while (!round.next.empty());
        if (round.messages == 0) co_return round.unreadable;
    }
}

Task<Result<api::Encryption>> disable_encryption(Context& context, Caller, api::DisableEncryption wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (account->settings.encryption != directory::Encryption::on) {
        auto set = co_await context.directory.want_encryption(account->id, directory::Directory::Wanted::no);
        if (!set) co_return pass_on(set);
        co_return co_await described(context, *set);
    }
    if (wanted.password.has_value() == wanted.recovery_code.has_value())
        co_return fail(Errc::invalid, "give one of \"password\" and \"recovery_code\": the mail has to be opened");
    const auto change = context.auth.mail_keys().begin_change(account->id);
    if (!change) co_return fail(Errc::busy, "its credentials are being changed: ask again");
    auto key = co_await open_key(context, *account, wanted.password, wanted.recovery_code);
    if (!key) co_return pass_on(key);
    if (auto ending = co_await context.mail.end_encryption(account->id); !ending) co_return pass_on(ending);
    log::info("admin.encryption_ending", {{"account", account->address}});
    auto unreadable = co_await decrypt_all(context, account->id, *key);
    if (!unreadable) co_return pass_on(unreadable);
    if (*unreadable != 0) {  // the key stays: somebody may mend the messages
        auto reply = co_await described(context, *account);
        if (reply) reply->unreadable = *unreadable;
        co_return reply;
    }
    auto left = co_await context.mail.count_sealed(account->id);
    if (!left) co_return pass_on(left);
    if (left->sealed != 0) co_return fail(Errc::conflict, "some mail is still encrypted: ask once more");
    // In this order: the job begins again with an account that has a keychain and is not encrypted.
    if (auto ended = co_await context.auth.mail_keys().end(account->id, (*key)->public_key()); !ended)
        co_return pass_on(ended);
    if (auto done = co_await context.mail.finish_conversion(account->id); !done) co_return pass_on(done);
    note(context, account->id, activity::Kind::credential, "encryption ended");
    log::info("admin.encryption_ended", {{"account", account->address}});
    auto now = co_await find_account(context, wanted.address);
    if (!now) co_return pass_on(now);
    co_return co_await described(context, *now);
}

Task<Result<api::Encryption>> make_recovery_code(Context& context, Caller, api::MakeRecoveryCode wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (!wanted.password) co_return fail(Errc::invalid, "give \"password\": the mail's key has to be opened");
    auto key = co_await context.auth.mail_keys().open(*account, *wanted.password);
    if (!key) co_return pass_on(key);
    auto code = co_await context.auth.mail_keys().new_recovery_code(*account, *key);
    if (!code) co_return pass_on(code);
    note(context, account->id, activity::Kind::credential, "recovery code made");
    log::info("admin.recovery_code_made", {{"account", account->address}});
    auto reply = co_await described(context, *account);
    if (reply) reply->recovery_code = std::move(*code);
    co_return reply;
}

}  // namespace

const std::vector<Row>& encryption_rows() {
    static const std::vector<Row> rows = {
        row<api::ShowEncryption, show_encryption>(),           row<api::EnableEncryption, enable_encryption>(),
        row<api::EnableDomainEncryption, enable_for_domain>(), row<api::DisableEncryption, disable_encryption>(),
        row<api::MakeRecoveryCode, make_recovery_code>(),
    };
    return rows;
}

}  // namespace poplar::admin
