// Where a header's fields and its end are, and what fields say to people.
#include "mail/header_walk.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/ascii.h"
#include "mail/charset.h"
#include "mail/field_writer.h"

namespace poplar::mail {
namespace {

constexpr std::string_view kReceived = "received";
constexpr std::uint8_t kOtherName = 0xff;
constexpr std::size_t kMaxEncodedWord = 1000;  // RFC 2047 s2 says 75; mailers in the field do not hold it

constexpr auto kFtext = [] {  // RFC 5322 s3.6.8
    std::array<bool, 256> ftext{};
    for (unsigned char c = 0x21; c < 0x7f; ++c) ftext[c] = c != ':';
    return ftext;
}();
bool is_ftext(unsigned char c) { return kFtext[c]; }
std::size_t ftext_size(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && is_ftext(static_cast<unsigned char>(text[size]))) ++size;
    return size;
}

using ascii::is_wsp;
using ascii::lower;

std::optional<std::string> decode_base64(std::string_view text) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (text.ends_with('=')) text.remove_suffix(1);
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (char c : text) {
        const std::size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
    return out;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// RFC 2047 s4.2; an "=" without two digits stays.
std::string decode_q(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '=' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i] == '_' ? ' ' : text[i];
        }
    }
    return out;
}

/// One encoded-word (RFC 2047 s2): its charset as iconv knows it, what it encodes, and how long it is in the text.
struct EncodedWord {
    std::string charset, bytes;
    std::size_t size;
};

std::optional<EncodedWord> encoded_word(std::string_view text) {
    text = text.substr(0, kMaxEncodedWord);
    if (!text.starts_with("=?")) return std::nullopt;
    const std::size_t charset_end = text.find('?', 2);
    if (charset_end == std::string_view::npos || charset_end + 2 >= text.size() || text[charset_end + 2] != '?')
        return std::nullopt;
    const std::size_t begin = charset_end + 3;
    const std::size_t end = text.find("?=", begin);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view charset = text.substr(2, charset_end - 2);
    charset = charset.substr(0, charset.find('*'));  // RFC 2231 s5: a language may follow
    EncodedWord word{iconv_name(charset), {}, end + 2};
    if (word.charset.empty()) return std::nullopt;
    const std::string_view encoded = text.substr(begin, end - begin);
    const char encoding = lower(text[charset_end + 1]);
    if (encoding == 'b') {
        auto bytes = decode_base64(encoded);
        if (!bytes) return std::nullopt;
        word.bytes = std::move(*bytes);
    } else if (encoding == 'q') {
        word.bytes = decode_q(encoded);
    } else {
        return std::nullopt;
    }
    return word;
}

/// Neighbouring encoded-words of one charset: decoded together, as mailers cut characters in two (against s5).
struct Run {
    std::string charset, bytes;
    std::string_view source;

    void flush(std::string& out) {
        if (source.empty()) return;
        if (auto text = from_iconv(charset, std::move(bytes))) {
            out += *text;
        } else {
            out += source;
        }
        *this = Run();
    }
};

std::string clean_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        ucs4_t c = 0;
        const int size = u8_mbtouc(&c, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            out += ' ';
        } else if (c == 0xfffd) {
            out += "\uFFFD";
        } else {
            out += text.substr(0, static_cast<std::size_t>(size));
        }
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return out;
}

}  // namespace

std::string_view field_name(std::string_view line) {
    line = line.substr(0, kLongestFieldName + 1);
    const std::size_t size = ftext_size(line);
    std::size_t colon = size;
    while (colon < line.size() && is_wsp(line[colon])) ++colon;
    return colon < line.size() && line[colon] == ':' ? line.substr(0, size) : std::string_view();
}

void HeaderWalk::end_name(unsigned char c) {
    if (c == ':') {
        ++fields_;
        if (matched_ == kReceived.size()) ++received_;
        undecided_ = 0;
        at_ = At::text;
    } else if (is_wsp(static_cast<char>(c)) && undecided_ < kLongestFieldName) {
        at_ = At::after_name;
        ++undecided_;
    } else {
        end_at_text();
    }
}

void HeaderWalk::end_at_text() {
    octets_ -= undecided_;
    undecided_ = 0;
    lacks_blank_line_ = true;
    at_ = At::body;
}

