// The parameters behind a path in MAIL and RCPT (RFC 5321 s4.1.2): SIZE, BODY, RET, ENVID, SMTPUTF8, REQUIRETLS,
// NOTIFY, ORCPT.
#include "smtp/parameters.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace poplar::smtp {

namespace {

using replies::kBadParameter;

constexpr std::size_t kEnvidLimit = 100;  // xtext characters, RFC 3461 s4.4
constexpr std::size_t kOrcptLimit = 500;  // RFC 3461 s4.2

bool is_8bit(char c) { return static_cast<unsigned char>(c) > 0x7f; }

// RFC 5321 s4.1.2 esmtp-keyword.
bool is_keyword(std::string_view text) {
    return !text.empty() && ascii::is_alnum(text.front()) &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alnum(c) || c == '-'; });
}

// RFC 5321 s4.1.2 esmtp-value, with UTF-8 as RFC 6531 s3.3 extends it.
bool is_value(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return (c > 32 && c < 127 && c != '=') || is_8bit(c); });
}

struct Parameter {
    std::string_view keyword, value;
    bool has_value = false;
};

// Calls `take` for each parameter in turn; a keyword may stand only once.
template <class Take>
std::expected<void, Reply> each_parameter(std::string_view text, Take take) {
    std::vector<std::string_view> seen;
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        if (text.empty()) return {};
        auto token = text.substr(0, text.find(' '));
        text.remove_prefix(token.size());
        auto equals = token.find('=');
        Parameter parameter{token.substr(0, equals), {}, equals != token.npos};
        if (parameter.has_value) parameter.value = token.substr(equals + 1);
        if (!is_keyword(parameter.keyword)) return std::unexpected(kBadParameter);
        if (parameter.has_value && !is_value(parameter.value)) return std::unexpected(kBadParameter);
        if (std::ranges::any_of(seen, [&](auto s) { return ascii::same(s, parameter.keyword); }))
            return std::unexpected(kBadParameter);
        seen.push_back(parameter.keyword);
        if (auto taken = take(parameter); !taken) return taken;
    }
}

std::expected<void, Reply> take_size(Parameter p, Mail& mail) {
    if (p.value.size() > 20) return std::unexpected(kBadParameter);  // RFC 1870 s3: 1*20DIGIT
    mail.size = parse_number(p.value);
    if (mail.size) return {};
    // Twenty digits may be more than 2^64: a number, but surely too large.
    if (p.value.empty() || !std::ranges::all_of(p.value, ascii::is_digit)) return std::unexpected(kBadParameter);
    return std::unexpected(replies::kTooLarge);
}

std::expected<void, Reply> take_body(Parameter p, Mail& mail) {
    if (!p.has_value) return std::unexpected(kBadParameter);
    if (ascii::same(p.value, "7BIT"))
        mail.body = Mail::Body::seven_bit;
    else if (ascii::same(p.value, "8BITMIME"))
        mail.body = Mail::Body::eight_bit;
    else
        return std::unexpected(replies::kUnsupportedValue);  // BINARYMIME (RFC 3030 s3) is not offered
    return {};
}

std::expected<void, Reply> take_ret(Parameter p, Mail& mail) {
    if (ascii::same(p.value, "FULL"))
        mail.ret = Mail::Return::full;
    else if (ascii::same(p.value, "HDRS"))
        mail.ret = Mail::Return::headers;
    else
        return std::unexpected(kBadParameter);
    return {};
}

std::expected<void, Reply> take_envid(Parameter p, Mail& mail) {
    auto decoded = decode_xtext(p.value);
    if (!decoded || decoded->empty() || p.value.size() > kEnvidLimit) return std::unexpected(kBadParameter);
    mail.envid = std::move(*decoded);
    return {};
}

std::expected<void, Reply> take_hold_for(Parameter p, Mail& mail) {
    mail.hold_for = p.value.size() <= 9 ? parse_number(p.value) : std::nullopt;  // RFC 4865 s4.1: 1*9DIGIT
    if (!mail.hold_for) return std::unexpected(kBadParameter);
    return {};
}

