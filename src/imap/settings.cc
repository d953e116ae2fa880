#include "imap/settings.h"

#include "config/keys.h"
#include "imap/session.h"

namespace poplar::imap {

namespace {

/// For text in a response: no line's end, and no "[" that begins a response code (RFC 9051 s7.1).
std::string check_greeting(const std::string& text) {
    if (text.empty() || text.size() > 400) return "must have 1 to 400 octets";
    for (char c : text)
        if (c < ' ' || c > '~') return "must be printable ASCII";
    return text.starts_with('[') ? "must not begin with \"[\"" : std::string();
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    using config::kMillion;
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.text("imap.greeting", options.greeting, "Text at the end of the greeting. At most 400 octets of ASCII.",
              config::Empty::refused, check_greeting);
    keys.duration("imap.login_idle", options.login_idle, seconds(1), hours(24),
                  "For one command before the login; then closed.");
    keys.duration("imap.login_total", options.login_total, seconds(1), hours(24), "For the whole login; then closed.");
    keys.duration("imap.idle", options.idle, minutes(30), hours(24),
                  "For one command after it, `IDLE` too; then `BYE`. At least 30 minutes (RFC 9051 s5.4).");
    keys.duration("imap.tls_handshake", options.tls_handshake, seconds(1), hours(1),
                  "For the handshake after STARTTLS; then closed.");
    keys.size("imap.login_limit", options.login_limit, 8192, 1u << 20,
              "Octets of a command before the login, with its literals. A longer line: `BYE`; a longer literal: `NO`.");
    keys.size("imap.command_limit", options.command_limit, 64u << 10, 256u << 20,
              "Octets of a command after the login, with its literals, the message of an `APPEND` aside (that is "
              "`limits.message_size`'s). Some clients name each UID of a large mailbox, which takes 2 MB. A longer "
              "line: `BYE`; a longer literal: `NO`.");
    keys.boolean("imap.compression", options.compression,
                 "Offers `COMPRESS=DEFLATE`. A session that asks for it holds about 110 KB more.");
    keys.number(
        "imap.search_threads", options.search_threads, 0, 1024,
        "Threads that look through messages for `SEARCH`'s `BODY`, `TEXT` and `HEADER`. `0`: as many as half of the "
        "processors.");
    keys.duration(
        "imap.progress", options.progress, seconds(0), minutes(10),
        "A command that works for longer says how far it is (`INPROGRESS`), and again after as long. `\"0s\"`: "
        "after each step.");
    keys.number("imap.bad_commands", options.bad_commands, 1, kMillion,
                "Commands that make no sense; the last is answered `BYE` and closes.");
    keys.number("imap.login_failures", options.login_failures, 1, kMillion,
                "Failed logins on a connection; the last closes.");
}

}  // namespace poplar::imap
