#include "sieve/notify_method.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.h"
#include "sieve/constants.h"

namespace poplar::sieve {

namespace {

std::optional<unsigned> hex(char c) {
    if (ascii::is_digit(c)) return static_cast<unsigned>(c - '0');
    const char l = ascii::lower(c);
    if (l >= 'a' && l <= 'f') return static_cast<unsigned>(l - 'a' + 10);
    return std::nullopt;
}

/// Without its percent-encoding; nothing: that is wrong, or no UTF-8.
std::optional<std::string> decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            if (static_cast<unsigned char>(text[i]) <= 0x20) return std::nullopt;
            out += text[i];
            continue;
        }
        const auto high = i + 2 < text.size() ? hex(text[i + 1]) : std::nullopt;
        const auto low = i + 2 < text.size() ? hex(text[i + 2]) : std::nullopt;
        if (!high || !low) return std::nullopt;
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    if (!mail::is_utf8(out) || out.find('\0') != std::string::npos) return std::nullopt;
    return out;
}

bool add_addresses(std::vector<mail::Address>& out, std::string_view encoded) {
    while (!encoded.empty()) {
        const auto comma = encoded.find(',');
        const auto one = decode(encoded.substr(0, comma));
        auto address =
            one ? mail::parse_address(*one, mail::Grammar::tolerant) : Result<mail::Address>(fail(Errc::invalid, ""));
        if (!address) return false;
        if (std::ranges::find(out, *address) == out.end()) out.push_back(std::move(*address));
        encoded.remove_prefix(comma == std::string_view::npos ? encoded.size() : comma + 1);
    }
    return true;
}

/// RFC 5436 s2.7: fields that a URI may not set.
bool is_unsafe(std::string_view name) {
    constexpr std::array<std::string_view, 12> kUnsafe = {"from",
                                                          "auto-submitted",
                                                          "received",
                                                          "date",
                                                          "message-id",
                                                          "sender",
                                                          "return-path",
                                                          "references",
                                                          "mime-version",
                                                          "content-type",
                                                          "content-transfer-encoding",
                                                          "in-reply-to"};
    return std::ranges::any_of(kUnsafe, [&](auto other) { return ascii::same(other, name); }) ||
           ascii::starts_with(name, "resent-");
}

}  // namespace

std::expected<NotifyMethod, std::string> parse_notify_method(std::string_view uri) {
    const auto wrong = [&](std::string_view why) {
        return std::unexpected(fmt::format("\"{}\" is no way to notify: {}", uri, why));
    };
    if (!ascii::starts_with(uri, "mailto:")) return wrong("only mailto: is known");
    auto rest = uri.substr(7);
    if (rest.find('#') != std::string_view::npos) return wrong("it has no fragment");
    const auto question = rest.find('?');
    NotifyMethod method;
    if (!add_addresses(method.to, rest.substr(0, question))) return wrong("an address in it is malformed");
    rest = question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
    while (!rest.empty()) {
        const auto end = rest.find('&');
        const auto pair = rest.substr(0, end);
        const auto equals = pair.find('=');
        const auto name = equals == std::string_view::npos ? std::nullopt : decode(pair.substr(0, equals));
        if (!name || !is_field_name(*name)) return wrong("a header field in it is malformed");
        const auto encoded = pair.substr(equals + 1);
        if (ascii::same(*name, "to") || ascii::same(*name, "cc") || ascii::same(*name, "bcc")) {
            auto& list = ascii::same(*name, "to") ? method.to : ascii::same(*name, "cc") ? method.cc : method.bcc;
            if (!add_addresses(list, encoded)) return wrong("an address in it is malformed");
        } else {
            auto value = decode(encoded);
            if (!value) return wrong("a header field in it is malformed");
            if (ascii::same(*name, "body")) {
                method.body = std::move(*value);
            } else if (value->find_first_of("\r\n") != std::string::npos) {
                return wrong("a header field in it has several lines");
            } else if (ascii::same(*name, "subject")) {
                method.subject = std::move(*value);
                method.has_subject = true;
            } else if (!is_unsafe(*name)) {
                method.fields.emplace_back(std::move(*name), std::move(*value));
            }
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (method.to.empty() && method.cc.empty() && method.bcc.empty()) return wrong("it names nobody");
    return method;
}

}  // namespace poplar::sieve
