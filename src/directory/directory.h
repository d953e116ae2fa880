#pragma once
// Domains, accounts, aliases and their credentials, in a partition of their own (keys: storage-format.md).
// Addresses given to it may have any spelling; they are stored and compared in the canonical one (mail/address.h).
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "directory/factors.h"
#include "directory/quota.h"
#include "encryption/keychain.h"
#include "engine/engine.h"
#include "mail/address.h"

namespace poplar::directory {

class OutsideDirectory;  // outside_directory.h

using AccountId = engine::PartitionId;  ///< an account's partition; never reused

/// The directory's own partition. Accounts' partitions follow kFirstAccount.
inline constexpr engine::PartitionId kDirectoryPartition{1};
inline constexpr AccountId kFirstAccount{1024};
/// A mailbox of the server's own, without an account. It keeps mail for the postmaster until somebody is named as such.
inline constexpr AccountId kPostmasterMailbox{3};

enum class AccountStatus : std::uint8_t { enabled, disabled };

inline constexpr std::uint32_t kNeverExpires = 0xffff'ffff;  ///< in place of a number of days

/// Whether an account's mail is encrypted at rest. The values stand in the records.
enum class Encryption : std::uint8_t {
    off = 0,
    wanted = 1,  ///< it begins with the next login by the account's own password
    on = 2,      ///< the account has a keychain
};

/// Settings of one account, which go before the server's configuration.
struct AccountSettings {
    std::optional<std::uint32_t> expire_days = {};   ///< pop3.expire: days that mail stays, 0, or kNeverExpires
    std::optional<std::uint32_t> login_delay = {};   ///< pop3.login_delay: seconds
    std::optional<FactorPolicy> second_factor = {};  ///< in place of its domain's
    bool keep_deleted = false;                       ///< a message that all have deleted by POP stays in its mailbox
    MailLimits quota = {};                           ///< in place of its domain's
    std::string language = {};                       ///< of mail that the server writes to it (RFC 5646); "": English
    std::optional<std::chrono::seconds> retention = {};  ///< of deleted mail, in place of its domain's
    /// Addresses beside its own that it may send as: "jane@x.test", "@x.test" for any of a domain's, "*" for any.
    std::vector<std::string> may_send_as = {};
    Encryption encryption = Encryption::off;  ///< changed by change_keychain() and want_encryption() alone
    bool operator==(const AccountSettings&) const = default;
};

struct Account {
    AccountId id;
    std::string address;                   ///< canonical `local@domain`
    std::string password;                  ///< `{SCHEME}hash`, as auth/password.h reads it; empty: nobody can log in
    std::uint64_t credential_version = 0;  ///< grows with each change of the password or the status
    AccountStatus status = AccountStatus::enabled;
    Timestamp created{};
    /// SCRAM keys of the same password, as auth/scram.h writes them, in a row; empty: none.
    std::string scram_keys;
    /// For APOP and CRAM-MD5, in clear (they can't do with less); empty: the account can't use them.
    std::string shared_secret;
    AccountSettings settings = {};
};

/// The canonical name of its domain.
std::string domain_of(const Account& account);

/// The purpose of a login.
enum class Service : std::uint8_t { pop3 = 1, imap = 2, submission = 4, sieve = 8 };

inline constexpr std::uint32_t kDeviceIds = 1u << 20;  ///< a device's id is below
inline constexpr std::size_t kDeviceNameLimit = 128;   ///< octets
inline constexpr std::size_t kDeviceMailboxes = 32;    ///< of one device, at most

/// A password of an account for one client: a phone, a program. It may have fewer rights than the account, and can be
/// taken back alone.
struct Device {
    std::uint32_t id = 0;                    ///< within the account
    std::string name = {};                   ///< as the user calls it; no two of an account have the same
    std::string secret = {};                 ///< as auth/device_password.h hashes it
    std::string scram_keys = {};             ///< of its password with and without hyphens; empty: none
    std::uint8_t services = 0xff;            ///< a bit for each Service that it is good for
    std::vector<std::string> networks = {};  ///< CIDR; from where it may be used; none: from anywhere
    std::optional<Timestamp> expires = {};
    bool read_only = false;                     ///< it deletes nothing
    bool own_view = false;                      ///< what it deletes stays there for the others
    std::vector<std::uint32_t> mailboxes = {};  ///< the mail store's numbers of those that it sees; none: INBOX alone
    Timestamp created{};

