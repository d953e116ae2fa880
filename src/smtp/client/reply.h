#pragma once
// A server's answers: its replies and its extensions, from the lines they came in (RFC 5321 s4.2, s4.1.1.1). Any
// octets are allowed; pure functions, no I/O.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::smtp::client {

inline constexpr std::size_t kReplyLines = 100;  ///< of one reply; RFC 5321 has no limit
inline constexpr std::size_t kReplyLine = 4096;  ///< octets of a line; RFC 5321 s4.5.3.1.5: 512
inline constexpr std::size_t kReplyText = 1000;  ///< octets of the text that is kept

struct Reply {
    int code = 0;
    std::string status;              ///< "5.1.1" (RFC 3463); "": it has none, or one of another class than the code
    std::string text;                ///< of all lines, joined by spaces; at most kReplyText octets
    std::vector<std::string> lines;  ///< behind the code, as they came; of replies to EHLO

    bool positive() const { return code >= 200 && code < 300; }
    bool intermediate() const { return code >= 300 && code < 400; }
    bool permanent() const { return code >= 500; }
    /// As it is told to people: "550 5.1.1 No such user".
    std::string shown() const;
};

/// Takes a reply's lines one after another.
class ReplyParser {
public:
    /// True: that was the last one, and reply() is complete. Errors: invalid (it is no reply: no code, another code
    /// than before, too many lines).
    Result<bool> add(std::string_view line);
    const Reply& reply() const { return reply_; }
    Reply take() { return std::move(reply_); }

private:
    Reply reply_;
    std::size_t count_ = 0;
};

/// The extensions that a server offers.
struct Extensions {
    bool pipelining = false, eight_bit = false, utf8 = false, dsn = false, starttls = false, require_tls = false;
    std::optional<std::uint64_t> size;  ///< octets of a message; RFC 1870 s4: 0 is no limit, and counts as nothing here
    std::optional<std::uint32_t> recipients;  ///< of a message (RFC 9422 RCPTMAX)
    std::vector<std::string> mechanisms;      ///< of AUTH, in upper case
};
/// `lines`: those of the reply to EHLO; the first is the greeting. What is malformed is passed over.
Extensions parse_extensions(const std::vector<std::string>& lines);

/// RFC 3461 s4: octets that may not stand in a parameter become "+XX".
std::string xtext(std::string_view text);

}  // namespace poplar::smtp::client
