// Opens and wraps the keys of encrypted mail by what logins show.
#include "auth/mail_keys.h"

#include <algorithm>

#include "auth/password.h"
#include "auth/symbols.h"
#include "base/log.h"
#include "base/random.h"

namespace poplar::auth {

namespace {

using directory::Account;
using directory::AccountId;
using encryption::Keychain;
using encryption::kNoDevice;
using encryption::MailKeyPtr;
using encryption::Secret;
using encryption::SecretText;
using encryption::Wrap;
using encryption::WrapKind;

constexpr std::size_t kCodeSymbols = 28, kGroup = 7;  // 140 random bits
constexpr std::size_t kLongestCode = 100;

Secret key_of(const DevicePassword& password) { return encryption::derive(password.secret, "poplar device"); }
Secret key_of(const SecretText& client_key) { return encryption::derive(client_key.view(), "poplar scram"); }
/// Tells which SCRAM keys a wrap belongs to.
std::string tag_of(const ScramKeys& keys) {
    return std::string(encryption::derive(keys.stored_key, "poplar scram tag").view().substr(0, 16));
}

/// Calls `see` with each of the keys in a row of them.
template <class See>
void each_scram_keys(std::string_view several, See see) {
    for (auto hash : {ScramHash::sha256, ScramHash::sha1})
        for (auto rest = several; auto keys = take_scram_keys(rest, hash);) see(*keys);
}

Wrap scram_wrap(const encryption::MailKey& key, const ScramKeys& keys, std::string_view password) {
    const auto wrapping = key_of(scram_client_key(keys.hash, password, keys.salt, keys.iterations));
    return encryption::wrap(key, WrapKind::scram, wrapping, kNoDevice, tag_of(keys));
}

Result<std::vector<Wrap>> make_wraps(const encryption::MailKey& key, std::string_view password,
                                     std::string_view scram_keys) {
    auto by_password = encryption::wrap_password(key, password);
    if (!by_password) return pass_on(by_password);
    std::vector<Wrap> wraps{std::move(*by_password)};
    each_scram_keys(scram_keys, [&](const ScramKeys& keys) { wraps.push_back(scram_wrap(key, keys, password)); });
    return wraps;
}

std::string all_scram_keys(const Account& account) {
    return account.scram_keys + (parse_scram_keys(account.password) ? account.password : "");
}

bool is_of_password(const Wrap& wrap) {
    return wrap.kind == WrapKind::password || (wrap.kind == WrapKind::scram && wrap.device == kNoDevice);
}

bool is_former(const Wrap& wrap, const std::optional<encryption::PublicKey>& escrow) {
    return wrap.kind == WrapKind::escrow && (!escrow || wrap.tag != encryption::view(*escrow));
}
bool is_of_former_operator(const Keychain& keychain, const std::optional<encryption::PublicKey>& escrow) {
    return std::ranges::any_of(keychain.wraps, [&](const Wrap& wrap) { return is_former(wrap, escrow); });
}
void drop_former_operators(Keychain& keychain, const std::optional<encryption::PublicKey>& escrow) {
    std::erase_if(keychain.wraps, [&](const Wrap& wrap) { return is_former(wrap, escrow); });
}

/// The code's symbols. Nothing: it can be none.
std::optional<std::string> read_code(std::string_view typed) {
    if (typed.size() > kLongestCode) return std::nullopt;
    std::string code;
    for (char c : typed) {
        if (c == '-' || c == ' ') continue;
        const auto value = symbol_of(c);
        if (!value) return std::nullopt;
        code.push_back(kSymbols[*value]);
    }
    if (code.size() != kCodeSymbols) return std::nullopt;
    return code;
}

Secret key_of_code(std::string_view code) { return encryption::derive(code, "poplar recovery"); }

void note_locked(const Account& account, std::string_view reason) {
    log::info("auth.mail_locked", {{"account", account.address}, {"reason", reason}});
}

}  // namespace

MailKeys::MailKeys(directory::Directory& directory, FairPool& pool, std::chrono::seconds ttl, std::size_t entries)
    : directory_(directory), pool_(pool), opened_(ttl, entries) {}

template <class Work>
auto MailKeys::on_pool(Work work) -> Task<std::invoke_result_t<Work>> {
    auto done = co_await pool_.run(Share{.standing = Standing::good}, std::move(work));
    if (!done) co_return fail(Errc::busy, "too many logins are waiting");
    co_return std::move(*done);
}

Task<Result<Keychain>> MailKeys::keychain_of(AccountId account) {
    auto keychain = co_await directory_.keychain(account);
    if (!keychain) co_return pass_on(keychain);
    if (!*keychain) co_return fail(Errc::not_found, "the account's mail is not encrypted");
    co_return std::move(**keychain);
}

Task<MailKeyPtr> MailKeys::after_password(Account account, std::string password) {
    if (account.settings.encryption == directory::Encryption::wanted) {
        auto begun = co_await begin_proven(account, password);
        const bool other_was_first = !begun && begun.error().code() == Errc::exists;
        if (!begun && !other_was_first) {
            log::warning("auth.encryption_not_begun",
                         {{"account", account.address}, {"reason", begun.error().detail()}});
            co_return nullptr;
        }
        account.settings.encryption = directory::Encryption::on;
        if (begun) co_return std::move(*begun);
    }
    if (auto key = opened_.find(account, password)) co_return key;
    auto keychain = co_await keychain_of(account.id);
    Result<MailKeyPtr> key = nullptr;
    if (keychain) {
        auto work = [keychain = *keychain, password] { return encryption::open_by_password(keychain, password); };
        key = co_await on_pool(std::move(work));
    }
    if (!keychain || !key || !*key) {
        note_locked(account, !keychain ? keychain.error().detail()
                             : !key    ? key.error().detail()
                                       : "the password is another than the one that the mail was encrypted for");
        co_return nullptr;
    }
    co_await complete(account, std::move(*keychain), *key, password);
    opened_.remember(account, password, **key);
    co_return std::move(*key);
}

Task<> MailKeys::complete(Account account, Keychain keychain, MailKeyPtr key, std::string password) {
    auto work = [keychain, key, password, own = all_scram_keys(account)] {
        std::vector<Wrap> made;
        each_scram_keys(own, [&](const ScramKeys& keys) {
            const auto tag = tag_of(keys);
            auto is_its = [&](const Wrap& wrap) { return wrap.kind == WrapKind::scram && wrap.tag == tag; };
            if (std::ranges::none_of(keychain.wraps, is_its)) made.push_back(scram_wrap(*key, keys, password));
        });
        return Result<std::vector<Wrap>>(std::move(made));
    };
    auto made = co_await on_pool(std::move(work));
    if (!made) co_return;
    const bool operator_changed = is_of_former_operator(keychain, escrow_);
    if (escrow_ && !encryption::has_wrap_for(keychain, *escrow_))
        made->push_back(encryption::wrap_for_operator(*key, *escrow_));
    if (made->empty() && !operator_changed && !encryption::has_pending(keychain)) co_return;
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now || now->public_key != key->public_key()) return {};
        encryption::complete(*now, *key);
        if (operator_changed) drop_former_operators(*now, escrow_);
        now->wraps.insert(now->wraps.end(), made->begin(), made->end());
        return {};
    };
    auto done = co_await directory_.change_keychain(account.id, account.credential_version, change);
    if (!done)
        log::warning("auth.mail_key_not_wrapped", {{"account", account.address}, {"reason", done.error().detail()}});
}

