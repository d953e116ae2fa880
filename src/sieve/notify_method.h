#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mail/address.h"

namespace poplar::sieve {

/// The message that a mailto URI wants to be sent (RFC 6068, RFC 5436).
struct NotifyMethod {
    std::vector<mail::Address> to;  ///< of `to` header fields, too
    std::vector<mail::Address> cc, bcc;
    std::string subject, body;  ///< "": not given
    bool has_subject = false;
    std::vector<std::pair<std::string, std::string>> fields;  ///< others that a message may have from it
};

/// Errors: a text for the one who wrote the script.
std::expected<NotifyMethod, std::string> parse_notify_method(std::string_view uri);

}  // namespace poplar::sieve
