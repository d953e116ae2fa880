#pragma once
// rspamd's answer to /checkv2: JSON, from a program that may be anything. Pure functions over bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace poplar::inspection {

inline constexpr std::size_t kReplyOctets = 1u << 20;  ///< of an answer
inline constexpr std::size_t kReplyFields = 100;       ///< that are added, and as many removed; others are passed over
inline constexpr std::size_t kFieldOctets = 8192;      ///< of the value of an added field; a longer one is cut

struct RspamdReply {
    /// "greylist" alone is none of ours: rspamd's module for it makes it a "soft reject" where the message has to wait.
    enum class Action : std::uint8_t {
        none,
        greylist,
        add_header,
        rewrite_subject,
        soft_reject,
        reject,
        quarantine,
        discard
    };
    Action action = Action::none;
    double score = 0, required_score = 0;
    std::string message;                                           ///< for the sender; "": none
    std::string subject;                                           ///< UTF-8; "": none
    std::string spam_header;                                       ///< the field that marks spam; "": none named
    std::vector<std::pair<std::string, std::string>> add_headers;  ///< name, and value with its line ends as CRLF WSP
    std::vector<std::string> remove_headers;                       ///< in lower case

    /// The score in hundredths of what is rejected: 0 to 100.
    unsigned percent() const;
};

/// Errors: invalid (no JSON, no action that is known, no score).
Result<RspamdReply> parse_rspamd_reply(std::string_view json);

std::string_view to_string(RspamdReply::Action action);

/// `text` as a reply may say it: printable ASCII, one line, at most 400 octets.
std::string reply_text(std::string_view text);
/// True for a name that a header field may have (RFC 5322 s2.2), at most 100 octets.
bool is_field_name(std::string_view name);
/// `value` as a field's: its lines folded (RFC 5322 s2.2.3), controls replaced by "?".
std::string field_value(std::string_view value);

}  // namespace poplar::inspection
