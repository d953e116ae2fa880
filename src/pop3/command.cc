// POP3's commands, one line each (RFC 1939 s3): a keyword of letters, in any case, then its arguments.
#include "pop3/command.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/ascii.h"

namespace poplar::pop3 {

namespace {

constexpr std::size_t kLongestKeyword = 4;  // RFC 1939 s3: three or four letters

/// A keyword's letters, in either case, behind their count, as one number: quicker to compare than text.
constexpr std::uint64_t letters(std::string_view keyword) {
    std::uint64_t packed = keyword.size();
    for (char c : keyword) packed = packed << 8 | static_cast<unsigned char>(ascii::upper(c));
    return packed;
}

/// The words of a command's arguments, one after the other. RFC 1939 s3 has a single space between them; more are
/// forgiven.
class Arguments {
public:
    explicit Arguments(std::string_view text) : text_(text) {
        auto last = text_.find_last_not_of(' ');
        text_ = text_.substr(0, last == text_.npos ? 0 : last + 1);
    }

    bool empty() const { return text_.empty(); }

    std::string_view word() {
        text_.remove_prefix(std::min(text_.find_first_not_of(' '), text_.size()));
        auto word = text_.substr(0, text_.find(' '));
        text_.remove_prefix(word.size());
        return word;
    }

    /// Digits only (RFC 1939 s5); nothing if it is something else or does not fit.
    template <class Number>
    std::optional<Number> number() {
        auto text = word();
        Number value = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
        return value;
    }

    /// TOP's lines (RFC 1939 s7). As number(), but one that does not fit is the greatest there is: some clients ask for
    /// the whole of a message with as many nines as they please.
    std::optional<std::uint64_t> count() {
        auto text = word();
        if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
        std::uint64_t value = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        return error == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
    }

private:
    std::string_view text_;
};

/// The text behind the keyword's space, as it is; `given` tells an empty argument from none.
struct Rest {
    std::string_view text;
    bool given;
};

using Parsed = std::expected<Command, Text>;
using Parser = Parsed (*)(Rest);

std::unexpected<Text> wrong(Text what) { return std::unexpected(what); }

// RFC 1939 s5, s6 (QUIT, STAT, NOOP, RSET), RFC 2449 s5 (CAPA), RFC 2595 s4 (STLS), RFC 6856 s2.1 (UTF8): "Arguments:
// none".
template <class Bare>
Parsed parse_bare(Rest rest) {
    if (!Arguments(rest.text).empty()) return wrong("this command takes no arguments");
    return Bare{};
}

// RFC 1939 s5: RETR and DELE want the number; whether there is such a message is the session's affair.
template <class OfMessage>
Parsed parse_message(Rest rest) {
    Arguments arguments(rest.text);
    auto message = arguments.number<MessageNumber>();
    if (!message || !arguments.empty()) return wrong("expected a message number");
    return OfMessage{*message};
}

// RFC 1939 s5 (LIST), s7 (UIDL): the number is optional.
template <class Listing>
Parsed parse_listing(Rest rest) {
    if (Arguments(rest.text).empty()) return Listing{};
    return parse_message<Listing>(rest);
}

// RFC 1939 s7: the lines of the body, which may be none but must be said.
Parsed parse_top(Rest rest) {
    Arguments arguments(rest.text);
    auto message = arguments.number<MessageNumber>();
    auto lines = arguments.count();
    if (!message || !lines || !arguments.empty()) return wrong("expected a message number and a number of lines");
    return Top{*message, *lines};
}

// RFC 1939 s7. A name is all of the line, because mailbox names may hold spaces; those around it are forgiven.
Parsed parse_user(Rest rest) {
    auto first = std::min(rest.text.find_first_not_of(' '), rest.text.size());
    auto last = rest.text.find_last_not_of(' ');
    if (last == rest.text.npos) return wrong("expected a name");
    return User{rest.text.substr(first, last + 1 - first)};
}

// RFC 1939 s7: as there is one argument alone, spaces are part of it.
Parsed parse_pass(Rest rest) {
    if (!rest.given) return wrong("expected a password");
    return Pass{rest.text};
}

// RFC 1939 s7. The digest is the last word; a name may hold spaces.
Parsed parse_apop(Rest rest) {
    auto first = std::min(rest.text.find_first_not_of(' '), rest.text.size());
    auto text = rest.text.substr(first, std::max(rest.text.find_last_not_of(' ') + 1, first) - first);
    auto space = text.rfind(' ');
    if (text.empty() || space == text.npos) return wrong("expected a name and a digest");
    auto name = text.substr(0, text.find_last_not_of(' ', space) + 1);
    return Apop{name, text.substr(space + 1)};
}

// RFC 5034 s4: the response that may come with the command is base64, or "=" for an empty one.
Parsed parse_auth(Rest rest) {
    Arguments arguments(rest.text);
    Auth auth{arguments.word(), std::nullopt};
    if (!arguments.empty()) auth.initial_response = arguments.word();
    if (!arguments.empty()) return wrong("expected a mechanism and at most one response");
    return auth;
}

// RFC 6856 s3.2.
Parsed parse_lang(Rest rest) {
    Arguments arguments(rest.text);
    Lang lang;
    if (!arguments.empty()) lang.range = arguments.word();
    if (!arguments.empty()) return wrong("expected at most one language");
    return lang;
}

struct Entry {
    consteval Entry(std::string_view text, Parser parser) : keyword(letters(text)), parse(parser) {}
    std::uint64_t keyword;
    Parser parse;
};

constexpr Entry kCommands[] = {
    {"USER", parse_user},          {"PASS", parse_pass},          {"APOP", parse_apop},
    {"AUTH", parse_auth},          {"CAPA", parse_bare<Capa>},    {"STLS", parse_bare<Stls>},
    {"STAT", parse_bare<Stat>},    {"UIDL", parse_listing<Uidl>}, {"LIST", parse_listing<List>},
    {"RETR", parse_message<Retr>}, {"DELE", parse_message<Dele>}, {"TOP", parse_top},
    {"QUIT", parse_bare<Quit>},    {"NOOP", parse_bare<Noop>},    {"RSET", parse_bare<Rset>},
    {"UTF8", parse_bare<Utf8>},    {"LANG", parse_lang},
};

}  // namespace

std::expected<Command, Text> parse_command(std::string_view line) {
    auto space = std::min(line.find(' '), line.size());
    if (space <= kLongestKeyword) {
        const auto keyword = letters(line.substr(0, space));
        Rest rest{line.substr(std::min(space + 1, line.size())), space < line.size()};
        for (const auto& entry : kCommands)
            if (entry.keyword == keyword) return entry.parse(rest);
    }
    return wrong(kUnknownCommand);
}

}  // namespace poplar::pop3