    bool serves(Service service) const { return (services & static_cast<std::uint8_t>(service)) != 0; }
};

/// Whether the directory can keep the device: add_device() and set_device() ask this first. Errors: invalid.
Result<> check(const Device& device);

/// The uses of a device. Written in the background, so that no login waits for it.
struct DeviceUse {
    Timestamp last{};
    std::string peer = {}, protocol = {}, client = {};  ///< of the last login
    std::uint64_t logins = 0, fetched = 0, deleted = 0;
    void add(const DeviceUse& other);  ///< sums the counts; the later of the two logins is the last
};

/// The SCRAM keys of an account and its devices, in one number: keys that are made anew get the salt that the
/// others have, and are not stored if those have changed meanwhile.
using KeysStamp = std::uint64_t;

/// A password as it is stored.
struct Password {
    Password() = default;
    Password(std::string hash_text, std::string scram = {})
        : hash(std::move(hash_text)), scram_keys(std::move(scram)) {}
    Password(const char* hash_text) : hash(hash_text) {}
    std::string hash;                      ///< `{SCHEME}hash`; empty: nobody can log in
    std::string scram_keys;                ///< of the same password; empty: none
    std::optional<KeysStamp> beside = {};  ///< if scram_keys were made: from before that
};

struct Domain {
    std::string name;       ///< canonical
    std::string catch_all;  ///< the address that gets what no account or alias of the domain takes; empty: none
    Timestamp created{};
    std::optional<FactorPolicy> second_factor = {};      ///< of accounts that have none of their own; nothing: none
    MailLimits quota = {};                               ///< of each account that has no limit of its own
    MailLimits total = {};                               ///< of all its accounts together
    std::optional<std::chrono::seconds> retention = {};  ///< the same, of deleted mail; nothing: storage.retention
};

struct Alias {
    std::string address;               ///< canonical
    std::vector<std::string> targets;  ///< canonical addresses of accounts or further aliases
};

/// Where mail to an address goes.
struct Resolution {
    enum class Kind {
        accounts,  ///< to `accounts`, each once, and `elsewhere`; for postmaster it may be kPostmasterMailbox alone
        unknown_domain,  ///< not ours: relaying denied
        unknown_user,    ///< 550 5.1.1
        disabled,        ///< known, but every account it leads to is disabled
        loop,            ///< aliases that lead in a circle or too deep or too wide (see Options)
    };
    Kind kind = Kind::unknown_user;
    std::vector<AccountId> accounts;
    std::vector<std::string> elsewhere = {};  ///< addresses in domains that are not ours, through aliases
    /// The detail of `user+detail@`, as the sender wrote it; empty if the whole address was found. If an alias leads to
    /// one account alone, by a target with a detail, that detail takes its place.
    std::string detail;
    /// The bounds of the mail of each account, in their order; null: nothing. Empty: nothing bounds any of them.
    std::vector<std::shared_ptr<const Bounds>> bounds = {};
};

struct Options {
    mail::LocalPartCase local_case = mail::LocalPartCase::fold;
    char detail_separator = '+';
    std::size_t alias_depth = 10;        ///< aliases of aliases
    std::size_t alias_targets = 1000;    ///< accounts one address may lead to
    std::size_t alias_cache = 4u << 20;  ///< octets of memory for where aliases lead
    std::size_t devices = 300;           ///< of an account
};

struct Core;  // core.h

/// All functions may be called from any thread with an executor. Changes are made one after the other and are durable
/// when they return; reads don't wait for them. Errors of any call, beside those named: io, no_space, corrupt,
/// cancelled; invalid (a malformed address or domain; a stored password, SCRAM keys or a secret of more than 1,024
/// octets); and of a change, busy (another process keeps changing the directory).
class Directory {
public:
    Directory(engine::Engine& engine, const Clock& clock, Options options);
    ~Directory();

