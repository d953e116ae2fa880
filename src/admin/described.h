#pragma once
// Messages as the API shows them.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "admin/api.h"
#include "api/messages.h"
#include "mailstore/message.h"

namespace poplar::admin {

/// IMAP's system flags (RFC 9051 s2.3.2) by the names they have here.
inline constexpr std::array<std::pair<mailstore::Flag, std::string_view>, 5> kFlagNames{
    {{mailstore::Flag::seen, "seen"},
     {mailstore::Flag::answered, "answered"},
     {mailstore::Flag::flagged, "flagged"},
     {mailstore::Flag::deleted, "deleted"},
     {mailstore::Flag::draft, "draft"}}};

/// `headers`: with its From, Subject and Date, which are read for it.
Task<api::Message> described(Context& context, mailstore::AccountId account, mailstore::StoredMessage message,
                             bool headers);

/// The system flag of this name; nothing: it is a keyword.
std::optional<mailstore::Flag> flag_of(std::string_view name);

/// Sends a message as it was received; damage shows before the reply begins. Errors: the store's.
Task<Result<>> send_message(Context& context, mailstore::AccountId account, mailstore::StoredMessage message,
                            std::string content_type, http::Stream& stream);

/// The mailbox of this name; "": INBOX. Errors: not_found, with a message for the caller.
Task<Result<mailstore::MailboxId>> mailbox_called(Context& context, mailstore::AccountId account, std::string name);

struct FoundMessage {
    mailstore::StoredMessage message;
    bool live = false;  ///< else it is deleted and still kept
};
/// By its unique-id, in whatever mailbox. Errors: not_found, with a message for the caller.
Task<Result<FoundMessage>> find_message(Context& context, mailstore::AccountId account, std::string id);

struct LocatedMessage {
    mailstore::AccountId account;
    mailstore::StoredMessage message;
    bool live = false;
};
/// The same in the account of this name (admin::mailbox). Errors: those of both.
Task<Result<LocatedMessage>> locate(Context& context, std::string name, std::string id);

}  // namespace poplar::admin