// Nobody has the secret half in hand: the wrapping key waits, sealed.
Task<> MailKeys::leave(Account account, encryption::PublicKey to, WrapKind kind, Secret wrapping, std::uint32_t device,
                       std::string tag) {
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now || now->public_key != to) return {};
        auto is_same = [&](const Wrap& wrap) {
            return wrap.pending && wrap.kind == kind && wrap.device == device && wrap.tag == tag;
        };
        if (std::ranges::any_of(now->wraps, is_same)) return {};
        now->wraps.push_back(encryption::pending_wrap(to, kind, wrapping, device, tag));
        return {};
    };
    auto left = co_await directory_.change_keychain(account.id, std::nullopt, change);
    opened_.forget(account.id);  // so that the next login looks into the keychain
    note_locked(account, left ? "this password opens the mail after the next login with the account's own"
                              : left.error().detail());
}

Task<MailKeyPtr> MailKeys::after_device(Account account, DevicePassword password) {
    if (account.settings.encryption != directory::Encryption::on) co_return nullptr;
    auto keychain = co_await keychain_of(account.id);
    if (!keychain) {
        note_locked(account, keychain.error().detail());
        co_return nullptr;
    }
    auto wrapping = key_of(password);
    if (auto key = encryption::open(*keychain, WrapKind::device, wrapping)) co_return key;
    co_await leave(account, keychain->public_key, WrapKind::device, std::move(wrapping), password.device, {});
    co_return nullptr;
}

