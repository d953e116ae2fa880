#include "sieve/constants.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "mail/address_list.h"
#include "mail/date.h"

namespace poplar::sieve {

bool is_field_name(std::string_view name) {
    if (name.empty()) return false;
    return std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}

bool may_hold_addresses(std::string_view field) {
    constexpr std::array<std::string_view, 25> kOthers = {"subject",
                                                          "date",
                                                          "message-id",
                                                          "received",
                                                          "comments",
                                                          "keywords",
                                                          "in-reply-to",
                                                          "references",
                                                          "resent-date",
                                                          "resent-message-id",
                                                          "mime-version",
                                                          "content-type",
                                                          "list-id",
                                                          "precedence",
                                                          "priority",
                                                          "importance",
                                                          "user-agent",
                                                          "x-mailer",
                                                          "x-spam-flag",
                                                          "x-spam-score",
                                                          "x-priority",
                                                          "content-transfer-encoding",
                                                          "content-disposition",
                                                          "content-description",
                                                          "dkim-signature"};
    return std::ranges::none_of(kOthers, [&](auto other) { return ascii::same(other, field); });
}

std::optional<EnvelopePart> find_envelope_part(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, EnvelopePart>, 11> kParts = {{
        {"from", EnvelopePart::from},
        {"to", EnvelopePart::to},
        {"auth", EnvelopePart::auth},
        {"notify", EnvelopePart::notify},
        {"orcpt", EnvelopePart::orcpt},
        {"ret", EnvelopePart::ret},
        {"envid", EnvelopePart::envid},
        {"bytimeabsolute", EnvelopePart::bytimeabsolute},
        {"bytimerelative", EnvelopePart::bytimerelative},
        {"bymode", EnvelopePart::bymode},
        {"bytrace", EnvelopePart::bytrace},
    }};
    for (const auto& [known, part] : kParts)
        if (ascii::same(known, name)) return part;
    return std::nullopt;
}

std::optional<std::chrono::minutes> parse_zone(std::string_view text) { return mail::parse_zone(text); }

std::optional<mail::Address> parse_one_address(std::string_view text) {
    auto list = mail::parse_address_list(text);
    if (list.size() != 1) return std::nullopt;
    auto address = mail::to_address(list.front());
    if (!address || address->domain.empty()) return std::nullopt;
    return std::move(*address);
}

std::string wrong_importance(std::string_view text) {
    if (text == "1" || text == "2" || text == "3") return {};
    return fmt::format("an importance is \"1\", \"2\" or \"3\", not \"{}\"", text);
}

std::string wrong_notify_conditions(std::string_view text) {
    if (ascii::same(text, "never")) return {};
    for (bool more = true; more;) {
        const auto comma = text.find(',');
        const auto word = text.substr(0, comma);
        if (!ascii::same(word, "success") && !ascii::same(word, "failure") && !ascii::same(word, "delay"))
            return fmt::format("\"{}\" is not NEVER, nor a list of SUCCESS, FAILURE and DELAY", word);
        more = comma != std::string_view::npos;
        if (more) text.remove_prefix(comma + 1);
    }
    return {};
}

std::string wrong_ret(std::string_view text) {
    if (ascii::same(text, "full") || ascii::same(text, "hdrs")) return {};
    return fmt::format(":ret is \"FULL\" or \"HDRS\", not \"{}\"", text);
}

std::string wrong_by_mode(std::string_view text) {
    if (ascii::same(text, "notify") || ascii::same(text, "return")) return {};
    return fmt::format(":bymode is \"notify\" or \"return\", not \"{}\"", text);
}

std::string wrong_option(std::string_view text) {
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    const auto allowed = [](char c) { return ascii::is_alnum(c) || c == '.' || c == '-' || c == '_'; };
    if (equals == std::string_view::npos || name.empty() || !ascii::is_alnum(name.front()) ||
        !std::ranges::all_of(name, allowed) || text.find_first_of("\r\n", equals) != std::string_view::npos)
        return fmt::format("\"{}\" is no option, which has the form name=value", text);
    return {};
}

std::string wrong_mailbox(std::string_view name) {
    if (name.empty()) return "a mailbox has a name";
    if (name.size() > 1000) return "the name of the mailbox is too long";
    if (!mail::is_utf8(name)) return "the name of a mailbox is UTF-8";
    if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return "the name of a mailbox has no control characters";
    return {};
}

std::string wrong_header_value(std::string_view text) {
    if (!mail::is_utf8(text)) return "a field's value is UTF-8";
    if (text.find('\0') != std::string_view::npos) return "a field's value has no NUL";
    return {};
}

}  // namespace poplar::sieve
