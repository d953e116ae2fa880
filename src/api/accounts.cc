// Declares the operations on accounts.
#include "api/accounts.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAddress = "The account, for example jane@example.org";
constexpr std::uint64_t kMostDelay = 30 * 24 * 3600;  // as pop3.login_delay

template <class T>
std::vector<Member> password_members(std::vector<Member> members) {
    members.push_back(field<&T::password>("password", "1 to 1,024 octets; stored as Argon2id").hidden());
    members.push_back(
        field<&T::password_hash>("password_hash", "A stored hash with its scheme, as in '{SHA512-CRYPT}$6$...'")
            .called("HASH"));
    members.push_back(field<&T::generate>("generate", "Make a strong password and print it"));
    return members;
}

}  // namespace

template <>
const Type& type_of<AccountStatus>() {
    static const WordType<AccountStatus> type({"enabled", "disabled"});
    return type;
}

const Shape& Account::shape() {
    static const Shape shape{
        "Account",
        "An account. A hash is never given out.",
        {field<&Account::id>("id", "For ever its own"),
         field<&Account::address>("address", "In its one spelling"),
         field<&Account::status>("status", "Disabled: neither logs in nor receives mail"),
         field<&Account::password_scheme>("password_scheme", "Null: nobody can log in with a password"),
         field<&Account::scram>("scram", "The hashes it has SCRAM keys for"),
         field<&Account::shared_secret>("shared_secret", "Whether it has a secret for APOP and CRAM-MD5"),
         field<&Account::created>("created", "When"),
         field<&Account::expire_days>("expire_days", "Null: as the configuration has it (`pop3.expire`)"),
         field<&Account::login_delay>("login_delay", "Null: as the configuration has it (`pop3.login_delay`)"),
         field<&Account::second_factor>("second_factor", "Null: as its domain has it"),
         field<&Account::second_factor_ways>("second_factor_ways",
                                             "The ways that count as one, if it has its own setting"),
         field<&Account::needs_second_factor>(
             "needs_second_factor",
             "Whether its password alone opens nothing, its domain's setting included; when one "
             "account is shown, as the next two"),
         field<&Account::authenticator>("authenticator", "`none`, `unconfirmed` or `confirmed`"),
         field<&Account::recovery_codes>("recovery_codes", "How many were not used yet"),
         field<&Account::when_all_deleted>("when_all_deleted",
                                           "A message that all have deleted by POP3: `remove`: it leaves its mailbox; "
                                           "`keep`: it stays there, and POP3 does not show it any more"),
         field<&Account::language>("language", "Of mail that the server writes to it; null: English"),
         field<&Account::retention>("retention", "How long its deleted mail is kept; null: as its domain has it"),
         field<&Account::may_send_as>("may_send_as",
                                      "Addresses that it may send as beside its own and its aliases; `@DOMAIN`: any of "
                                      "the domain's; `*`: any"),
         field<&Account::messages>("messages", "How many it has; when one account is shown"),
         field<&Account::octets>("octets", "Of those messages"),
         field<&Account::retained_messages>("retained_messages", "Deleted ones that are still kept"),
         field<&Account::retained_octets>("retained_octets", "Of those"),
         field<&Account::password>("password", "The one that was made, if `generate` was asked for"),
         field<&Account::sessions_ended>("sessions_ended", "When the status or the second factor was set")}};
    return shape;
}

const Shape& AccountList::shape() {
    static const Shape shape{
        "AccountList", "", {field<&AccountList::accounts>("accounts", "In order of domain and local part")}};
    return shape;
}