Task<MailKeyPtr> MailKeys::after_scram(Account account, std::uint32_t device, ScramKeys keys, SecretText client_key) {
    if (account.settings.encryption != directory::Encryption::on) co_return nullptr;
    auto keychain = co_await keychain_of(account.id);
    if (!keychain) {
        note_locked(account, keychain.error().detail());
        co_return nullptr;
    }
    auto wrapping = key_of(client_key);
    if (auto key = encryption::open(*keychain, WrapKind::scram, wrapping)) co_return key;
    co_await leave(account, keychain->public_key, WrapKind::scram, std::move(wrapping), device, tag_of(keys));
    co_return nullptr;
}

Task<Result<MailKeyPtr>> MailKeys::begin(Account account, std::string password) {
    auto prepared = sasl_prepare(password).value_or(password);
    auto work = [hash = account.password, password = std::move(password), prepared]() -> Result<bool> {
        return matches(hash, prepared) || (prepared != password && matches(hash, password));
    };
    auto right = co_await on_pool(std::move(work));
    if (!right) co_return pass_on(right);
    if (!*right) co_return fail(Errc::denied, "this is not the account's password");
    co_return co_await begin_proven(std::move(account), std::move(prepared));
}

Task<Result<MailKeyPtr>> MailKeys::begin_proven(Account account, std::string password) {
    auto work = [account, password, escrow = escrow_]() -> Result<std::pair<MailKeyPtr, Keychain>> {
        MailKeyPtr key = std::make_shared<const encryption::MailKey>(Secret::random());
        auto wraps = make_wraps(*key, password, all_scram_keys(account));
        if (!wraps) return pass_on(wraps);
        Keychain keychain{key->public_key(), std::move(*wraps)};
        if (escrow) keychain.wraps.push_back(encryption::wrap_for_operator(*key, *escrow));
        return std::pair(std::move(key), std::move(keychain));
    };
    auto made = co_await on_pool(std::move(work));
    if (!made) co_return pass_on(made);
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (now) return fail(Errc::exists, "its mail is encrypted already");
        now = made->second;
        return {};
    };
    auto begun = co_await directory_.change_keychain(account.id, account.credential_version, change);
    if (!begun) co_return pass_on(begun);
    log::info("auth.encryption_begun", {{"account", account.address}});
    if (begun_) begun_(account.id, made->first->public_key());
    opened_.remember(account, password, *made->first);
    co_return std::move(made->first);
}

Task<Result<MailKeyPtr>> MailKeys::open(Account account, std::string password) {
    auto keychain = co_await keychain_of(account.id);
    if (!keychain) co_return pass_on(keychain);
    auto prepared = sasl_prepare(password).value_or(password);
    auto work = [keychain = std::move(*keychain), prepared = std::move(prepared)] {
        return encryption::open_by_password(keychain, prepared);
    };
    auto key = co_await on_pool(std::move(work));
    if (!key) co_return pass_on(key);
    if (!*key) co_return fail(Errc::denied, "this password does not open the encrypted mail");
    co_return std::move(*key);
}

Task<Result<MailKeyPtr>> MailKeys::open_by_recovery_code(Account account, std::string typed) {
    auto keychain = co_await keychain_of(account.id);
    if (!keychain) co_return pass_on(keychain);
    const auto code = read_code(typed);
    auto key = code ? encryption::open(*keychain, WrapKind::recovery, key_of_code(*code)) : nullptr;
    if (!key) co_return fail(Errc::denied, "this recovery code does not open the encrypted mail");
    co_return key;
}

Task<Result<MailKeyPtr>> MailKeys::open_by_escrow(Account account, Secret escrow) {
    auto keychain = co_await keychain_of(account.id);
    if (!keychain) co_return pass_on(keychain);
    auto key = encryption::open_by_operator(*keychain, escrow);
    if (!key) co_return fail(Errc::denied, "this escrow key does not open the encrypted mail");
    co_return key;
}

Task<Result<std::string>> MailKeys::new_recovery_code(Account account, MailKeyPtr key) {
    const auto code = random_text(kCodeSymbols);
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now || now->public_key != key->public_key()) return fail(Errc::conflict, "the account has changed");
        std::erase_if(now->wraps, [](const Wrap& wrap) { return wrap.kind == WrapKind::recovery; });
        now->wraps.push_back(encryption::wrap(*key, WrapKind::recovery, key_of_code(code)));
        return {};
    };
    auto done = co_await directory_.change_keychain(account.id, std::nullopt, change);
    if (!done) co_return pass_on(done);
    std::string shown;
    for (std::size_t at = 0; at < code.size(); at += kGroup) {
        if (at != 0) shown.push_back('-');
        shown += code.substr(at, kGroup);
    }
    co_return shown;
}

