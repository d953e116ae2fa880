// RFC 5228 s8.1. A token knows where it begins, so that whoever wrote the script finds what is wrong with it.
#include "sieve/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/ascii.h"

namespace poplar::sieve {

namespace {

bool begins_word(char c) { return ascii::is_alpha(c) || c == '_'; }
bool continues_word(char c) { return begins_word(c) || ascii::is_digit(c); }

std::optional<std::uint64_t> unit(char c) {
    switch (ascii::lower(c)) {
        case 'k': return std::uint64_t(1) << 10;
        case 'm': return std::uint64_t(1) << 20;
        case 'g': return std::uint64_t(1) << 30;
        default: return std::nullopt;
    }
}

std::string shown(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet > 0x20 && octet < 0x7f ? fmt::format("\"{}\"", c) : fmt::format("the octet {:#04x}", octet);
}

}  // namespace

std::unexpected<Problem> Lexer::wrong(Position at, std::string message) const {
    return std::unexpected(Problem{at, std::move(message)});
}

void Lexer::advance(std::size_t octets) {
    for (std::size_t i = 0; i < octets; ++i) {
        if (rest_[i] == '\n') {
            ++at_.line;
            at_.column = 1;
        } else {
            ++at_.column;
        }
    }
    rest_.remove_prefix(octets);
}

std::size_t Lexer::line_end() const {
    if (rest_.starts_with("\r\n")) return 2;
    return rest_.starts_with('\n') ? 1 : 0;
}

std::string Lexer::word() {
    std::size_t size = 0;
    while (size < rest_.size() && continues_word(rest_[size])) ++size;
    std::string text = ascii::to_lower(rest_.substr(0, size));
    advance(size);
    return text;
}

std::expected<void, Problem> Lexer::skip_space() {
    while (!rest_.empty()) {
        if (const auto size = line_end(); size > 0) {
            advance(size);
        } else if (ascii::is_wsp(rest_.front())) {
            advance(1);
        } else if (rest_.front() == '#') {
            advance(std::min(rest_.find('\n'), rest_.size()));
        } else if (rest_.starts_with("/*")) {
            const auto begin = at_;
            const auto end = rest_.find("*/", 2);
            if (end == std::string_view::npos) return wrong(begin, "the comment that begins here has no end");
            advance(end + 2);
        } else {
            break;
        }
    }
    return {};
}

bool Lexer::at_multi_line() const {
    if (!ascii::starts_with(rest_, "text:")) return false;
    auto rest = ascii::trim_left(rest_.substr(5));
    return rest.starts_with('#') || rest.starts_with("\r\n") || rest.starts_with('\n');
}

std::expected<Token, Problem> Lexer::multi_line(Token token) {
    advance(std::min(rest_.find('\n') + 1, rest_.size()));
    for (;;) {
        const auto end = rest_.find('\n');
        if (end == std::string_view::npos)
            return wrong(token.at, "the text that begins here has no line with \".\" alone");
        auto line = rest_.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos)
            return wrong(at_, "a text has no NUL, and no CR that does not end a line");
        const bool last = line == ".";
        if (line.starts_with('.')) line.remove_prefix(1);
        if (!last) {
            token.text += line;
            token.text += "\r\n";
        }
        advance(end + 1);
        if (last) break;
    }
    token.kind = Token::Kind::string;
    return token;
}

std::expected<Token, Problem> Lexer::quoted(Token token) {
    advance(1);
    token.kind = Token::Kind::string;
    for (;;) {
        const auto plain = std::min(rest_.find_first_of(std::string_view("\"\\\r\n\0", 5)), rest_.size());
        token.text += rest_.substr(0, plain);
        advance(plain);
        if (rest_.empty()) return wrong(token.at, "the string that begins here has no end");
        if (rest_.front() == '"') {
            advance(1);
            return token;
        }
        if (rest_.front() == '\\') {
            advance(1);
            if (rest_.empty()) return wrong(token.at, "the string that begins here has no end");
            if (line_end() > 0) continue;                                  // the line end stays, the backslash goes
            if (rest_.front() == '\0' || rest_.front() == '\r') continue;  // told below
            token.text += rest_.front();
            advance(1);
        } else if (const auto size = line_end(); size > 0) {
            token.text += "\r\n";
            advance(size);
        } else {
            return wrong(at_, "a string has no NUL, and no CR that does not end a line");
        }
    }
}

std::expected<Token, Problem> Lexer::number(Token token) {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    token.kind = Token::Kind::number;
    const auto too_large = [&] { return wrong(token.at, "the number is too large"); };
    while (!rest_.empty() && ascii::is_digit(rest_.front())) {
        const auto digit = static_cast<std::uint64_t>(rest_.front() - '0');
        if (token.number > (kMost - digit) / 10) return too_large();
        token.number = token.number * 10 + digit;
        advance(1);
    }
    if (!rest_.empty())
        if (const auto factor = unit(rest_.front())) {
            if (token.number > kMost / *factor) return too_large();
            token.number *= *factor;
            advance(1);
        }
    if (!rest_.empty() && continues_word(rest_.front()))
        return wrong(at_, fmt::format("{} is no part of a number", shown(rest_.front())));
    return token;
}

std::expected<Token, Problem> Lexer::next() {
    if (auto skipped = skip_space(); !skipped) return std::unexpected(skipped.error());
    Token token;
    token.at = at_;
    if (rest_.empty()) return token;
    const char c = rest_.front();
    if (c == '"') return quoted(std::move(token));
    if (ascii::is_digit(c)) return number(std::move(token));
    if (at_multi_line()) return multi_line(std::move(token));
    if (begins_word(c)) {
        token.kind = Token::Kind::identifier;
        token.text = word();
        return token;
    }
    if (c == ':') {
        if (rest_.size() < 2 || !begins_word(rest_[1])) return wrong(at_, "a tag's name follows its colon");
        advance(1);
        token.kind = Token::Kind::tag;
        token.text = word();
        return token;
    }
    if (std::string_view(",;()[]{}").find(c) != std::string_view::npos) {
        token.kind = Token::Kind::punctuation;
        token.punctuation = c;
        advance(1);
        return token;
    }
    return wrong(at_, fmt::format("{} means nothing here", shown(c)));
}

}  // namespace poplar::sieve
