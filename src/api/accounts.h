#pragma once
// Accounts and aliases: who receives mail and logs in.
#include "api/second_factor.h"

namespace poplar::api {

enum class AccountStatus { enabled, disabled };

struct Account {
    std::uint64_t id = 0;
    std::string address;
    AccountStatus status = AccountStatus::enabled;
    Nullable<std::string> password_scheme;
    std::vector<std::string> scram;
    bool shared_secret = false;
    std::string created;
    Nullable<Days> expire_days;
    Nullable<Seconds> login_delay;
    Nullable<SecondFactor> second_factor;
    std::vector<FactorWay> second_factor_ways;
    std::optional<bool> needs_second_factor;
    std::optional<std::string> authenticator;
    std::optional<std::uint64_t> recovery_codes;
    std::string when_all_deleted;
    Nullable<std::string> language;
    Nullable<Seconds> retention;
    std::vector<std::string> may_send_as;
    std::optional<std::uint64_t> messages, octets, retained_messages, retained_octets;
    std::optional<std::string> password;
    std::optional<std::uint64_t> sessions_ended;
    static const Shape& shape();
};

struct AccountList {
    std::vector<Account> accounts;
    static const Shape& shape();
};

struct ListAccounts {
    std::string domain, after;
    std::uint64_t limit = 1000;
    using Reply = AccountList;
    static const Operation& operation();
};

struct AddAccount {
    std::string address;
    std::optional<std::string> password, password_hash;
    std::optional<Yes> generate;
    using Reply = Account;
    static const Operation& operation();
};

struct ShowAccount {
    std::string address;
    using Reply = Account;
    static const Operation& operation();
};

struct CredentialChange {
    std::string address;
    std::uint64_t sessions_ended = 0;
    std::optional<std::string> password, secret;
    static const Shape& shape();
};

struct SetPassword {
    std::string address;
    std::optional<std::string> password, password_hash;
    std::optional<Yes> generate;
    std::optional<std::string> old_password, recovery_code, escrow_key;
    std::optional<Yes> lose_mail;
    using Reply = CredentialChange;
    static const Operation& operation();
};

struct SetSharedSecret {
    std::string address;
    std::optional<std::string> secret;
    std::optional<Yes> generate;
    using Reply = CredentialChange;
    static const Operation& operation();
};

struct RemoveSharedSecret {
    std::string address;
    using Reply = CredentialChange;
    static const Operation& operation();
};

struct SetStatus {
    std::string address;
    AccountStatus status = AccountStatus::enabled;
    using Reply = Account;
    static const Operation& operation();
};

struct SetSettings {
    std::string address;
    std::optional<Nullable<Days>> expire_days;
    std::optional<Nullable<Seconds>> login_delay;
    std::optional<Nullable<SecondFactor>> second_factor;
    std::optional<std::vector<FactorWay>> second_factor_ways;
    std::optional<std::string> when_all_deleted;
    std::optional<Nullable<std::string>> language;
    std::optional<Nullable<Seconds>> retention;
    std::optional<std::vector<std::string>> may_send_as;
    using Reply = Account;
    static const Operation& operation();
};

struct AccountRemoval {
    std::string removed;
    std::uint64_t id = 0;
    Nullable<std::string> mail_kept_until;
    std::uint64_t sessions_ended = 0;
    static const Shape& shape();
};

struct RemoveAccount {
    std::string address;
    std::optional<bool> purge;
    using Reply = AccountRemoval;
    static const Operation& operation();
};

struct RemovedAccount {
    std::uint64_t id = 0;
    std::string address, removed, mail_kept_until;
    static const Shape& shape();
};

struct RemovedAccountList {
    std::vector<RemovedAccount> removed_accounts;
    static const Shape& shape();
};

struct ListRemovedAccounts {
    using Reply = RemovedAccountList;
    static const Operation& operation();
};

struct ImportedAccount {
    std::string address, password_hash;
    static const Shape& shape();
};

struct RefusedAccount {
    std::string address, why;
    static const Shape& shape();
};

struct ImportCounts {
    std::uint64_t added = 0, updated = 0, unchanged = 0, sessions_ended = 0;
    std::vector<RefusedAccount> refused;
    static const Shape& shape();
};

struct ImportAccounts {
    static constexpr std::uint64_t kMost = 20'000;
    std::vector<ImportedAccount> accounts;
    std::optional<bool> add_domains;
    using Reply = ImportCounts;
    static const Operation& operation();
};

}  // namespace poplar::api
