#pragma once
// The keys of encrypted mail: opened by what a login shows, remembered as long as a verified password is, and wrapped
// anew when credentials change. docs/security.md says who can open what.
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/device_password.h"
#include "auth/scram.h"
#include "base/asio.h"
#include "base/fair_pool.h"
#include "base/steady.h"
#include "directory/directory.h"
#include "encryption/keychain.h"

namespace poplar::auth {

/// Keys that passwords opened lately, each encrypted under a key that is made of the password and of a secret of this
/// process: only somebody who shows the same password again gets it. May be used from any thread.
class OpenedKeys {
public:
    OpenedKeys(std::chrono::seconds ttl, std::size_t entries);
    encryption::MailKeyPtr find(const directory::Account& account, std::string_view password);
    void remember(const directory::Account& account, std::string_view password, const encryption::MailKey& key);
    void forget(directory::AccountId id);

private:
    struct Entry {
        std::string box;
        SteadyTime since;
    };
    encryption::Secret key_of(const directory::Account& account, std::string_view password) const;

    const std::chrono::seconds ttl_;
    const std::size_t entries_;
    const encryption::Secret own_ = encryption::Secret::random();
    std::mutex mutex_;
    std::unordered_map<directory::AccountId, Entry> boxes_;
};

/// All functions may be called from any thread with an executor. What takes an Argon2 runs on the pool. Errors beside
/// those named: busy (the pool's), and the directory's.
class MailKeys {
public:
    MailKeys(directory::Directory& directory, FairPool& pool, std::chrono::seconds ttl, std::size_t entries);

    /// `begun` is called when an account's mail begins to be encrypted; it must not wait. To be set before any login.
    using Begun = std::function<void(directory::AccountId account, const encryption::PublicKey& key)>;
    void on_begun(Begun begun) { begun_ = std::move(begun); }

    /// The operator's public key, which opens each account's mail, too, from its next login by the password on. To be
    /// set before any login.
    void keep_for_operator(const encryption::PublicKey& escrow) { escrow_ = escrow; }

    // After a login whose proof was right, of an account whose encryption is not off. Null: that proof can't open the
    // mail; the log says why. A device or SCRAM keys without a wrap get one at the next login that opens the mail.

    /// By the account's own password, prepared. Begins encryption where that is wanted.
    Task<encryption::MailKeyPtr> after_password(directory::Account account, std::string password);
    Task<encryption::MailKeyPtr> after_device(directory::Account account, DevicePassword password);
    /// `device`: whose keys they are; encryption::kNoDevice: the account's own.
    Task<encryption::MailKeyPtr> after_scram(directory::Account account, std::uint32_t device, ScramKeys keys,
                                             encryption::SecretText client_key);

    // For operations.

    /// Makes a key pair for the account, which `password` opens from now on. Errors: denied (it is not the account's),
    /// exists (its mail is encrypted already).
    Task<Result<encryption::MailKeyPtr>> begin(directory::Account account, std::string password);
    /// Errors: denied (it does not open the mail), not_found (the mail is not encrypted).
    Task<Result<encryption::MailKeyPtr>> open(directory::Account account, std::string password);
    Task<Result<encryption::MailKeyPtr>> open_by_recovery_code(directory::Account account, std::string code);
    /// By the secret half of the operator's key.
    Task<Result<encryption::MailKeyPtr>> open_by_escrow(directory::Account account, encryption::Secret escrow);
    /// A new recovery code; the one before opens nothing any more.
    Task<Result<std::string>> new_recovery_code(directory::Account account, encryption::MailKeyPtr key);
    /// Makes the wraps that this password opens, and its SCRAM keys.
    Task<Result<std::vector<encryption::Wrap>>> wraps_of(encryption::MailKeyPtr key, std::string password,
                                                         std::string scram_keys);
    /// Adds wraps of a new password, before that is set.
    Task<Result<>> add(directory::AccountId account, std::vector<encryption::Wrap> wraps);
    /// Forgets those of the account's earlier passwords, once the new one is set.
    Task<Result<>> keep_only(directory::AccountId account, std::vector<encryption::Wrap> wraps);
    /// Another key pair in place of the one that nobody can open. What was sealed before stays unreadable.
    Task<Result<encryption::MailKeyPtr>> begin_anew(directory::Account account, std::string password,
                                                    std::string scram_keys);
    /// A new device's password opens the mail from the next login on that opens it.
    Task<Result<>> expect_device(directory::Account account, directory::Device device, DevicePassword password);
    /// A device was revoked.
    Task<Result<>> drop_device(directory::AccountId account, std::uint32_t device);
    /// The account's mail is in clear again, all of it. Errors: conflict (it has another key pair by now).
    Task<Result<>> end(directory::AccountId account, encryption::PublicKey key);

    /// Held while an operation changes the account's password, or ends its encryption: two at a time would take each
    /// other's wraps away, and then nothing opens the mail. Null: another is under way.
    std::shared_ptr<void> begin_change(directory::AccountId account);

    void forget(directory::AccountId id) { opened_.forget(id); }

private:
    template <class Work>
    auto on_pool(Work work) -> Task<std::invoke_result_t<Work>>;
    Task<Result<encryption::Keychain>> keychain_of(directory::AccountId account);
    /// As begin(), with the account's password, prepared.
    Task<Result<encryption::MailKeyPtr>> begin_proven(directory::Account account, std::string password);
    /// Makes the wraps that are missing. A failure is only logged: the login is good, and the next one does it.
    Task<> complete(directory::Account account, encryption::Keychain keychain, encryption::MailKeyPtr key,
                    std::string password);
    Task<> leave(directory::Account account, encryption::PublicKey key, encryption::WrapKind kind,
                 encryption::Secret wrapping, std::uint32_t device, std::string tag);

    directory::Directory& directory_;
    FairPool& pool_;
    OpenedKeys opened_;
    Begun begun_;
    std::optional<encryption::PublicKey> escrow_;
    struct Changing {
        std::mutex mutex;
        std::set<directory::AccountId> accounts;
    };
    const std::shared_ptr<Changing> changing_ = std::make_shared<Changing>();
};

}  // namespace poplar::auth