    // Domains. Errors: exists, not_found.
    /// `postmaster`: where mail to the domain's postmaster goes. It is an address of this domain, which may follow
    /// later, or one that is there already; "": not settled yet. Errors: not_found (its domain is not ours).
    Task<Result<Domain>> add_domain(std::string name, std::string postmaster = {});
    /// Errors: busy (it still has accounts or aliases).
    Task<Result<>> remove_domain(std::string name);
    Task<Result<std::vector<Domain>>> domains();
    /// "" takes it away. Errors: not_found (also if `address` is no account or alias).
    Task<Result<>> set_catch_all(std::string domain, std::string address);
    using ChangePolicy = std::function<Result<>(std::optional<FactorPolicy>& policy)>;
    /// Changes the domain's policy, in one commit with reading it. `change` may be called more than once. Errors: those
    /// of `change`, after which nothing is written.
    Task<Result<Domain>> change_second_factor(std::string domain, ChangePolicy change);
    Task<Result<Domain>> set_retention(std::string domain, std::optional<std::chrono::seconds> keep);
    /// How long the account's deleted mail is kept: its own setting, else its domain's; nothing: the server's. One
    /// read.
    Task<Result<std::optional<std::chrono::seconds>>> retention_of(const Account& account);
    /// The domain's; SecondFactor::none if it says nothing, or is not there. `domain` is canonical.
    Task<Result<FactorPolicy>> second_factor_of(std::string domain);
    std::optional<FactorPolicy> second_factor_at_hand(const std::string& domain);  ///< nothing: it has to be waited for
    Task<Result<Domain>> domain(std::string name);
    /// `accounts`: of each account; `total`: of all together.
    using ChangeLimits = std::function<void(MailLimits& accounts, MailLimits& total)>;
    /// Changes some of the domain's limits, in one commit with reading them; they hold for mail that comes from now on.
    /// `change` may be called more than once, each time with what is stored.
    Task<Result<Domain>> change_quota(std::string domain, ChangeLimits change);
    /// The limits on the account's mail; null: none.
    Task<Result<std::shared_ptr<const Bounds>>> bounds_of(Account account);

