#pragma once
// STATUS's items, and the special uses of mailboxes by IMAP's names.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "imap/cursor.h"
#include "mailstore/message.h"

namespace poplar::imap {

/// RFC 9051 s6.3.11; RFC 7162, RFC 8474, RFC 8438, RFC 7889, RFC 9208.
struct StatusItems {
    bool messages = false, recent = false, uid_next = false, uid_validity = false, unseen = false, deleted = false,
         size = false, highest_mod_sequence = false, mailbox_id = false, append_limit = false, deleted_storage = false;
};
/// `(MESSAGES UIDNEXT)`
std::optional<StatusItems> parse_status_items(Cursor& in);
/// The text between the parentheses of the response.
/// `deleted_octets`: of the messages that are marked as deleted.
std::string status_of(const mailstore::Mailbox& mailbox, const StatusItems& items, std::uint64_t append_limit,
                      std::uint64_t deleted_octets = 0);

/// `\Sent`; "" for none (RFC 6154 s2).
std::string_view name_of(mailstore::SpecialUse use);
/// In any case.
std::optional<mailstore::SpecialUse> use_named(std::string_view name);

}  // namespace poplar::imap
