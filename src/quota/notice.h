#pragma once
// The mail to a user whose mailbox fills up.
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "quota/quotas.h"

namespace poplar::quota {

/// The tag of a language that notices are written in, from what somebody typed: in any case, and "de-CH" is "de".
/// Nothing: there is no such language.
std::optional<std::string> find_language(std::string_view typed);
/// All tags, for people: "en, de, ...".
std::string languages();

struct Notice {
    Reached reached;
    std::string address;   ///< of the account
    std::string language;  ///< as find_language() gives it; anything else is English
    std::string hostname, id;
    Timestamp time;
    FullReply full_reply = FullReply::defer;
};

/// The whole message, with LF: ASCII header (RFC 2047), body in UTF-8. RFC 3834 s5: Auto-Submitted, so that nobody's
/// vacation message answers it.
std::string compose(const Notice& notice);

}  // namespace poplar::quota
