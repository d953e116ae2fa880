#include "smtp/client/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace poplar::smtp::client {

namespace {

/// RFC 3463 s2: "5.1.1" at the beginning of a text, of the code's own class; "" if there is none.
std::string_view status_of(int code, std::string_view text) {
    const auto word = text.substr(0, text.find(' '));
    if (word.size() < 5 || word.size() > 9 || word[0] != '0' + code / 100 || word[1] != '.') return {};
    std::size_t dots = 0, digits = 0;
    for (char c : word) {
        if (c == '.') {
            if (digits == 0) return {};
            ++dots;
            digits = 0;
        } else if (!ascii::is_digit(c) || ++digits > 3) {
            return {};
        }
    }
    return dots == 2 && digits > 0 ? word : std::string_view();
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (;;) {
        line = ascii::trim_left(line);
        if (line.empty()) return words;
        const auto size = std::min(line.find_first_of(" \t"), line.size());
        words.push_back(line.substr(0, size));
        line.remove_prefix(size);
    }
}

}  // namespace

std::string Reply::shown() const {
    return fmt::format("{}{}{}{}{}", code, status.empty() ? "" : " ", status, text.empty() ? "" : " ", text);
}

Result<bool> ReplyParser::add(std::string_view line) {
    const bool has_code = line.size() >= 3 && std::ranges::all_of(line.substr(0, 3), ascii::is_digit);
    if (!has_code || line[0] < '2' || line[0] > '5') return fail(Errc::invalid, "the server's answer is no SMTP reply");
    if (line.size() > 3 && line[3] != ' ' && line[3] != '-')
        return fail(Errc::invalid, "the server's answer is no SMTP reply");
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (count_ > 0 && code != reply_.code) return fail(Errc::invalid, "a reply of the server has two codes");
    if (++count_ > kReplyLines) return fail(Errc::invalid, "a reply of the server has too many lines");
    reply_.code = code;
    auto text = line.substr(std::min<std::size_t>(4, line.size()));
    reply_.lines.emplace_back(text);
    if (const auto status = status_of(code, text); !status.empty()) {
        if (reply_.status.empty()) reply_.status = std::string(status);
        text = ascii::trim_left(text.substr(status.size()));
    }
    text = ascii::trim(text);
    if (reply_.text.size() < kReplyText && !text.empty()) {
        if (!reply_.text.empty()) reply_.text += ' ';
        reply_.text += text.substr(0, kReplyText - std::min(kReplyText, reply_.text.size()));
    }
    return line.size() <= 3 || line[3] == ' ';
}

Extensions parse_extensions(const std::vector<std::string>& lines) {
    Extensions found;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        // "AUTH=" stood for "AUTH " before RFC 2554, and old servers say both.
        std::string line = lines[i];
        if (ascii::starts_with(line, "AUTH=")) line[4] = ' ';
        const auto words = words_of(line);
        if (words.empty()) continue;
        const auto is = [&](std::string_view keyword) { return ascii::same(words[0], keyword); };
        found.pipelining |= is("PIPELINING");
        found.eight_bit |= is("8BITMIME");
        found.utf8 |= is("SMTPUTF8");
        found.dsn |= is("DSN");
        found.starttls |= is("STARTTLS");
        found.require_tls |= is("REQUIRETLS");
        if (is("SIZE") && words.size() > 1)
            if (auto size = number_of<std::uint64_t>(words[1]); size && *size > 0) found.size = size;
        if (is("LIMITS"))
            for (auto word : words)
                if (ascii::starts_with(word, "RCPTMAX="))
                    if (auto most = number_of<std::uint32_t>(word.substr(8)); most && *most > 0)
                        found.recipients = most;
        if (is("AUTH"))
            for (auto word : std::span(words).subspan(1)) {
                std::string name(word);
                for (char& c : name) c = ascii::upper(c);
                found.mechanisms.push_back(std::move(name));
            }
    }
    return found;
}

std::string xtext(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c > ' ' && c < 0x7f && c != '+' && c != '=')
            out += c;
        else
            out += fmt::format("+{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace poplar::smtp::client
