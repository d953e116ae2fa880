#pragma once
// Messages that a script's actions send: answers, notifications, rejections (RFC 5230 s5, RFC 5436 s2.7, RFC 5429
// s2.2).
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sieve/message.h"
#include "sieve/notify_method.h"

namespace poplar::sieve {

/// The name under which something is remembered: a hash of its parts, each counted with its length.
std::string memory_key(std::string_view kind, std::initializer_list<std::string_view> parts);

bool is_one_address(std::string_view text);
/// A field of addresses as somebody wrote them; names that are not ASCII are encoded.
std::string write_address_field(std::string_view name, std::string_view addresses);

struct Answer {
    std::string from, to, subject, reason, date, id;
    bool mime = false;  ///< the reason brings its own header
};
/// `to_message`: the header of what is answered.
std::string compose_answer(const Answer& answer, const std::vector<Field>& to_message);

struct Rejection {
    std::string owner, recipient, sender, reason, date, id, host;
};
std::string compose_rejection(const Rejection& rejection, const std::vector<Field>& rejected);

struct Notification {
    std::string owner, from, message, importance, date, id;
};
std::string compose_notification(const Notification& notification, const NotifyMethod& method,
                                 const std::vector<Field>& about);

}  // namespace poplar::sieve
