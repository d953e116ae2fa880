// The commands of SMTP and LMTP, one line each (RFC 5321 s4.1): a verb, then what its grammar wants.
#include "smtp/command.h"

#include <algorithm>

#include "base/ascii.h"
#include "smtp/parameters.h"
#include "smtp/xclient.h"

namespace poplar::smtp {

namespace {

using Parsed = std::expected<Command, Reply>;

constexpr std::size_t kNameLimit = 255;  // RFC 5321 s4.5.3.1.2

std::string_view trim_left(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return text;
}

// RFC 5321 s4.1.1: white space before the end of the line is tolerated.
std::string_view trim_right(std::string_view text) { return text.substr(0, text.find_last_not_of(" \t") + 1); }

struct Path {
    std::string_view address;     // between the brackets, without the source route; empty for <>
    std::string_view parameters;  // the rest of the line
};

// Where a path ends: `stop` outside of a quoted-string.
std::size_t find_unquoted(std::string_view text, char stop) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == stop)
            return i;
    }
    return text.npos;
}

// RFC 5321 s4.1.2 (Path): "<" [ A-d-l ":" ] Mailbox ">".
std::optional<Path> parse_path(std::string_view text) {
    text = trim_left(text);
    Path path;
    if (text.starts_with('<')) {
        auto end = find_unquoted(text, '>');
        if (end == text.npos) return std::nullopt;
        path = {text.substr(1, end - 1), text.substr(end + 1)};
        if (!path.parameters.empty() && path.parameters.front() != ' ') return std::nullopt;
    } else {
        auto end = std::min(find_unquoted(text, ' '), text.size());
        if (end == 0) return std::nullopt;
        path = {text.substr(0, end), text.substr(end)};
    }
    // Source routes are accepted and ignored (appendix C; a route's domains have no ":").
    if (path.address.starts_with('@')) {
        auto colon = path.address.find(':');
        if (colon == path.address.npos) return std::nullopt;
        path.address.remove_prefix(colon + 1);
        if (path.address.empty()) return std::nullopt;
    }
    return path;
}

// The text after `keyword` and its colon ("FROM:").
std::optional<std::string_view> after_keyword(std::string_view text, std::string_view keyword) {
    text = trim_left(text);
    if (text.size() <= keyword.size() || text[keyword.size()] != ':') return std::nullopt;
    if (!ascii::same(text.substr(0, keyword.size()), keyword)) return std::nullopt;
    return text.substr(keyword.size() + 1);
}

Parsed parse_mail(std::string_view rest) {
    auto text = after_keyword(rest, "FROM");
    if (!text) return std::unexpected(replies::kBadArgument);
    auto path = parse_path(*text);
    if (!path) return std::unexpected(replies::kBadSender);
    Mail mail;
    if (!path->address.empty()) {
        auto address = mail::parse_address(path->address, mail::Grammar::tolerant);
        if (!address) return std::unexpected(replies::kBadSender);
        mail.from = std::move(*address);
    }
    if (auto read = parse_parameters(path->parameters, mail); !read) return std::unexpected(read.error());
    return mail;
}

Parsed parse_rcpt(std::string_view rest) {
    auto text = after_keyword(rest, "TO");
    if (!text) return std::unexpected(replies::kBadArgument);
    auto path = parse_path(*text);
    if (!path) return std::unexpected(replies::kBadRecipient);
    Rcpt rcpt;
    if (ascii::same(path->address, "postmaster")) {
        rcpt.to.local = std::string(path->address);
    } else {
        auto address = mail::parse_address(path->address);
        if (!address) return std::unexpected(replies::kBadRecipient);
        rcpt.to = std::move(*address);
    }
    if (auto read = parse_parameters(path->parameters, rcpt); !read) return std::unexpected(read.error());
    return rcpt;
}

Parsed parse_hello(Hello::Verb verb, std::string_view rest) {
    auto name = trim_left(rest);
    bool printable = std::ranges::all_of(name, [](unsigned char c) { return c > 32 && c != 127; });
    if (name.empty() || name.size() > kNameLimit || !printable) return std::unexpected(replies::kBadArgument);
    return Hello{verb, std::string(name)};
}

// RFC 3030 s2: chunk-size, then LAST or nothing.
Parsed parse_bdat(std::string_view rest) {
    rest = trim_left(rest);
    auto size = rest.substr(0, rest.find(' '));
    auto octets = parse_number(size);
    auto marker = trim_left(rest.substr(size.size()));
    if (!octets || (!marker.empty() && !ascii::same(marker, "LAST"))) return std::unexpected(replies::kBadArgument);
    return Bdat{*octets, !marker.empty()};
}

// RFC 4954 s4: a mechanism, then the initial response or nothing.
Parsed parse_auth(std::string_view rest) {
    rest = trim_left(rest);
    Auth auth;
    auth.mechanism = std::string(rest.substr(0, rest.find(' ')));
    const auto response = trim_left(rest.substr(auth.mechanism.size()));
    if (auth.mechanism.empty() || response.find(' ') != response.npos) return std::unexpected(replies::kBadArgument);
    if (!response.empty()) auth.initial_response = std::string(response);
    return auth;
}

template <class Bare>
Parsed without_argument(std::string_view rest) {
    if (!trim_left(rest).empty()) return std::unexpected(replies::kNoArgument);
    return Bare{};
}

template <class Query>
Parsed with_argument(std::string_view rest) {
    if (trim_left(rest).empty()) return std::unexpected(replies::kBadArgument);
    return Query{};
}

using Parse = Parsed (*)(std::string_view rest);
struct Verb {
    std::string_view name;
    Parse parse;
};

constexpr Verb kVerbs[] = {
    {"MAIL", parse_mail},
    {"RCPT", parse_rcpt},
    {"DATA", without_argument<Data>},
    {"BDAT", parse_bdat},
    {"RSET", without_argument<Rset>},
    {"QUIT", without_argument<Quit>},
    {"NOOP", [](std::string_view) -> Parsed { return Noop{}; }},  // s4.1.1.9: an argument is ignored
    {"HELP", [](std::string_view) -> Parsed { return Help{}; }},
    {"VRFY", with_argument<Vrfy>},
    {"EXPN", with_argument<Expn>},
    {"STARTTLS", without_argument<StartTls>},  // RFC 3207 s4
    {"AUTH", parse_auth},
    {"XCLIENT", [](std::string_view rest) -> Parsed { return parse_xclient(rest); }},
    {"EHLO", [](std::string_view rest) { return parse_hello(Hello::Verb::ehlo, rest); }},
    {"HELO", [](std::string_view rest) { return parse_hello(Hello::Verb::helo, rest); }},
    {"LHLO", [](std::string_view rest) { return parse_hello(Hello::Verb::lhlo, rest); }},
};

// Known to RFCs, not to us: 502 instead of 500 (RFC 5321 s4.2.4).
constexpr std::string_view kOthers[] = {"BURL", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"};

}  // namespace

std::string_view verb_of(std::string_view line) { return line.substr(0, line.find(' ')); }

std::expected<Command, Reply> parse_command(std::string_view line) {
    line = trim_right(line);
    auto word = verb_of(line);
    for (const auto& verb : kVerbs)
        if (ascii::same(word, verb.name)) return verb.parse(line.substr(word.size()));
    bool known = std::ranges::any_of(kOthers, [&](auto other) { return ascii::same(word, other); });
    return std::unexpected(known ? replies::kNotImplemented : replies::kUnknownCommand);
}

}  // namespace poplar::smtp
