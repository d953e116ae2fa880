#pragma once
// The trace header fields a mail server adds: RFC 5321 s4.4; RFC 6531 s3.7.3 and RFC 3848 (the "with" keywords).
#include <string>
#include <string_view>

#include "base/clock.h"

namespace poplar::mail {

/// `Sun, 22 Nov 2026 03:05:09 +0000` (RFC 5322 s3.3), always in UTC.
std::string format_date(Timestamp time);

struct Received {
    std::string helo;       ///< what the client called itself; empty: left out
    std::string peer;       ///< its address as text ("192.0.2.1", "2001:db8::1"), empty for a local socket
    std::string by;         ///< our host name
    std::string with;       ///< "ESMTPS", "LMTP", "UTF8SMTPS", ... (IANA mail parameters)
    std::string tls;        ///< "TLSv1.3 with cipher ..." as a comment, or empty
    std::string id;         ///< our id of the transaction, as in the log
    std::string recipient;  ///< the `for` clause; empty when there is more than one recipient (RFC 5321 s7.6)
    Timestamp time{};
};
/// `Received: from ...;\r\n date\r\n`, folded under 78 columns where it can be. Anything unfit for a header in the
/// parts (controls, CR, LF, parentheses in comments) is replaced by "?".
std::string format_received(const Received& received);

/// `Return-Path: <reverse-path>\r\n` (RFC 5321 s4.4); "" is the null reverse-path: `<>`.
std::string format_return_path(std::string_view reverse_path);
/// `Delivered-To: address\r\n` (RFC 9228).
std::string format_delivered_to(std::string_view address);

}  // namespace poplar::mail