// RFC 4865 s4.2: a time as RFC 3339 s5.6 writes it, here in UTC alone, as the RFC's own examples have it.
std::expected<void, Reply> take_hold_until(Parameter p, Mail& mail) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
    if (p.value.size() != kForm.size()) return std::unexpected(kBadParameter);
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        const bool fits = kForm[i] == '0' ? ascii::is_digit(p.value[i]) : ascii::upper(p.value[i]) == kForm[i];
        if (!fits) return std::unexpected(kBadParameter);
    }
    auto number = [&](std::size_t at, std::size_t size) {
        return static_cast<unsigned>(parse_number(p.value.substr(at, size)).value_or(0));
    };
    using namespace std::chrono;
    const year_month_day date(year(static_cast<int>(number(0, 4))), month(number(5, 2)), day(number(8, 2)));
    const auto hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::unexpected(kBadParameter);
    mail.hold_until = sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
    return {};
}

std::expected<void, Reply> take_notify(Parameter p, Rcpt& rcpt) {
    auto& notify = rcpt.notify;
    notify.given = true;
    std::size_t words = 0;
    for (std::string_view rest = p.value;;) {
        auto word = rest.substr(0, rest.find(','));
        ++words;
        if (ascii::same(word, "NEVER"))
            notify.never = true;
        else if (ascii::same(word, "SUCCESS"))
            notify.success = true;
        else if (ascii::same(word, "FAILURE"))
            notify.failure = true;
        else if (ascii::same(word, "DELAY"))
            notify.delay = true;
        else
            return std::unexpected(kBadParameter);
        if (word.size() == rest.size()) break;
        rest.remove_prefix(word.size() + 1);
    }
    if (notify.never && words > 1) return std::unexpected(kBadParameter);
    return {};
}

std::expected<void, Reply> take_orcpt(Parameter p, Rcpt& rcpt) {
    auto semicolon = p.value.find(';');
    if (semicolon == p.value.npos || p.value.size() > kOrcptLimit || !is_keyword(p.value.substr(0, semicolon)))
        return std::unexpected(kBadParameter);
    auto address = decode_xtext(p.value.substr(semicolon + 1));
    if (!address || address->empty()) return std::unexpected(kBadParameter);
    rcpt.orcpt = std::string(p.value.substr(0, semicolon + 1)) + *address;
    return {};
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const char* last = text.data() + text.size();
    auto [end, error] = std::from_chars(text.data(), last, value);
    if (text.empty() || error != std::errc{} || end != last) return std::nullopt;
    return value;
}

std::optional<std::string> decode_xtext(std::string_view text) {
    auto hex = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '+') {
            if (text.size() - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return std::nullopt;
            c = static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else if (c == '=' || (!is_8bit(c) && (c <= 32 || c >= 127))) {
            return std::nullopt;
        }
        // Controls would break the log line and the report that this ends up in (RFC 3461 s4.4: printable only).
        if ((c >= 0 && c < 32) || c == 127) return std::nullopt;
        out += c;
    }
    return out;
}

std::expected<void, Reply> parse_parameters(std::string_view text, Mail& mail) {
    return each_parameter(text, [&](Parameter p) -> std::expected<void, Reply> {
        if (ascii::same(p.keyword, "SIZE")) return take_size(p, mail);
        if (ascii::same(p.keyword, "BODY")) return take_body(p, mail);
        if (ascii::same(p.keyword, "RET")) return take_ret(p, mail);
        if (ascii::same(p.keyword, "ENVID")) return take_envid(p, mail);
        if (ascii::same(p.keyword, "HOLDFOR")) return take_hold_for(p, mail);
        if (ascii::same(p.keyword, "HOLDUNTIL")) return take_hold_until(p, mail);
        if (ascii::same(p.keyword, "AUTH")) {  // RFC 4954 s5
            if (!decode_xtext(p.value) || p.value.empty()) return std::unexpected(kBadParameter);
            mail.authenticated_as = true;
            return {};
        }
        if (ascii::same(p.keyword, "REQUIRETLS")) {
            if (p.has_value) return std::unexpected(kBadParameter);  // RFC 8689 s2: takes no value
            mail.require_tls = true;
            return {};
        }
        if (!ascii::same(p.keyword, "SMTPUTF8")) return std::unexpected(replies::kUnknownParameter);
        if (p.has_value) return std::unexpected(kBadParameter);  // RFC 6531 s3.1: takes no value
        mail.smtputf8 = true;
        return {};
    });
}

std::expected<void, Reply> parse_parameters(std::string_view text, Rcpt& rcpt) {
    return each_parameter(text, [&](Parameter p) -> std::expected<void, Reply> {
        if (ascii::same(p.keyword, "NOTIFY")) return take_notify(p, rcpt);
        if (ascii::same(p.keyword, "ORCPT")) return take_orcpt(p, rcpt);
        return std::unexpected(replies::kUnknownParameter);
    });
}

}  // namespace poplar::smtp