    // Accounts. Errors: not_found (the account or, for add, the domain), exists (also as an alias).
    Task<Result<Account>> add_account(std::string address, Password password);
    Task<Result<Account>> find_account(std::string address);  ///< by its own address only, not an alias
    /// find_for_login() for who can't wait: the account, if there is one here and no disk has to be read for it; never
    /// one that another directory keeps.
    std::optional<Account> account_at_hand(std::string_view address);
    Task<Result<Account>> account(AccountId id);
    /// Accounts in order of domain and local part, at most `limit`, after the address `after` ("" from the start);
    /// with `domain` not empty only that domain's.
    Task<Result<std::vector<Account>>> accounts(std::string domain, std::string after, std::size_t limit);
    /// Errors: conflict (other SCRAM keys have come since Password::beside; make these anew).
    Task<Result<>> set_password(std::string address, Password password);
    /// As set_password, but only if the stored hash is still `old`: a login calls it, and the password may have been
    /// changed meanwhile. Errors: conflict.
    Task<Result<>> upgrade_password(AccountId id, std::string old, Password password);
    Task<Result<>> set_shared_secret(std::string address, std::string secret);  ///< "" takes it away
    Task<Result<>> set_status(std::string address, AccountStatus status);
    /// `of_domain`: the second-factor policy of the account's domain, if that has one.
    using ChangeSettings =
        std::function<Result<>(AccountSettings& settings, const std::optional<FactorPolicy>& of_domain)>;
    /// Changes the account's settings, in one commit with reading them, so that of two changes at a time none is lost.
    /// `change` may be called more than once, each time with what is stored. Returns the account as it is then. Errors:
    /// those of `change`, after which nothing is written.
    Task<Result<Account>> change_settings(std::string address, ChangeSettings change);
    // The peers an account was logged in from, as the keys that base/peer_network.h makes, the latest first. They have
    // a record beside the account's, so that reading the account does not pay for them; it goes with the account.
    using PeerKeys = std::vector<std::uint64_t>;
    Task<Result<PeerKeys>> familiar_peers(AccountId id);  ///< none if there is no such account
    struct SeenPeers {
        AccountId id;
        PeerKeys peers;  ///< in the order they were seen; comes back as all that are kept, the last one first
    };
    /// Notes where accounts were logged in from, many in one commit, at most `limit` for an account. A peer among the
    /// latest half is not moved to the front, so that a user who comes from the same few places costs one write only.
    /// Accounts that are gone are passed over.
    Task<Result<std::vector<SeenPeers>>> note_familiar_peers(std::vector<SeenPeers> seen, std::size_t limit);
    // Devices. Errors: not_found (the account or the device), exists (the name or id), busy (Options::devices).
    Task<Result<std::vector<Device>>> devices(AccountId account);  ///< none if there is no such account
    Task<Result<std::optional<Device>>> device(AccountId account, std::uint32_t id);
    Task<Result<std::uint32_t>> free_device_id(AccountId account);
    /// `beside`: as Password::beside. Errors: conflict.
    Task<Result<Device>> add_device(AccountId account, Device device, std::optional<KeysStamp> beside = {});
    Task<Result<Device>> set_device(AccountId account, Device device);  ///< the one with this id
    Task<Result<Device>> remove_device(AccountId account, std::uint32_t id);
    /// Of the account and its devices as they are. Errors: not_found.
    Task<Result<KeysStamp>> keys_stamp(AccountId account);
    bool has_expired(const Device& device) const;
    Timestamp in(std::chrono::seconds time) const;  ///< so long from now
    struct UsedDevice {
        AccountId account;
        std::uint32_t device;
        DeviceUse use;
    };
    Task<Result<std::vector<UsedDevice>>> device_uses(AccountId account);
    /// Adds to what is noted, many in one commit; devices that are gone are passed over.
    Task<Result<>> note_device_uses(std::vector<UsedDevice> uses);
    // Second factors. A new password, an imported one too, closes the account's windows and forgets sites that wait, in
    // the same commit. A record that is damaged stays as it is then: it lets nobody in, and holds up no new password.
    Task<Result<Factors>> factors(AccountId account);  ///< nothing in it if there is no such account
    using ChangeFactors = std::function<Result<>(Factors& factors, Timestamp now)>;
    /// Changes them in one commit; one that changes nothing writes nothing. `change` may be called more than once, each
    /// time with what is stored. Returns what is stored then. `credential_version`: the account must still have it.
    /// Errors: those of `change`, after which nothing is written; not_found, conflict (the account has changed).
    Task<Result<Factors>> change_factors(AccountId account, std::optional<std::uint64_t> credential_version,
                                         ChangeFactors change);
    /// Takes away all that the account has for second factors, also what can't be read any more. Errors: not_found (the
    /// account).
    Task<Result<>> forget_factors(AccountId account);
    struct AccountFactors {
        AccountId account;
        std::optional<Factors> factors;  ///< nothing: they are damaged
    };
    /// Of the accounts that have any, in order of their ids, after `after`, at most `limit`.
    Task<Result<std::vector<AccountFactors>>> all_factors(AccountId after, std::size_t limit);
    // Keychains of accounts whose mail is encrypted, in records of their own. They outlive the account's removal,
    // because its mail does; forget_keychain() is called with the mail's end.
    /// Nothing: the account has none.
    Task<Result<std::optional<encryption::Keychain>>> keychain(AccountId account);
    /// Nothing, or what becomes of it.
    using ChangeKeychain = std::function<Result<>(std::optional<encryption::Keychain>& keychain)>;
    /// Changes it in one commit, with AccountSettings::encryption, which is `on` while there is one. `change` may be
    /// called more than once, each time with what is stored; one that changes nothing writes nothing. Returns what is
    /// stored then. `credential_version`: the account must still have it. Errors: those of `change`, after which
    /// nothing is written; not_found (the account), conflict (the account has changed), too_large.
    Task<Result<std::optional<encryption::Keychain>>> change_keychain(AccountId account,
                                                                      std::optional<std::uint64_t> credential_version,
                                                                      ChangeKeychain change);
    /// Has encryption begin with the next login, or not. Errors: not_found, exists (it has begun).
    enum class Wanted { no, yes };
    Task<Result<Account>> want_encryption(AccountId account, Wanted wanted);
    Task<Result<>> forget_keychain(AccountId account);
    struct AccountKeychain {
        AccountId account;
        std::optional<encryption::Keychain> keychain;  ///< nothing: it is damaged
    };
    /// Of the accounts that have one, in order of their ids, after `after`, at most `limit`.
    Task<Result<std::vector<AccountKeychain>>> keychains(AccountId after, std::size_t limit);

