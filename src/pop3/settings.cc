#include "pop3/settings.h"

#include <fmt/format.h>

#include "config/keys.h"
#include "config/value.h"
#include "directory/directory.h"
#include "pop3/session.h"
#include "pop3/texts.h"

namespace poplar::pop3 {

namespace {

config::Words<Language> languages() {
    config::Words<Language> words;
    for (const auto& language : kLanguages) words.emplace_back(language.tag, static_cast<Language>(words.size()));
    return words;
}

/// For text in a reply: at most 512 octets with what is around it (RFC 2449 s4), no "<" that announces APOP
/// (RFC 1939 s7), no "[" that begins a response code (RFC 2449 s8).
std::string check_reply_text(const std::string& text) {
    if (text.size() > 400) return "must have at most 400 octets";
    if (text.starts_with('[') || text.contains('<')) return "must not begin with \"[\" or contain \"<\"";
    return {};
}

config::Key expire(std::uint32_t& value, std::string words) {
    auto set = [&value](const config::Value& given) -> std::string {
        const auto* word = given.as<std::string>();
        const auto* days = given.as<std::int64_t>();
        if (word && *word == "never")
            value = directory::kNeverExpires;
        else if (days && *days >= 0 && *days <= 36'500)
            value = static_cast<std::uint32_t>(*days);
        else
            return "must be \"never\" or a number of days up to 36500";
        return {};
    };
    auto show = [&value] {
        return value == directory::kNeverExpires ? config::toml_text("never") : std::to_string(value);
    };
    return {"pop3.expire", std::move(words), {}, set, show};
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    using config::kMillion;
    using std::chrono::days;
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.choice<WithoutUtf8>(
        "pop3.without_utf8", options.without_utf8,
        config::Words<WithoutUtf8>{
            {"downgrade", WithoutUtf8::downgrade}, {"refuse", WithoutUtf8::refuse}, {"send", WithoutUtf8::send}},
        "The form in which a client that has not said `UTF8` gets a message with UTF-8 in its header: `\"downgrade\"`: "
        "the same "
        "in ASCII ([rfcs.md](../reference/rfcs.md)); `\"refuse\"`: `-ERR [UTF8]`; `\"send\"`: the message as it is, "
        "which "
        "RFC 6856 forbids.");
    keys.choice<Language>("pop3.language", options.language, languages(),
                          "The language of replies that `LANG *` chooses: `\"en\"`, `\"de\"`, `\"es\"`, `\"fr\"`, "
                          "`\"it\"` or `\"ja\"`. Until a client asks it is English.");
    keys.text("pop3.greeting", options.greeting, "Text behind `+OK` in the greeting. At most 400 octets, without `<`.",
              config::Empty::allowed, check_reply_text);
    keys.boolean(
        "pop3.apop", options.apop,
        "APOP for accounts with a shared secret: a timestamp in each greeting. Off: `APOP` is an unknown command.");
    keys.boolean("pop3.marks_seen", options.marks_seen,
                 "Marks what a session has retrieved as `\\Seen` for IMAP, when it ends. It costs a change of each "
                 "message. A device whose password is for reading only marks nothing.");
    keys.text("pop3.implementation", options.implementation, "The text of IMPLEMENTATION in CAPA. Empty: nothing.",
              config::Empty::allowed, check_reply_text);
    keys.add(expire(options.policy.expire_days,
                    "EXPIRE of CAPA, in days: a message is deleted so long after its arrival (within a day), and kept "
                    "for `storage.retention` like any deleted mail. `0`: QUIT deletes what the session retrieved. "
                    "`poplar user set ADDRESS --expire-days` sets an account's own."));
    keys.duration("pop3.login_delay", options.policy.login_delay, seconds(0), days(30),
                  "LOGIN-DELAY of CAPA: time between a login and the account's next. Earlier: `-ERR [LOGIN-DELAY]`. A "
                  "restart lets everybody in. `poplar user set ADDRESS --login-delay` sets an account's own.");
    keys.duration("pop3.login_idle", options.login_idle, seconds(1), hours(24),
                  "For one command before the login; then closed.");
    keys.duration("pop3.login_total", options.login_total, seconds(1), hours(24), "For the whole login; then closed.");
    keys.duration("pop3.transaction_idle", options.transaction_idle, minutes(10), hours(24),
                  "For one command after it; then closed, nothing is deleted. At least 10 minutes (RFC 1939 s3).");
    keys.duration("pop3.tls_handshake", options.tls_handshake, seconds(1), hours(1),
                  "For the handshake after STLS; then closed.");
    keys.number("pop3.line_limit", options.line_limit, 255, 65'536,
                "Octets of a command with its line end; longer: `-ERR`. `PASS` takes a password of 248 octets, `AUTH` "
                "longer ones. `AUTH` itself may be as long as `pop3.response_limit`.");
    keys.number("pop3.response_limit", options.response_limit, 1024, 65'536,
                "Octets of a line within AUTH; longer: `-ERR`.");
    keys.size("pop3.listing_cache", options.listing_cache, 0, config::Keys::kMostOctets,
              "Memory for `LIST` and `UIDL` answers, kept for the next poll of the maildrop: what came since is added. "
              "One takes half of it at most; a line about 25 octets. `0`: none are kept.");
    keys.number("pop3.bad_commands", options.bad_commands, 1, kMillion,
                "Commands that make no sense; the last is answered `-ERR` and closes.");
    keys.number("pop3.login_failures", options.login_failures, 1, kMillion,
                "Failed logins on a connection; the last closes.");
}

}  // namespace poplar::pop3