const Operation& ListAccounts::operation() {
    static const Operation operation{
        .request =
            {"ListAccounts",
             "List accounts",
             {field<&ListAccounts::domain>("domain", "Only those of this domain").called("NAME"),
              field<&ListAccounts::after>("after", "Only those behind this address").hidden(),
              field<&ListAccounts::limit>("limit", "At most so many; 1,000 if it is not said").up_to(10'000).hidden()}},
        .method = Method::get,
        .route = "/v1/accounts",
        .reply = &AccountList::shape()};
    return operation;
}

const Operation& AddAccount::operation() {
    static const Operation operation{
        .request = {"AddAccount", "Add an account",
                    password_members<AddAccount>({field<&AddAccount::address>("address", kAddress).positional()})},
        .method = Method::post,
        .route = "/v1/accounts",
        .reply = &Account::shape(),
        .status = 201,
        .answer = "At most one of `password`, `password_hash` and `generate`; with none nobody can log in."};
    return operation;
}

const Operation& ShowAccount::operation() {
    static const Operation operation{.request = {"ShowAccount",
                                                 "Show one account and how much mail it has",
                                                 {field<&ShowAccount::address>("address", kAddress)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}",
                                     .reply = &Account::shape()};
    return operation;
}

const Shape& CredentialChange::shape() {
    static const Shape shape{
        "CredentialChange",
        "",
        {field<&CredentialChange::address>("address", "As it was asked for"),
         field<&CredentialChange::sessions_ended>("sessions_ended", "Open sessions of the account that were ended"),
         field<&CredentialChange::password>("password", "The one that was made, if `generate` was asked for"),
         field<&CredentialChange::secret>("secret", "The one that was made, if `generate` was asked for")}};
    return shape;
}

const Operation& SetPassword::operation() {
    static const Operation operation{
        .request = {"SetPassword", "Set an account's password",
                    password_members<SetPassword>(
                        {field<&SetPassword::address>("address", kAddress),
                         field<&SetPassword::old_password>("old_password",
                                                           "The present one, which opens encrypted mail")
                             .hidden(),
                         field<&SetPassword::recovery_code>("recovery_code", "Opens encrypted mail in its place")
                             .called("CODE"),
                         field<&SetPassword::escrow_key>(
                             "escrow_key", "The secret half of the operator's key, in base64, in its place")
                             .hidden(),
                         field<&SetPassword::lose_mail>(
                             "lose_mail", "Nothing opens the encrypted mail any more: remove it, and begin anew")})},
        .method = Method::put,
        .route = "/v1/accounts/{address}/password",
        .reply = &CredentialChange::shape(),
        .answer =
            "Just one of `password`, `password_hash` and `generate`. Logins with the old password fail from now on. "
            "Where "
            "the account's mail is encrypted, it takes one of `old_password`, `recovery_code`, `escrow_key` and "
            "`lose_mail`, too, and no `password_hash`."};
    return operation;
}

const Operation& SetSharedSecret::operation() {
    static const Operation operation{
        .request = {"SetSharedSecret",
                    "Set the secret for APOP and CRAM-MD5; it is stored in clear",
                    {field<&SetSharedSecret::address>("address", kAddress),
                     field<&SetSharedSecret::secret>("secret", "16 to 255 octets of printable ASCII").hidden(),
                     field<&SetSharedSecret::generate>("generate", "Make one and print it")}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/shared-secret",
        .reply = &CredentialChange::shape(),
        .answer = "Just one of `secret` and `generate`. It is never given out again."};
    return operation;
}

const Operation& RemoveSharedSecret::operation() {
    static const Operation operation{.request = {"RemoveSharedSecret",
                                                 "The account can't use APOP and CRAM-MD5 any more",
                                                 {field<&RemoveSharedSecret::address>("address", kAddress)}},
                                     .method = Method::remove,
                                     .route = "/v1/accounts/{address}/shared-secret",
                                     .reply = &CredentialChange::shape()};
    return operation;
}

const Operation& SetStatus::operation() {
    static const Operation operation{
        .request =
            {"SetStatus",
             "Disable an account, which refuses its logins and its mail and ends its sessions; or enable it again",
             {field<&SetStatus::address>("address", kAddress), field<&SetStatus::status>("status", "Which").hidden()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/status",
        .reply = &Account::shape()};
    return operation;
}

const Operation& SetSettings::operation() {
    static const Operation operation{
        .request =
            {"SetSettings",
             "Set what an account has of its own in place of the configuration",
             {field<&SetSettings::address>("address", kAddress),
              field<&SetSettings::expire_days>(
                  "expire_days", "Days that its mail stays (pop3.expire); 0: until it was retrieved; never; default")
                  .called("DAYS"),
              field<&SetSettings::login_delay>("login_delay",
                                               "Time between two logins (pop3.login_delay), as in 15m; default")
                  .called("TIME")
                  .up_to(kMostDelay),
              field<&SetSettings::second_factor>(
                  "second_factor",
                  "none; optional: an account with an authenticator needs a second factor; required; default: as the "
                  "account's domain has it")
                  .called("WHEN"),
              field<&SetSettings::second_factor_ways>("second_factor_ways", kFactorWays).called("WAY").up_to(4),
              field<&SetSettings::when_all_deleted>(
                  "when_all_deleted",
                  "A message that all have deleted by POP3: remove (default): it leaves its mailbox; keep: it stays "
                  "there, and POP3 does not show it any more")
                  .called("FATE"),
              field<&SetSettings::language>(
                  "language", "Of mail that the server writes to it: en, de, es, fr, it or ja; default: en")
                  .called("TAG"),
              field<&SetSettings::retention>("retention", kRetention).called("TIME").up_to(kMostRetention),
              field<&SetSettings::may_send_as>("may_send_as",
                                               "Addresses that it may send as beside its own and its aliases, in place "
                                               "of those before; @DOMAIN: any of the domain's; *: any; none")
                  .called("ADDRESS")
                  .up_to(100)}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/settings",
        .reply = &Account::shape(),
        .answer = "Members that are not named stay; null: as the configuration has it."};
    return operation;
}

const Shape& AccountRemoval::shape() {
    static const Shape shape{
        "AccountRemoval",
        "",
        {field<&AccountRemoval::removed>("removed", "Its address"),
         field<&AccountRemoval::id>("id", "Its mail is read as that of `id:NUMBER` from now on"),
         field<&AccountRemoval::mail_kept_until>("mail_kept_until", "Null: the mail is destroyed"),
         field<&AccountRemoval::sessions_ended>("sessions_ended", "Open sessions of the account that were ended")}};
    return shape;
}

const Operation& RemoveAccount::operation() {
    static const Operation operation{
        .request = {"RemoveAccount",
                    "Remove an account; its mail is kept for storage.retention",
                    {field<&RemoveAccount::address>("address", kAddress),
                     field<&RemoveAccount::purge>("purge", "Destroy its mail at once")}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}",
        .reply = &AccountRemoval::shape(),
        .answer =
            "With `purge=yes` and `id:NUMBER` in place of the address: what is left of an account that was removed."};
    return operation;
}

const Shape& RemovedAccount::shape() {
    static const Shape shape{"RemovedAccount",
                             "",
                             {field<&RemovedAccount::id>("id", "Its mail is that of `id:NUMBER`"),
                              field<&RemovedAccount::address>("address", "The address that it had"),
                              field<&RemovedAccount::removed>("removed", "When"),
                              field<&RemovedAccount::mail_kept_until>("mail_kept_until", "Then its mail goes")}};
    return shape;
}

const Shape& RemovedAccountList::shape() {
    static const Shape shape{
        "RemovedAccountList", "", {field<&RemovedAccountList::removed_accounts>("removed_accounts", "In order of id")}};
    return shape;
}

const Operation& ListRemovedAccounts::operation() {
    static const Operation operation{
        .request = {"ListRemovedAccounts", "List removed accounts whose mail is still kept", {}},
        .method = Method::get,
        .route = "/v1/removed-accounts",
        .reply = &RemovedAccountList::shape()};
    return operation;
}

const Shape& ImportedAccount::shape() {
    static const Shape shape{
        "ImportedAccount",
        "",
        {field<&ImportedAccount::address>("address", kAddress),
         field<&ImportedAccount::password_hash>("password_hash", "With its scheme; empty: nobody can log in")}};
    return shape;
}

const Shape& RefusedAccount::shape() {
    static const Shape shape{"RefusedAccount",
                             "",
                             {field<&RefusedAccount::address>("address", "As it was given"),
                              field<&RefusedAccount::why>("why", "In words")}};
    return shape;
}

const Shape& ImportCounts::shape() {
    static const Shape shape{
        "ImportCounts",
        "",
        {field<&ImportCounts::added>("added", "Accounts that were not there"),
         field<&ImportCounts::updated>("updated", "That got another password"),
         field<&ImportCounts::unchanged>("unchanged", "That had it already"),
         field<&ImportCounts::refused>("refused", "The others"),
         field<&ImportCounts::sessions_ended>("sessions_ended", "Open sessions of updated accounts that were ended")}};
    return shape;
}

const Operation& ImportAccounts::operation() {
    static const Operation operation{
        .request =
            {"ImportAccounts",
             "Add or update many accounts; the same list again changes nothing",
             {field<&ImportAccounts::accounts>("accounts", "At most 20,000").up_to(ImportAccounts::kMost).hidden(),
              field<&ImportAccounts::add_domains>("add_domains", "Add domains that are missing")}},
        .method = Method::post,
        .route = "/v1/accounts/import",
        .reply = &ImportCounts::shape()};
    return operation;
}

}  // namespace poplar::api
