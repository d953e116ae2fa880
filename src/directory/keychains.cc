// Keychains of accounts whose mail is encrypted, in records of their own beside the accounts'.
#include "directory/core.h"

namespace poplar::directory {

namespace {

Result<std::optional<encryption::Keychain>> decode(const std::optional<std::string>& value) {
    if (!value) return std::optional<encryption::Keychain>();
    auto keychain = encryption::decode_keychain(*value);
    if (!keychain) return pass_on(keychain);
    return std::optional(std::move(*keychain));
}

}  // namespace

Task<Result<std::optional<encryption::Keychain>>> Directory::keychain(AccountId account) {
    auto value = co_await core_->read(keychain_key(account));
    if (!value) co_return pass_on(value);
    co_return decode(*value);
}

Task<Result<std::optional<encryption::Keychain>>> Directory::change_keychain(
    AccountId id, std::optional<std::uint64_t> credential_version, ChangeKeychain change) {
    using Outcome = std::optional<encryption::Keychain>;
    auto prepare = [&](Draft& draft) -> Task<Result<Outcome>> {
        auto owner = co_await account(id);
        if (!owner) co_return pass_on(owner);
        if (credential_version && owner->credential_version != *credential_version)
            co_return fail(Errc::conflict, "the account has changed");
        auto value = co_await core_->read(keychain_key(id));
        if (!value) co_return pass_on(value);
        auto before = decode(*value);
        if (!before) co_return pass_on(before);
        auto after = *before;
        if (auto changed = change(after); !changed) co_return pass_on(changed);
        if (after)
            if (auto sound = encryption::check(*after); !sound) co_return pass_on(sound);
        const auto state = after ? Encryption::on : Encryption::off;
        const bool begins_or_ends = after.has_value() != before->has_value();
        if (begins_or_ends || (after && owner->settings.encryption != state)) {
            auto name = core_->normalize(owner->address);
            if (!name) co_return pass_on(name);
            owner->settings.encryption = state;
            draft.put(*name, *owner);
        }
        if (after == *before) co_return after;
        if (after)
            draft.batch.put(keychain_key(id), encryption::encode(*after));
        else
            draft.batch.erase(keychain_key(id));
        co_return after;
    };
    co_return co_await core_->write<Outcome>(prepare, AliasesLead::as_before);
}

Task<Result<Account>> Directory::want_encryption(AccountId id, Wanted wanted) {
    auto prepare = [&](Draft& draft) -> Task<Result<Account>> {
        auto owner = co_await account(id);
        if (!owner) co_return owner;
        auto& state = owner->settings.encryption;
        if (state == Encryption::on) co_return fail(Errc::exists, "its mail is encrypted already");
        const auto next = wanted == Wanted::yes ? Encryption::wanted : Encryption::off;
        if (state == next) co_return owner;
        state = next;
        auto name = core_->normalize(owner->address);
        if (!name) co_return pass_on(name);
        draft.put(*name, *owner);
        co_return owner;
    };
    co_return co_await core_->write<Account>(prepare, AliasesLead::as_before);
}

Task<Result<>> Directory::forget_keychain(AccountId id) {
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto value = co_await core_->read(keychain_key(id));
        if (!value) co_return pass_on(value);
        if (*value) draft.batch.erase(keychain_key(id));
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare, AliasesLead::as_before);
}

Task<Result<std::vector<Directory::AccountKeychain>>> Directory::keychains(AccountId after, std::size_t limit) {
    auto range = engine::KeyRange::prefix(all_keychains_prefix());
    range.begin_behind(keychain_key(after));
    auto found = co_await core_->engine.scan(kDirectoryPartition, std::move(range), limit);
    if (!found) co_return pass_on(found);
    std::vector<AccountKeychain> all;
    for (const auto [key, value] : *found) {
        auto keychain = encryption::decode_keychain(value);
        all.push_back({account_of_factors(key), keychain ? std::optional(std::move(*keychain)) : std::nullopt});
    }
    co_return all;
}

}  // namespace poplar::directory