    /// The shortest `expire_days` and the longest `login_delay` of all accounts that have their own, in O(1); nothing
    /// where no account has.
    Task<Result<AccountSettings>> strictest_settings();
    /// The address is free again at once; the caller has to purge the mail's partition. Aliases that lead here stay.
    /// One without another target is answered as an unknown user until the address is there again.
    Task<Result<Account>> remove_account(std::string address);

    // Accounts of domains that another directory keeps. They have mail, devices and settings here, and no password;
    // one is made when it is first named by mail or a login and is there outside. Our own passwords of such accounts
    // count for nothing.
    /// `outside` outlives this. To be called before anything else.
    void consult(OutsideDirectory& outside);
    /// The directory that keeps the domain of a canonical address; null: it is our own.
    OutsideDirectory* outside_of(std::string_view address) const;
    /// As find_account, for somebody who logs in. If the account is kept outside, it has the credential that its source
    /// hands out; where that does not answer, and nothing may be believed, it is disabled. Errors: not_found (also if
    /// it is gone outside).
    Task<Result<Account>> find_for_login(std::string address);
    /// The last words of another directory about an account, over a restart; "" is none. Addresses are passed over that
    /// have no account.
    struct KeptOutside {
        std::string address, record;
    };
    Task<Result<std::string>> kept_outside(std::string address);
    Task<Result<>> keep_outside(std::vector<KeptOutside> all);

    struct NewAccount {
        std::string address, password;
    };
    struct ImportCounts {
        std::uint64_t added = 0, updated = 0, unchanged = 0;
        std::vector<std::pair<std::string, std::string>> refused;  ///< address and why
    };
    /// Adds or updates many at once, a few commits for thousands; the same list again changes nothing. An entry is
    /// refused if its domain is missing (unless `add_domains`), or if an earlier entry gave its address another
    /// password. After a failure in the middle, what was done stays: import the list again. `changed` is called for
    /// each account that was there before and got another password, once that is durable, even if the import fails
    /// later.
    enum class AddDomains { no, yes };
    Task<Result<ImportCounts>> import_accounts(
        std::vector<NewAccount> accounts, AddDomains add_domains,
        std::function<void(AccountId)> changed = [](AccountId) {});

    // Aliases. A target is an account or alias that exists, with a detail or without, or an address in a domain that is
    // not ours. Errors: exists (also as an account), not_found; invalid (no targets, or more than
    // Options::alias_targets).
    Task<Result<Alias>> add_alias(std::string address, std::vector<std::string> targets);
    Task<Result<>> remove_alias(std::string address);
    Task<Result<std::vector<Alias>>> aliases(std::string domain, std::string after, std::size_t limit);

    struct Totals {
        std::uint64_t domains = 0, accounts = 0, aliases = 0;
    };
    Task<Result<Totals>> totals();  ///< from counters, O(1)

    /// `user+detail@domain` as `user@domain` and `detail`, at the first separator behind the first octet; nothing if
    /// there is none. What people type at a login need be no address: the detail may have spaces, and may be empty.
    struct WithDetail {
        std::string address, detail;
    };
    std::optional<WithDetail> split_detail(std::string_view text) const;

    /// The one spelling of an address. Text that is no address comes back as it is.
    std::string canonical(std::string text) const;

    /// 32 random octets, made once and the same ever after: for answers about accounts that don't exist.
    Task<Result<std::string>> server_secret();

    /// Where mail to `address` goes. Looks for the address itself, then for it without its detail, then takes the
    /// domain's catch-all. Aliases are followed; their targets have no catch-all.
    ///
    /// Postmaster, in any case, always leads somewhere (RFC 5321 s4.5.1). Without a domain (Address{"postmaster", ""}),
    /// or at a domain of ours that has none, it is the postmaster of the first domain that has one. If that is nobody,
    /// or the domain's own leads to nobody, the mail goes to kPostmasterMailbox.
    Task<Result<Resolution>> resolve(mail::Address address);
    /// The same at once, for an account's own address, where all that has to be read is in memory. Else nothing.
    std::optional<Resolution> resolve_at_hand(const mail::Address& address);
    /// Whether some domain has a postmaster, whoever that is.
    Task<Result<bool>> has_postmaster();

private:
    std::unique_ptr<Core> core_;
};

}  // namespace poplar::directory
