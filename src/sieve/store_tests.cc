// Tests of what is around the message: the account's mailboxes and what is remembered, the server, scores, lists.
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "sieve/compose.h"
#include "sieve/constants.h"
#include "sieve/machine.h"
#include "sieve/notify_method.h"

namespace poplar::sieve {

/// RFC 7352. The answer is that of earlier runs: what this one remembers counts for later ones.
bool Machine::duplicate(const Node& node) {
    std::string id;
    if (node.has(Tag::uniqueid)) {
        id = tag_value(node, Tag::uniqueid);
    } else {
        const auto name = node.has(Tag::header) ? tag_value(node, Tag::header) : "message-id";
        if (!is_field_name(name)) return false;
        const auto found =
            std::ranges::find_if(message_.fields(), [&](const Field& field) { return ascii::same(field.name, name); });
        if (found == message_.fields().end()) return false;
        id = value_of(*found);
    }
    auto lasts = options_.duplicate_default;
    if (const auto* seconds = node.tag(Tag::seconds)) {
        if (seconds->number == 0) return false;
        const auto longest = static_cast<std::uint64_t>(options_.duplicate_longest.count());
        lasts = std::chrono::seconds(std::min(seconds->number, longest));
    }
    if (id.empty() && !node.has(Tag::uniqueid)) return false;
    const auto key = memory_key("duplicate", {node.has(Tag::handle) ? "handle" : "", tag_value(node, Tag::handle), id});
    charge(20 + out_.memories.size() / 4);
    if (out_.memories.size() >= options_.actions) fail(node, "too many messages to be remembered (sieve.max_actions)");
    const bool known = world_.remembers(key);
    const bool renew = node.has(Tag::last);
    std::erase_if(out_.memories, [&](const Memory& one) { return one.key == key; });
    if (!known || renew) out_.memories.push_back({key, lasts, renew});
    return known;
}

bool Machine::environment(const Node& node) {
    const auto item = ascii::to_lower(expand_first(node.arguments[0]));
    const auto& keys = node.arguments[1].strings;
    const auto& known = job_.environment;
    std::optional<std::string> value;
    if (item == "domain") value = known.domain;
    if (item == "host") value = known.host;
    if (item == "location") value = "MDA";
    if (item == "name") value = "Poplar";
    if (item == "phase") value = "during";
    if (item == "remote-host") value = known.remote_host;
    if (item == "remote-ip") value = known.remote_ip;
    if (item == "version") value = known.version;
    if (!value) return false;  // RFC 5183 s4: an unknown item matches nothing
    if (node.match.type == Match::Type::count) return match_count(node, value->empty() ? 0 : 1, keys);
    return match_any(node, {*value}, keys);
}

bool Machine::metadata(const Node& node, bool of_server) {
    const std::size_t first = of_server ? 0 : 1;
    const auto annotation = expand_first(node.arguments[first]);
    const auto value =
        of_server ? world_.server_metadata(annotation) : world_.metadata(expand_first(node.arguments[0]), annotation);
    const auto& keys = node.arguments[first + 1].strings;
    if (node.match.type == Match::Type::count) return match_count(node, value ? 1 : 0, keys);
    return value && match_any(node, {*value}, keys);
}

bool Machine::metadata_exists(const Node& node, bool of_server) {
    const auto mailbox = of_server ? std::string() : expand_first(node.arguments[0]);
    for (const auto& annotation : expand(node.arguments[of_server ? 0 : 1].strings)) {
        const auto value = of_server ? world_.server_metadata(annotation) : world_.metadata(mailbox, annotation);
        if (!value) return false;
    }
    return true;
}

bool Machine::specialuse_exists(const Node& node) {
    const bool one_mailbox = node.arguments[0].given;
    const auto mailbox = one_mailbox ? expand_first(node.arguments[0]) : std::string();
    if (one_mailbox && !world_.has_mailbox(mailbox)) return false;
    for (const auto& use : expand(node.arguments[1].strings)) {
        const auto found = world_.mailboxes_for(use);
        if (found.empty()) return false;
        if (one_mailbox && std::ranges::find(found, mailbox) == found.end()) return false;
    }
    return true;
}

/// RFC 5235. Without :percent, 1 is free of spam and 10 is nothing else.
bool Machine::score(const Node& node) {
    const auto& percent = job_.environment.spam_percent;
    const auto& keys = node.arguments[0].strings;
    const bool spam = node.op == Op::spamtest;
    const bool tested = spam ? percent.has_value() : job_.environment.virus.has_value();
    if (node.match.type == Match::Type::count) return match_count(node, tested ? 1 : 0, keys);
    unsigned value = 0;
    if (tested && !spam) value = std::min(*job_.environment.virus, 5u);
    if (tested && spam) {
        const auto bounded = std::min(*percent, 100u);
        value = node.has(Tag::percent) ? bounded : 1 + bounded * 9 / 100;
    }
    return match_any(node, {std::to_string(value)}, keys);
}

bool Machine::notify_method_capability(const Node& node) {
    const auto& keys = node.arguments[2].strings;
    const auto capability = expand_first(node.arguments[1]);
    if (!parse_notify_method(expand_first(node.arguments[0]))) return false;
    std::string value;
    if (ascii::same(capability, "online"))
        value = "maybe";  // RFC 5436 s2.8
    else if (ascii::same(capability, "fcc"))
        value = "yes";  // RFC 8580 s6.1
    else
        return false;
    if (node.match.type == Match::Type::count) return match_count(node, 1, keys);
    return match_any(node, {value}, keys);
}

/// RFC 6134 s2.5: the short form is made a long one, and the name of the default list has one spelling.
std::string Machine::list_name(std::string_view name) {
    constexpr std::string_view kPrefix = "urn:ietf:params:sieve:";
    std::string out = name.starts_with(':') ? std::string(kPrefix) + std::string(name.substr(1)) : std::string(name);
    if (!ascii::starts_with(out, kPrefix)) return out;
    std::string decoded;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto digits = out.substr(i + 1, 2);
        if (out[i] == '%' && digits.size() == 2 &&
            digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
            decoded += static_cast<char>(std::stoi(digits, nullptr, 16));
            i += 2;
        } else {
            decoded += out[i];
        }
    }
    constexpr std::string_view kBook = "urn:ietf:params:sieve:addrbook:";
    if (!ascii::starts_with(decoded, kBook)) return decoded;
    auto book = decoded.substr(kBook.size());
    if (ascii::same(book, "default")) book = "default";
    return std::string(kBook) + book;
}

}  // namespace poplar::sieve