Task<Result<std::vector<Wrap>>> MailKeys::wraps_of(MailKeyPtr key, std::string password, std::string scram_keys) {
    auto prepared = sasl_prepare(password).value_or(password);
    auto work = [key = std::move(key), prepared = std::move(prepared), scram_keys = std::move(scram_keys)] {
        return make_wraps(*key, prepared, scram_keys);
    };
    return on_pool(std::move(work));
}

Task<Result<>> MailKeys::add(AccountId account, std::vector<Wrap> wraps) {
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now) return fail(Errc::conflict, "the account has changed");
        now->wraps.insert(now->wraps.end(), wraps.begin(), wraps.end());
        return {};
    };
    auto done = co_await directory_.change_keychain(account, std::nullopt, change);
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

Task<Result<>> MailKeys::keep_only(AccountId account, std::vector<Wrap> wraps) {
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now) return {};
        std::erase_if(now->wraps, [&](const Wrap& wrap) {
            return is_of_password(wrap) && std::ranges::find(wraps, wrap) == wraps.end();
        });
        return {};
    };
    auto done = co_await directory_.change_keychain(account, std::nullopt, change);
    opened_.forget(account);
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

Task<Result<MailKeyPtr>> MailKeys::begin_anew(Account account, std::string password, std::string scram_keys) {
    MailKeyPtr key = std::make_shared<const encryption::MailKey>(Secret::random());
    auto wraps = co_await wraps_of(key, std::move(password), std::move(scram_keys));
    if (!wraps) co_return pass_on(wraps);
    if (escrow_) wraps->push_back(encryption::wrap_for_operator(*key, *escrow_));
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        now = Keychain{key->public_key(), *wraps};
        return {};
    };
    auto done = co_await directory_.change_keychain(account.id, std::nullopt, change);
    opened_.forget(account.id);
    if (!done) co_return pass_on(done);
    co_return key;
}

Task<Result<>> MailKeys::expect_device(Account account, directory::Device device, DevicePassword password) {
    if (account.settings.encryption != directory::Encryption::on) co_return Result<>{};
    auto work = [device, password] {
        std::vector<std::pair<std::string, Secret>> wrapping;
        each_scram_keys(device.scram_keys, [&](const ScramKeys& keys) {
            for (const auto& form : {grouped(password), plain(password)})
                if (matches(keys, form))
                    wrapping.emplace_back(tag_of(keys),
                                          key_of(scram_client_key(keys.hash, form, keys.salt, keys.iterations)));
        });
        return Result<std::vector<std::pair<std::string, Secret>>>(std::move(wrapping));
    };
    auto wrapping = co_await on_pool(std::move(work));
    if (!wrapping) co_return pass_on(wrapping);
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (!now) return {};
        const auto& to = now->public_key;
        now->wraps.push_back(encryption::pending_wrap(to, WrapKind::device, key_of(password), device.id));
        for (const auto& [tag, key] : *wrapping)
            now->wraps.push_back(encryption::pending_wrap(to, WrapKind::scram, key, device.id, tag));
        return {};
    };
    auto done = co_await directory_.change_keychain(account.id, std::nullopt, change);
    opened_.forget(account.id);
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

Task<Result<>> MailKeys::drop_device(AccountId account, std::uint32_t device) {
    auto change = [&](std::optional<Keychain>& now) -> Result<> {
        if (now) std::erase_if(now->wraps, [&](const Wrap& wrap) { return wrap.device == device; });
        return {};
    };
    auto done = co_await directory_.change_keychain(account, std::nullopt, change);
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

std::shared_ptr<void> MailKeys::begin_change(AccountId account) {
    std::lock_guard hold(changing_->mutex);
    if (!changing_->accounts.insert(account).second) return nullptr;
    return std::shared_ptr<void>(changing_.get(), [changing = changing_, account](void*) {
        std::lock_guard guard(changing->mutex);
        changing->accounts.erase(account);
    });
}

Task<Result<>> MailKeys::end(AccountId account, encryption::PublicKey key) {
    auto change = [&key](std::optional<Keychain>& now) -> Result<> {
        if (now && now->public_key != key) return fail(Errc::conflict, "the account has another key by now");
        now.reset();
        return {};
    };
    auto done = co_await directory_.change_keychain(account, std::nullopt, change);
    opened_.forget(account);
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

}  // namespace poplar::auth
