#include "smtp/settings.h"

#include "config/keys.h"
#include "net/settings.h"
#include "smtp/session.h"

namespace poplar::smtp {

void add_settings(config::Keys& keys, const std::string& section, Options& options,
                  std::vector<std::string>& xclient_networks) {
    using config::kMillion;
    using std::chrono::hours;
    using std::chrono::seconds;
    auto key = [&section](const char* name) { return section + "." + name; };
    const config::Words<mail::BareNewlines> words = {{"reject", mail::BareNewlines::reject},
                                                     {"normalize", mail::BareNewlines::normalize}};
    keys.text(key("greeting"), options.greeting, "Text behind the host name in the greeting. Empty: the usual.");
    keys.choice<mail::BareNewlines>(
        key("bare_newlines"), options.bare_newlines, words,
        "A bare LF or CR in what follows `DATA`: `reject` (`554 5.6.0`, and the connection takes no more mail) or "
        "`normalize` (LF becomes CRLF, CR a space). Servers that read such messages in different ways let mail be "
        "smuggled: `normalize` is for networks where only your own devices reach this port. In `BDAT` chunks, whose "
        "octets are counted, both are always normalized. An LMTP client has taken the message already: there a refusal "
        "only makes a bounce.");
    keys.boolean(key("bare_lf_commands"), options.bare_lf_commands,
                 "Whether a bare LF ends a command, for old devices. Otherwise only CRLF does (RFC 5321 s2.3.8); a "
                 "line with a bare LF or CR in it: `500 5.5.2`, and the connection takes no more mail.");
    net::add_networks(keys, key("xclient_networks"), xclient_networks,
                      "Front servers (networks as in `[proxy_protocol]`) that may say with XCLIENT who their client "
                      "is. See [above](#xclient). Others: `550 5.7.0`.");
    keys.number(key("line_octets"), options.limits.line_octets, 512, 65'536,
                "Octets of a command; longer: `500 5.5.2`.");
    keys.number(key("recipients"), options.limits.recipients, 100, 100'000,
                "Recipients of a message; more: `452 4.5.3`.");
    keys.number(key("accounts"), options.limits.accounts, 1, kMillion,
                "Accounts, and addresses elsewhere, that they may lead to through aliases; more: `452 4.5.3`.");
    keys.number(key("messages"), options.limits.messages, 1, kMillion, "Messages on a connection; then `421`.");
    keys.number(key("bad_commands"), options.limits.bad_commands, 1, kMillion,
                "Commands that make no sense; then `421`.");
    keys.number(key("idle_commands"), options.limits.idle_commands, 1, kMillion,
                "Commands between messages that lead nowhere (NOOP, RSET, VRFY, ...); then `421`.");
    keys.number(key("logged_refusals"), options.limits.logged_refusals, 0, kMillion,
                "So many refused recipients of a connection have a line in the log; `smtp.end` has their number.");
    keys.duration(key("command_timeout"), options.timeouts.command, seconds(1), hours(24),
                  "For one command; then `421` and closed.");
    keys.duration(key("data_timeout"), options.timeouts.data_block, seconds(1), hours(24),
                  "Between two parts of a message; then `421` and closed.");
    keys.size(key("data_rate"), options.timeouts.data_rate, 0, config::Keys::kMostOctets,
              "Octets a second of a message. A client that sends less gets `421` once it has used up `" + section +
                  ".data_timeout` in all; what it sends earns time at this rate. `0`: any octet counts as enough.");
    keys.duration(key("message_timeout"), options.timeouts.message, seconds(1), hours(24),
                  "For a whole message; then `421` and closed.");
    keys.duration(key("tls_handshake"), options.timeouts.handshake, seconds(1), hours(24),
                  "For the handshake after STARTTLS; then closed.");
}

void add_settings_for_submission(config::Keys& keys, Options& options) {
    keys.number("submission.login_failures", options.limits.login_failures, 1, 1000,
                "Wrong logins on a connection; then `421`.");
    keys.boolean("submission.show_client", options.show_client,
                 "Whether `Received` tells the name and address that the client had. It says where somebody is.");
    keys.duration("submission.longest_hold", options.longest_hold, std::chrono::seconds(0), std::chrono::days(365),
                  "How long a client may have a message kept back (FUTURERELEASE); longer: `501 5.5.4`. `\"0s\"`: not "
                  "offered.");
}

void add_settings_for_strangers(config::Keys& keys, const std::string& section, Options& options,
                                std::uint32_t& unknown_recipients_per_peer, std::string& ciphers) {
    using config::kMillion;
    auto key = [&section](const char* name) { return section + "." + name; };
    keys.number(key("unknown_recipients"), options.limits.unknown_recipients, 1, kMillion,
                "Unknown recipients on a connection, against address harvesting; then `421`.");
    keys.number(
        key("unknown_recipients_per_peer"), unknown_recipients_per_peer, 1, kMillion,
        "Unknown recipients from one address (IPv6: its /64) in an hour, on all its connections; then each recipient "
        "waits a second, later two, four and up to 30, all of that address in one row. With 30 seconds of waiting "
        "before it: `421`. Each recipient that gets a message makes up for one. This machine is exempt.");
    keys.duration("checks.greeting_delay", options.greeting_delay, std::chrono::seconds(0), std::chrono::minutes(1),
                  "How long a client has to wait for the greeting. One that speaks before gets `554 5.5.1`, and "
                  "`smtp.early` in the log. This machine is exempt. `\"0s\"`: off.");
    keys.number(key("refused_recipients"), options.limits.refused_recipients, 1, kMillion,
                "Recipients refused on a connection, for whatever reason; then `421`.");
    keys.text(key("tls_ciphers"), ciphers,
              "As `tls.ciphers`, for STARTTLS of SMTP. Empty: those, and behind them ECDHE with AES-CBC. It is wider, "
              "because a server that gets no TLS sends in the clear or not at all: Windows Server 2012 R2 has nothing "
              "better with an RSA certificate. A failed handshake: `smtp.tls_failed` in the log, with peer and reason.")
        .live("tls");
}

}  // namespace poplar::smtp
