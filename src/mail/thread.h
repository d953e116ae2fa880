#pragma once
// By which messages belong to one conversation: the ids that they name, and their subject without what replies and
// forwards put around it.
#include <string>
#include <string_view>
#include <vector>

namespace poplar::mail {

/// The ids in "<" and ">" of a Message-ID, In-Reply-To or References field (RFC 5322 s3.6.4), in order: at most
/// `limit`, the first one and the last ones, since References begins with the conversation's first message and ends
/// with the one that is answered. One of more than 998 octets is none.
std::vector<std::string_view> message_ids(std::string_view value, std::size_t limit);

/// The base subject of RFC 5256 s2.1 for a Subject field's value, in lower case: alike for a message and its replies.
/// `is_reply`, unless null: whether anything but marks in brackets was around it, as of a reply or a forwarded message.
std::string base_subject(std::string_view value, bool* is_reply = nullptr);

}  // namespace poplar::mail