void HeaderWalk::step(unsigned char c) {
    switch (at_) {
        case At::line_start:
            matched_ = 0;
            if (c == '\r') {
                at_ = At::line_cr;
                undecided_ = 1;
            } else if (c == '\n') {
                at_ = At::body;
            } else if (is_wsp(static_cast<char>(c)) && fields_ > 0) {
                at_ = At::text;
            } else if (!is_ftext(c)) {
                end_at_text();
            } else {
                at_ = At::name;
                step(c);
            }
            break;
        case At::line_cr:
            if (c != '\n') return end_at_text();
            at_ = At::body;
            undecided_ = 0;
            break;
        case At::name:
            if (!is_ftext(c) || undecided_ == kLongestFieldName) return end_name(c);
            if (matched_ < kReceived.size() && lower(static_cast<char>(c)) == kReceived[matched_])
                ++matched_;
            else
                matched_ = kOtherName;
            ++undecided_;
            break;
        case At::after_name: end_name(c); break;
        case At::text:
            if (c == '\n') at_ = At::line_start;
            break;
        case At::body: break;
    }
}

/// Passes the name and colon of a field that `bytes` begin with, as nearly all do. Returns how many octets that was.
std::size_t HeaderWalk::pass_name(std::string_view bytes) {
    const std::size_t size = ftext_size(bytes.substr(0, kLongestFieldName));
    if (size == 0 || size == bytes.size() || bytes[size] != ':') return 0;
    ++fields_;
    if (size == kReceived.size() && ascii::same(bytes.substr(0, size), kReceived)) ++received_;
    at_ = At::text;
    return size + 1;
}

void HeaderWalk::feed(std::string_view bytes) {
    while (!bytes.empty() && at_ != At::body) {
        if (at_ == At::line_start) {
            const auto size = pass_name(bytes);
            bytes.remove_prefix(size);
            octets_ += size;
            if (bytes.empty()) return;
        }
        if (at_ != At::text) {
            step(static_cast<unsigned char>(bytes.front()));
            if (lacks_blank_line_) return;
            bytes.remove_prefix(1);
            ++octets_;
            continue;
        }
        const std::size_t newline = bytes.find('\n');
        const std::string_view text = bytes.substr(0, newline);
        has_8bit_ |= mail::has_8bit(text);
        const std::size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
        if (newline != std::string_view::npos) at_ = At::line_start;
        bytes.remove_prefix(size);
        octets_ += size;
    }
}

std::vector<HeaderField> parse_header(std::string_view header, std::size_t limit) {
    std::vector<HeaderField> fields;
    while (!header.empty()) {
        const std::size_t newline = header.find('\n');
        std::string_view line = header.substr(0, newline);
        header.remove_prefix(newline == std::string_view::npos ? header.size() : newline + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) break;
        if (is_wsp(line.front()) && !fields.empty()) {
            fields.back().value += line;  // RFC 5322 s2.2.3: only the CRLF goes
            continue;
        }
        const auto name = field_name(line);
        if (name.empty() || fields.size() == limit) break;
        fields.push_back({std::string(name), std::string(line.substr(line.find(':') + 1))});
    }
    for (auto& field : fields) field.value = ascii::trim(field.value);
    return fields;
}

std::string decode_for_display(std::string_view value) {
    std::string out;
    Run run;
    while (!value.empty()) {
        const std::size_t begin = value.find("=?");
        const std::string_view between = value.substr(0, begin);
        value.remove_prefix(between.size());
        auto word = encoded_word(value);
        // RFC 2047 s6.2: white space between encoded-words is not shown.
        const bool joins =
            word && !run.source.empty() && between.find_first_not_of(" \t\r\n") == std::string_view::npos;
        if (!joins || !ascii::same(run.charset, word->charset)) run.flush(out);
        if (!joins) out += between;
        if (word) {
            run.charset = std::move(word->charset);
            run.bytes += word->bytes;
            run.source = run.source.empty() ? value.substr(0, word->size)
                                            : std::string_view(run.source.data(), value.data() + word->size);
            value.remove_prefix(word->size);
        } else if (!value.empty()) {
            out += "=?";
            value.remove_prefix(2);
        }
    }
    run.flush(out);
    return clean_utf8(out);
}

}  // namespace poplar::mail
