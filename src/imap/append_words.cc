#include "imap/append_words.h"

#include <limits>

#include "base/ascii.h"
#include "imap/words.h"

namespace poplar::imap {

namespace {

using Kind = AppendStep::Kind;

/// Reads flags and time between the mailbox, or the message before, and the message.
bool parse_options(Cursor& in, AppendStep& message) {
    if (in.at('(')) {
        message.flags = parse_flag_list(in);
        if (!message.flags || !in.space()) return false;
    }
    if (in.at('"')) {
        message.received = parse_date_time(in);
        if (!message.received || !in.space()) return false;
    }
    return true;
}

std::size_t find_word(std::string_view text, std::string_view word) {
    for (std::size_t at = 0; at + word.size() <= text.size(); ++at)
        if (ascii::starts_with(text.substr(at), word)) return at;
    return text.npos;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto digit = [&](std::size_t at) -> int {
            if (at >= text.size()) return -1;
            const char c = ascii::lower(text[at]);
            if (ascii::is_digit(c)) return c - '0';
            return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        };
        const int high = digit(i + 1), low = digit(i + 2);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

/// RFC 5092 s11: partial-range.
std::optional<Partial> parse_range(std::string_view text) {
    Cursor in(text);
    Partial partial{0, std::numeric_limits<std::int64_t>::max()};
    const auto offset = in.number32();
    if (!offset) return std::nullopt;
    partial.offset = *offset;
    if (in.take('.')) {
        const auto octets = in.nonzero();
        if (!octets) return std::nullopt;
        partial.octets = *octets;
    }
    if (!in.at_end()) return std::nullopt;
    return partial;
}

bool parse_url_mailbox(std::string_view text, MessageUrl& url) {
    constexpr std::string_view kValidity = ";UIDVALIDITY=";
    if (const auto at = find_word(text, kValidity); at != text.npos) {
        Cursor number(text.substr(at + kValidity.size()));
        url.uid_validity = number.nonzero();
        if (!url.uid_validity || !number.at_end()) return false;
        text = text.substr(0, at);
    }
    url.mailbox = percent_decoded(text);
    return url.mailbox && !url.mailbox->empty();
}

}  // namespace

std::optional<std::vector<AppendStep>> AppendGrammar::read(std::string_view text, bool octets_follow) {
    enum class Next : std::uint8_t { message, part, part_end, message_end };
    Cursor in(text);
    std::vector<AppendStep> steps;
    auto next = Next::message;
    switch (at_) {
        case At::beginning: break;
        case At::behind_utf8:
            if (!in.take(')')) return std::nullopt;
            [[fallthrough]];
        case At::behind_octets: next = Next::message_end; break;
        case At::behind_part: next = Next::part_end; break;
    }
    // The octets come at the end of the text.
    const auto octets = [&](At then) -> std::optional<std::vector<AppendStep>> {
        if (!octets_follow || !in.at_end()) return std::nullopt;
        at_ = then;
        steps.push_back({.kind = Kind::octets});
        return std::move(steps);
    };
    for (;;) switch (next) {
            case Next::message: {
                AppendStep message;
                if (!in.space() || !parse_options(in, message)) return std::nullopt;
                steps.push_back(std::move(message));
                if (in.take_word("UTF8 (")) return octets(At::behind_utf8);
                if (!in.take_word("CATENATE (")) return octets(At::behind_octets);
                next = Next::part;
                break;
            }
            case Next::part: {
                if (in.take_word("TEXT ")) return octets(At::behind_part);
                if (!in.take_word("URL ")) return std::nullopt;
                auto url = in.astring();
                if (!url) return std::nullopt;
                steps.push_back({.kind = Kind::url, .url = std::move(*url)});
                next = Next::part_end;
                break;
            }
            case Next::part_end:
                next = in.take(')') ? Next::message_end : Next::part;
                if (next == Next::part && !in.space()) return std::nullopt;
                break;
            case Next::message_end:
                steps.push_back({.kind = Kind::message_end});
                if (in.at_end()) {
                    if (octets_follow) return std::nullopt;
                    steps.push_back({.kind = Kind::command_end});
                    return steps;
                }
                if (messages_ == Messages::one) return std::nullopt;
                next = Next::message;
                break;
        }
}

std::optional<AppendGrammar> parse_append_begin(Cursor& in) {
    if (!parse_tag(in) || !in.space()) return std::nullopt;
    auto messages = AppendGrammar::Messages::any;
    if (!in.take_word("APPEND ")) {
        in.take_word("UID ");
        if (!in.take_word("REPLACE ")) return std::nullopt;
        messages = AppendGrammar::Messages::one;
        if ((!in.take('*') && !in.nonzero()) || !in.space()) return std::nullopt;
    }
    if (!parse_mailbox(in)) return std::nullopt;
    return AppendGrammar(messages);
}

std::optional<MessageUrl> parse_message_url(std::string_view text) {
    if (text.size() > MessageUrl::kLongest) return std::nullopt;
    for (const char c : text)
        if (c <= ' ' || c > '~') return std::nullopt;
    MessageUrl url;
    constexpr std::string_view kUid = ";UID=", kSection = "/;SECTION=", kPartial = "/;PARTIAL=";
    if (text.starts_with('/')) {
        const auto at = find_word(text, "/;UID=");
        if (at == text.npos || at == 0 || !parse_url_mailbox(text.substr(1, at - 1), url)) return std::nullopt;
        text.remove_prefix(at + 1);
    }
    Cursor in(text);
    if (!in.take_word(kUid)) return std::nullopt;
    const auto uid = in.nonzero();
    if (!uid) return std::nullopt;
    url.uid = *uid;
    text = in.rest();
    if (const auto at = find_word(text, kPartial); at != text.npos) {
        url.partial = parse_range(text.substr(at + kPartial.size()));
        if (!url.partial) return std::nullopt;
        text = text.substr(0, at);
    }
    if (text.empty()) return url;
    if (!ascii::starts_with(text, kSection)) return std::nullopt;
    const auto section = percent_decoded(text.substr(kSection.size()));
    if (!section || section->empty()) return std::nullopt;
    const auto bracketed = *section + "]";
    Cursor inside(bracketed);
    auto parsed = parse_section(inside);
    if (!parsed || !inside.take(']') || !inside.at_end()) return std::nullopt;
    url.section = std::move(*parsed);
    return url;
}

}  // namespace poplar::imap
