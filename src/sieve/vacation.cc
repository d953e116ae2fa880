// RFC 5230, RFC 6131; and what they share with notify: whose the script is, and copies of what is sent (RFC 8580).
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/address_list.h"
#include "sieve/compose.h"
#include "sieve/constants.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

/// RFC 5230 s4.6: programs, which nobody answers.
bool is_program(std::string_view address) {
    const auto local = address.substr(0, address.rfind('@'));
    for (const auto known : {"mailer-daemon", "listserv", "majordomo"})
        if (ascii::same(local, known)) return true;
    return ascii::starts_with(local, "owner-") ||
           (local.size() >= 8 && ascii::same(local.substr(local.size() - 8), "-request"));
}

std::string without_detail(std::string_view address, char separator) {
    const auto at = address.rfind('@');
    if (at == std::string_view::npos) return std::string(address);
    const auto detail = address.substr(0, at).find(separator, 1);
    if (detail == std::string_view::npos) return std::string(address);
    return std::string(address.substr(0, detail)) + std::string(address.substr(at));
}

}  // namespace

/// The account's address that the message names, or else its first.
std::string Machine::own_address() const {
    const auto& own = job_.environment.addresses;
    for (const auto& field : original_) {
        if (!ascii::same(field.name, "to") && !ascii::same(field.name, "cc")) continue;
        for (const auto& one : mail::parse_address_list(field.unfolded(), 1000)) {
            const auto address = fmt::format("{}@{}", one.local, one.domain);
            for (const auto& mine : own)
                if (ascii::same(mine, address)) return mine;
        }
    }
    return own.empty() ? job_.envelope.to : own.front();
}

std::string Machine::message_id(std::string_view salt) const {
    const auto key = memory_key(
        "id", {salt, job_.envelope.from, job_.envelope.to, job_.message.substr(0, 8192),
               std::to_string(job_.environment.now.time_since_epoch().count()), std::to_string(out_.actions.size())});
    const auto host = job_.environment.host.empty() ? "localhost" : job_.environment.host;
    return fmt::format("<{}@{}>", key.substr(key.rfind('/') + 1), host);
}

/// Whether the message is one that somebody wrote to the account's owner (RFC 5230 s4.5 and s4.6, RFC 3834 s2).
bool Machine::answers(const Node& node) {
    const auto& from = job_.envelope.from;
    if (from.empty() || from.find('@') == std::string::npos || is_program(from)) return false;
    std::vector<std::string> own = job_.environment.addresses;
    own.push_back(job_.envelope.to);
    if (job_.envelope.original_to) own.push_back(*job_.envelope.original_to);
    const auto is_own = [&](std::string_view address) {
        const auto plain = without_detail(address, job_.environment.detail_separator);
        return std::ranges::any_of(
            own, [&](const auto& mine) { return ascii::same(mine, address) || ascii::same(mine, plain); });
    };
    if (is_own(from)) return false;
    if (const auto* given = node.tag(Tag::addresses))
        for (const auto& text : given->strings)
            if (const auto address = parse_one_address(expand(text))) own.push_back(mail::to_string(*address));
    bool addressed = false;
    for (const auto& field : message_.fields()) {
        const auto name = ascii::to_lower(field.name);
        if (name.starts_with("list-")) {
            for (const auto known : {"list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-post",
                                     "list-owner", "list-archive"})
                if (name == known) return false;
        } else if (name == "auto-submitted") {
            const auto value = field.unfolded();
            if (!ascii::same(ascii::trim(std::string_view(value).substr(0, value.find_first_of(";("))), "no"))
                return false;
        } else if (name == "precedence") {
            const auto value = field.unfolded();
            for (const auto known : {"bulk", "junk", "list"})
                if (ascii::same(value, known)) return false;
        } else if (name == "x-auto-response-suppress") {
            const auto value = ascii::to_lower(field.unfolded());
            if (value.find("all") != std::string::npos || value.find("oof") != std::string::npos) return false;
        } else if (!addressed && (name == "to" || name == "cc" || name == "bcc" || name == "resent-to" ||
                                  name == "resent-cc" || name == "resent-bcc")) {
            for (const auto& one : mail::parse_address_list(field.unfolded(), 1000))
                addressed |= is_own(fmt::format("{}@{}", one.local, one.domain));
        }
    }
    return addressed;
}

std::optional<Filing> Machine::fcc(const Node& node) {
    if (!node.has(Tag::fcc)) return std::nullopt;
    return filing(node, tag_value(node, Tag::fcc));
}

void Machine::vacation(const Node& node) {
    if (vacation_ran_) fail(node, "\"vacation\" runs twice");
    vacation_ran_ = true;
    charge(20 + message_.fields().size());
    const auto reason = expand_first(node.arguments[0]);
    const auto from = tag_value(node, Tag::from);
    if (node.has(Tag::from) && !is_one_address(from)) fail(node, fmt::format("\"{}\" is no address", from));
    auto lasts = options_.vacation_default;
    const auto bounded = [&](std::uint64_t number, std::chrono::seconds unit) {
        const auto most = static_cast<std::uint64_t>(options_.vacation_longest / unit);
        return unit * static_cast<std::int64_t>(std::min(number, most));
    };
    if (const auto* days = node.tag(Tag::days))
        lasts = bounded(std::max<std::uint64_t>(days->number, 1), std::chrono::days(1));
    if (const auto* seconds = node.tag(Tag::seconds)) lasts = bounded(seconds->number, std::chrono::seconds(1));
    auto copy = fcc(node);
    if (!answers(node)) return;

    // RFC 5230 s4.2: what is told apart is the text before variables are expanded.
    const auto source = [&](Tag tag) -> std::string_view {
        const auto* given = node.tag(tag);
        return given ? std::string_view(given->strings[0].source()) : std::string_view();
    };
    const auto sender = ascii::to_lower(job_.envelope.from);
    const auto key = node.has(Tag::handle)
                         ? memory_key("vacation", {"handle", tag_value(node, Tag::handle), sender})
                         : memory_key("vacation", {"text", node.has(Tag::subject) ? "subject" : "",
                                                   source(Tag::subject), node.has(Tag::from) ? "from" : "",
                                                   source(Tag::from), node.has(Tag::mime) ? "mime" : "",
                                                   node.arguments[0].strings[0].source(), sender});
    if (lasts > std::chrono::seconds(0)) {
        if (world_.remembers(key)) return;
        out_.memories.push_back({key, lasts, false});
    }
    Action action{.kind = Action::Kind::vacation};
    action.address = job_.envelope.from;
    action.recipients = {job_.envelope.from};
    action.text = reason;
    action.from = node.has(Tag::from) ? from : own_address();
    if (node.has(Tag::subject)) {
        action.subject = tag_value(node, Tag::subject);
    } else {
        const auto found = std::ranges::find_if(message_.fields(),
                                                [](const Field& field) { return ascii::same(field.name, "subject"); });
        action.subject = found == message_.fields().end() ? "Automated reply" : "Auto: " + found->value();
    }
    action.fcc = std::move(copy);
    spend(2 * reason.size());
    action.message = compose_answer({.from = action.from,
                                     .to = action.address,
                                     .subject = action.subject,
                                     .reason = reason,
                                     .date = format(DatePart::std11, now()),
                                     .id = message_id("vacation"),
                                     .mime = node.has(Tag::mime)},
                                    original_);
    add(node, std::move(action));
}

}  // namespace poplar::sieve
