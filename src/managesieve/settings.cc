#include "managesieve/settings.h"

#include "config/keys.h"
#include "managesieve/session.h"

namespace poplar::managesieve {

namespace {

std::string check_implementation(const std::string& text) {
    if (text.size() > 400) return "must have at most 400 octets";
    return {};
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    using config::kMillion;
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.text("managesieve.implementation", options.implementation, "The capability IMPLEMENTATION.",
              config::Empty::refused, check_implementation);
    keys.duration("managesieve.login_idle", options.login_idle, seconds(1), hours(24),
                  "For one command before the login; then closed.");
    keys.duration("managesieve.login_total", options.login_total, seconds(1), hours(24),
                  "For the whole login; then closed.");
    keys.duration("managesieve.idle", options.idle, minutes(30), hours(24),
                  "For one command after it; then `BYE`. At least 30 minutes (RFC 5804 s1.2).");
    keys.duration("managesieve.script_time", options.script_time, seconds(1), hours(24),
                  "For the octets of one script, from the first to the last; then closed.");
    keys.duration("managesieve.tls_handshake", options.tls_handshake, seconds(1), hours(1),
                  "For the handshake after STARTTLS; then closed.");
    keys.number("managesieve.line_limit", options.line_limit, 4096, 65'536,
                "Octets of a line with its end; longer: `BYE`, because nobody knows where the next command begins. "
                "A script in a literal is no line: `sieve.max_script` bounds it.");
    keys.size("managesieve.response_limit", options.response_limit, 1024, 65'536,
              "Octets of a literal before the login; larger: `NO`, and over 64 KB `BYE`.");
    keys.number("managesieve.bad_commands", options.bad_commands, 1, kMillion,
                "Commands that make no sense; the last is answered `BYE`.");
    keys.number("managesieve.login_failures", options.login_failures, 1, kMillion,
                "Failed logins on a connection; the last is answered `BYE`.");
}

}  // namespace poplar::managesieve
