// Writes header fields in ASCII: folded lines and encoded-words (RFC 2047).
#include "mail/field_writer.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/ascii.h"

namespace poplar::mail {
namespace {

constexpr std::size_t kColumns = 76;
constexpr std::size_t kEncodedColumns = 72;  // leaves room for what may stand directly behind: ")" and ","
constexpr std::size_t kLeastRoom = 40;       // for an encoded-word; with less a new line is begun
constexpr std::size_t kMostLead = 8;         // octets before an encoded-word; more white space becomes one space
constexpr std::size_t kGap = 40;             // octets in ASCII between words that are encoded together
constexpr std::string_view kWsp = " \t";

bool looks_encoded(std::string_view word) { return word.size() > 5 && word.starts_with("=?") && word.ends_with("?="); }

/// Whether a word must be encoded: for its octets, or as it might be taken for a part of an encoded-word.
bool needs_encoding(std::string_view word) { return has_8bit(word) || (word.contains("=?") && !looks_encoded(word)); }

/// Octets that may stand for themselves in the "Q" encoding, within a phrase and so anywhere (RFC 2047 s5).
bool is_plain_q(unsigned char c) {
    return ascii::is_alnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}
std::size_t q_size(std::string_view text) {
    std::size_t size = 0;
    for (unsigned char c : text) size += is_plain_q(c) || c == ' ' ? 1 : 3;
    return size;
}
constexpr std::size_t b_size(std::size_t octets) { return (octets + 2) / 3 * 4; }

void append_q(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned char c : text) {
        if (is_plain_q(c))
            out += static_cast<char>(c);
        else if (c == ' ')
            out += '_';
        else
            (out += '=').append({kHex[c >> 4], kHex[c & 15]});
    }
}

void append_b(std::string& out, std::string_view text) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(3, text.size()))) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
        for (std::size_t i = 0; i < 4; ++i) out += i <= text.size() ? kAlphabet[bits >> (18 - 6 * i) & 63] : '=';
    }
}

/// Encoded-words of one encoding.
class WordEncoder {
public:
    explicit WordEncoder(std::string_view text) : q_(mostly_ascii(text)), begin_(q_ ? "=?UTF-8?Q?" : "=?UTF-8?B?") {}

    /// How many octets of `text`, at least one character, go into a word of at most `room` octets.
    std::size_t fits(std::string_view text, std::size_t room) const {
        const std::size_t space = room - std::min(room, begin_.size() + 2);
        std::size_t taken = 0, size = 0;
        while (taken < text.size()) {
            const std::size_t octets = character(text.substr(taken));
            size = q_ ? size + q_size(text.substr(taken, octets)) : b_size(taken + octets);
            if (size > space && taken > 0) break;
            taken += octets;
        }
        return taken;
    }
    /// The size of a word of the longest character.
    std::size_t least() const { return begin_.size() + 2 + 12; }
    std::string encode(std::string_view text) const {
        std::string word(begin_);
        q_ ? append_q(word, text) : append_b(word, text);
        return word += "?=";
    }

private:
    /// RFC 2047 s4: "Q" is for what can nearly be read as it is.
    static bool mostly_ascii(std::string_view text) {
        const auto high = std::ranges::count_if(text, [](char c) { return (c & 0x80) != 0; });
        return static_cast<std::size_t>(high) * 3 <= text.size() * 2;
    }
    static std::size_t character(std::string_view text) {
        const int size = u8_mblen(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        return size > 0 ? static_cast<std::size_t>(size) : 1;  // NUL has none
    }
    bool q_;
    std::string_view begin_;
};

}  // namespace

bool has_8bit(std::string_view text) {
    std::uint64_t high = 0;
    std::size_t i = 0;
    for (std::uint64_t eight; i + sizeof(eight) <= text.size(); i += sizeof(eight)) {
        std::memcpy(&eight, text.data() + i, sizeof(eight));
        high |= eight;
    }
    for (; i < text.size(); ++i) high |= static_cast<std::uint64_t>(text[i] & 0x80);
    return (high & 0x8080808080808080u) != 0;
}

void FieldWriter::fold() {
    out_ += "\r\n";
    column_ = 0;
    line_encoded_ = false;
}

void FieldWriter::word(std::string_view wsp, std::string_view word) {
    if (word.empty()) return;
    // Without white space this is a structured field, in which it may be added.
    if ((!wsp.empty() || line_encoded_) && column_ + wsp.size() + word.size() > kColumns) {
        fold();
        if (wsp.empty()) wsp = " ";
    }
    out_.append(wsp).append(word);
    column_ += wsp.size() + word.size();
    after_encoded_ = looks_encoded(word);
}

void FieldWriter::words(std::string_view text) {
    while (!text.empty()) {
        const auto begin = std::min(text.find_first_not_of(kWsp), text.size());
        const auto end = std::min(text.find_first_of(kWsp, begin), text.size());
        word(text.substr(0, begin), text.substr(begin, end - begin));
        text.remove_prefix(end);
    }
}

void FieldWriter::encoded(std::string_view lead, std::string_view text) {
    if (text.empty()) return;
    std::string spaced;
    if (after_encoded_ && !lead.empty() && kWsp.contains(lead.back())) text = (spaced = " ").append(text);
    if (lead.size() > kMostLead) lead = lead.ends_with('(') ? " (" : " ";
    const WordEncoder encoder(text);
    while (!text.empty()) {
        std::size_t used = column_ + lead.size();
        const bool whole = used < kEncodedColumns && encoder.fits(text, kEncodedColumns - used) == text.size();
        if (used + (whole ? encoder.least() : kLeastRoom) > kEncodedColumns) {
            fold();
            if (lead.empty()) lead = " ";
            used = lead.size();
        }
        const std::size_t size = encoder.fits(text, kEncodedColumns - used);
        const std::string word = encoder.encode(text.substr(0, size));
        out_.append(lead).append(word);
        column_ = used + word.size();
        text.remove_prefix(size);
        lead = " ";
        line_encoded_ = true;
        if (!text.empty()) fold();
    }
    after_encoded_ = true;
}

void FieldWriter::unstructured(std::string_view text) {
    while (!text.empty()) {
        const auto begin = std::min(text.find_first_not_of(kWsp), text.size());
        auto end = std::min(text.find_first_of(kWsp, begin), text.size());
        if (!needs_encoding(text.substr(begin, end - begin))) {
            word(text.substr(0, begin), text.substr(begin, end - begin));
            text.remove_prefix(end);
            continue;
        }
        for (std::size_t at = end;;) {
            const auto next = text.find_first_not_of(kWsp, at);
            if (next == text.npos) break;
            at = std::min(text.find_first_of(kWsp, next), text.size());
            const auto candidate = text.substr(next, at - next);
            if (looks_encoded(candidate) || next - end > kGap) break;
            if (needs_encoding(candidate)) end = at;
        }
        std::string run(text.substr(begin, end - begin));
        const auto after = std::min(text.find_first_not_of(kWsp, end), text.size());
        if (looks_encoded(text.substr(after, text.find_first_of(kWsp, after) - after))) run += ' ';
        encoded(text.substr(0, begin), run);
        text.remove_prefix(end);
    }
}

}  // namespace poplar::mail
