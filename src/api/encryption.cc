// Declares the operations on encrypted mail.
#include "api/encryption.h"

#include "api/types.h"

namespace poplar::api {

namespace {
constexpr std::string_view kAddress = "The account, for example jane@example.org";
}

template <>
const Type& type_of<EncryptionState>() {
    static const WordType<EncryptionState> type({"off", "wanted", "beginning", "on", "ending"});
    return type;
}

const Shape& Encryption::shape() {
    static const Shape shape{
        "Encryption",
        "Whether an account's mail is encrypted at rest.",
        {field<&Encryption::address>("address", "The account's"),
         field<&Encryption::state>("state",
                                   "`wanted`: it begins with the next login by the account's own password; "
                                   "`beginning`: new mail is encrypted, "
                                   "and what was there before is being encrypted; `on`: all messages are; `ending`: "
                                   "new mail is in clear, and "
                                   "what is encrypted is being decrypted"),
         field<&Encryption::passwords>("passwords", "The account's passwords that open its mail"),
         field<&Encryption::devices>("devices", "Devices whose passwords open it"),
         field<&Encryption::waiting>("waiting",
                                     "Credentials that open it after the next login that does: by the account's "
                                     "password, or by a device that opens it already"),
         field<&Encryption::recovery_code_made>("recovery_code_made", "Whether there is a recovery code"),
         field<&Encryption::escrow>("escrow", "Whether the operator's key (`encryption.escrow`) opens it, too"),
         field<&Encryption::sealed>("sealed", "While it begins or ends: messages that are encrypted, deleted ones too"),
         field<&Encryption::in_clear>("in_clear", "While it begins or ends: those in clear"),
         field<&Encryption::since>("since",
                                   "Of `on`: since when the data directory has nothing of the account's mail in clear. "
                                   "Backups that were made before have"),
         field<&Encryption::unreadable>("unreadable", "Messages that stayed as they are, because they can't be read"),
         field<&Encryption::recovery_code>("recovery_code", "A new one, shown this once")}};
    return shape;
}

const Operation& ShowEncryption::operation() {
    static const Operation operation{.request = {"ShowEncryption",
                                                 "Show whether an account's mail is encrypted, and who can open it",
                                                 {field<&ShowEncryption::address>("address", kAddress)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/encryption",
                                     .reply = &Encryption::shape()};
    return operation;
}

const Operation& EnableEncryption::operation() {
    static const Operation operation{
        .request = {"EnableEncryption",
                    "Have an account's mail encrypted at rest",
                    {field<&EnableEncryption::address>("address", kAddress),
                     field<&EnableEncryption::password>("password", "The account's own").hidden()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/encryption",
        .reply = &Encryption::shape(),
        .answer = "Without the password it begins with the next login by it, and no recovery code is made."};
    return operation;
}

const Shape& DomainEncryption::shape() {
    static const Shape shape{
        "DomainEncryption",
        "Whether the mail of a domain's accounts is encrypted.",
        {field<&DomainEncryption::name>("name", "The domain"),
         field<&DomainEncryption::accounts>("accounts", "How many accounts it has"),
         field<&DomainEncryption::encrypted>("encrypted", "Those with encrypted mail, all of it or not yet"),
         field<&DomainEncryption::wanted>("wanted", "Those where it begins with the next login by the password")}};
    return shape;
}

const Operation& EnableDomainEncryption::operation() {
    static const Operation operation{
        .request = {"EnableDomainEncryption",
                    "Have the mail of all accounts that a domain has now encrypted at rest",
                    {field<&EnableDomainEncryption::name>("name", "The domain, for example example.org")}},
        .method = Method::put,
        .route = "/v1/domains/{name}/encryption",
        .reply = &DomainEncryption::shape(),
        .answer = "Each account's begins with its next login by the password. 409 if another directory keeps them."};
    return operation;
}

const Operation& DisableEncryption::operation() {
    static const Operation operation{
        .request = {"DisableEncryption",
                    "Decrypt an account's mail for good",
                    {field<&DisableEncryption::address>("address", kAddress),
                     field<&DisableEncryption::password>("password", "The account's own").hidden(),
                     field<&DisableEncryption::recovery_code>("recovery_code", "In its place").called("CODE")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/encryption/end",
        .reply = &Encryption::shape(),
        .answer =
            "Takes as long as reading and writing all its mail. What was cut off goes on when it is asked for again."};
    return operation;
}

const Operation& MakeRecoveryCode::operation() {
    static const Operation operation{
        .request = {"MakeRecoveryCode",
                    "Make a new recovery code for encrypted mail; the earlier one is void",
                    {field<&MakeRecoveryCode::address>("address", kAddress),
                     field<&MakeRecoveryCode::password>("password", "The account's own").hidden()}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/encryption/code",
        .reply = &Encryption::shape()};
    return operation;
}

}  // namespace poplar::api
