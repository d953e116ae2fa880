#include "delivery/settings.h"

#include "config/keys.h"
#include "delivery/delivery.h"
#include "mail/address.h"

namespace poplar::delivery {

namespace {

std::string check_domain(const std::string& text) {
    if (text.empty() || mail::parse_address("a@" + text)) return {};
    return "must be a domain";
}

std::string check_account(const std::string& text) {
    if (text == "*" || (text.starts_with('@') && mail::parse_address("a" + text)) || mail::parse_address(text))
        return {};
    return "must be an address, @DOMAIN or *";
}

}  // namespace

void add_settings(config::Keys& keys, Limits& limits) {
    using config::kMillion;
    keys.boolean("addresses.detail_files", limits.detail_files,
                 "Mail to `jane+Work@` goes to the mailbox `Work` if `jane@` has one, else to INBOX; no mailbox is "
                 "ever made for it. An alias may lead to `jane+work@` as well; its targets are in lower case unless "
                 "local parts keep theirs.");
    keys.texts("submission.copy_to_sent", limits.copy_to_sent, "addresses like [\"robot@example.com\"]", check_account,
               "Accounts whose sent mail is kept in their mailbox `Sent`, for programs that do not do that themselves: "
               "`[\"robot@example.com\", \"@example.com\"]`; `[\"*\"]`: all.");
    auto& filter = limits.filter;
    auto& script = filter.sieve;
    keys.size("sieve.max_script", script.script_octets, 1000, 1u << 20, "Octets of a filter script.");
    keys.number("sieve.max_scripts", filter.scripts, 1, 900,
                "Scripts of an account; and of the administrator's library.");
    keys.number("sieve.max_nesting", script.nesting, 30, 100, "Blocks and tests within each other in a script.");
    keys.number("sieve.max_strings", script.strings, 100, kMillion, "Strings in a script.");
    keys.number("sieve.max_commands", script.commands, 100, kMillion, "Commands and tests in a script.");
    keys.number("sieve.max_regexes", script.regexes, 0, 1000,
                "Regular expressions in a script, 200 KB of memory each.");
    keys.number("sieve.max_instructions", script.instructions, 10'000, 1'000'000'000,
                "The work that a script may do for one message, in steps of about 20 nanoseconds. One that needs more "
                "fails, and "
                "the message is kept in INBOX.");
    keys.size("sieve.max_memory", script.memory, 1u << 20, 1u << 30,
              "Octets that a script may take for one message, beside it.");
    keys.number("sieve.max_variables", script.variables, 128, 100'000, "Variables of a script (RFC 5229 s6).");
    keys.size("sieve.max_variable", script.variable_octets, 4000, 16u << 20,
              "Octets of a variable; a longer value is cut there.");
    keys.number("sieve.max_includes", script.includes, 0, 10'000, "Scripts that a script includes, all together.");
    keys.number("sieve.max_include_depth", script.include_depth, 3, 100, "Scripts that include one another.");
    keys.number("sieve.max_redirects", script.redirects, 0, 1000, "Addresses that a script sends a message on to.");
    keys.number("sieve.max_notifications", script.notifications, 0, 1000, "Notifications that a message leads to.");
    keys.number("sieve.max_actions", script.actions, 1, 10'000, "Actions that a script takes for one message.");
    keys.number("sieve.max_flags", script.flags, 10, 10'000, "Flags of a message; more are left out.");
    keys.size(
        "sieve.max_body", filter.body_octets, 64 * 1024, 1u << 30,
        "Octets of a message that tests of its body and its parts look at. `replace` and `enclose` fail on a larger "
        "one.");
    keys.boolean("sieve.create_mailboxes", filter.create_mailboxes,
                 "`fileinto` makes a mailbox that is not there, as with `:create`; else the message goes to INBOX.");
    keys.size("sieve.script_cache", filter.script_cache, 0, 1u << 30, "Octets of compiled scripts that are kept.");
    auto& forward = limits.forward;
    keys.text("forward.srs_domain", forward.srs_domain,
              "A domain of this server: mail that goes on by an alias, `redirect` or `poplar forward` gets a sender of "
              "this domain, and bounces to that go to the first sender. It needs an MX record that leads here and an "
              "SPF record; it need not be a domain with accounts. Empty: senders stay as they are.",
              config::Empty::allowed, check_domain);
    keys.path("forward.srs_secret_file", forward.srs_secret_file,
              "The key of those senders; made if it is not there. Several servers of one domain have the same. Empty: "
              "`srs-secret` in the data directory.",
              config::Empty::allowed);
    keys.duration("forward.srs_lifetime", forward.srs_lifetime, std::chrono::days(1), std::chrono::days(500),
                  "How long a bounce finds its way back.");
    keys.size("limits.message_size", limits.message_octets, 1000, std::uint64_t(4) << 30,
              "Octets of a message. Announced as SIZE; larger: `552 5.3.4`.");
    keys.number("limits.hops", limits.hops, 1, 10'000, "`Received` fields in a message; more is a loop: `554 5.4.6`.");
    keys.size("limits.header_size", limits.header_octets, 1000, 64u << 20, "Octets of a header; more: `554 5.6.0`.");
    keys.number("limits.header_fields", limits.header_fields, 10, kMillion, "Fields of a header; more: `554 5.6.0`.");
}

}  // namespace poplar::delivery
