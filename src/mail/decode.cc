#include "mail/decode.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace poplar::mail {

namespace {

constexpr auto kBase64 = [] {
    std::array<std::int8_t, 256> table{};
    table.fill(-1);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
    return table;
}();
int base64_value(char c) { return kBase64[static_cast<unsigned char>(c)]; }

int hex(char c) {
    if (ascii::is_digit(c)) return c - '0';
    const char l = ascii::lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// Where what is not decided yet begins in a line of quoted-printable that goes on: at white space that may stand
/// before its end, with the "=" of a soft break in front, or at an octet whose digits are not all there.
std::size_t undecided(std::string_view line) {
    auto at = line.size();
    if (at > 0 && line[at - 1] == '\r') --at;
    while (at > 0 && ascii::is_wsp(line[at - 1])) --at;
    if (at > 0 && line[at - 1] == '=') return at - 1;
    if (at == line.size() && at > 1 && line[at - 2] == '=' && hex(line[at - 1]) >= 0) return at - 2;
    return at;
}

/// Decodes the "=XX" within a line.
void decode_octets(std::string_view text, std::string& out) {
    while (!text.empty()) {
        const auto plain = text.substr(0, text.find('='));
        out += plain;
        text.remove_prefix(plain.size());
        if (text.empty()) return;
        if (text.size() > 2 && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            out += static_cast<char>(hex(text[1]) * 16 + hex(text[2]));
            text.remove_prefix(3);
        } else {
            out += '=';
            text.remove_prefix(1);
        }
    }
}

}  // namespace

std::optional<TransferEncoding> find_transfer_encoding(std::string_view name) {
    name = ascii::trim(name);
    if (ascii::same(name, "base64")) return TransferEncoding::base64;
    if (ascii::same(name, "quoted-printable")) return TransferEncoding::quoted_printable;
    for (const auto known : {"", "7bit", "8bit", "binary"})
        if (ascii::same(name, known)) return TransferEncoding::identity;
    return std::nullopt;
}

void TransferDecoder::decode(std::string_view in, std::string& out) {
    switch (encoding_) {
        case TransferEncoding::identity: out += in; break;
        case TransferEncoding::base64: base64(in, out); break;
        case TransferEncoding::quoted_printable: quoted_printable(in, out); break;
    }
}

void TransferDecoder::finish(std::string& out) {
    if (!held_.empty()) line(held_, false, out);
    held_.clear();
    bits_ = 0;
    count_ = 0;
}

void TransferDecoder::base64(std::string_view in, std::string& out) {
    const auto before = out.size();
    out.resize(before + in.size() / 4 * 3 + 4);
    char* to = out.data() + before;
    for (std::size_t i = 0; i < in.size();) {
        while (count_ == 0 && i + 4 <= in.size()) {  // as nearly all of it
            const int a = base64_value(in[i]), b = base64_value(in[i + 1]), c = base64_value(in[i + 2]),
                      d = base64_value(in[i + 3]);
            if ((a | b | c | d) < 0) break;
            const auto all = static_cast<std::uint32_t>(a << 18 | b << 12 | c << 6 | d);
            *to++ = static_cast<char>(all >> 16);
            *to++ = static_cast<char>(all >> 8 & 0xff);
            *to++ = static_cast<char>(all & 0xff);
            i += 4;
        }
        if (i == in.size()) break;
        const char c = in[i++];
        if (c == '=') {  // what stands behind is another run of base64, if it is anything
            count_ = 0;
            bits_ = 0;
            continue;
        }
        const int value = base64_value(c);
        if (value < 0) continue;
        bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
        count_ += 6;
        if (count_ < 8) continue;
        count_ -= 8;
        *to++ = static_cast<char>(bits_ >> count_ & 0xff);
        bits_ &= (1u << count_) - 1;
    }
    out.resize(static_cast<std::size_t>(to - out.data()));
}

void TransferDecoder::quoted_printable(std::string_view in, std::string& out) {
    for (auto newline = in.find('\n'); newline != in.npos; newline = in.find('\n')) {
        const auto text = in.substr(0, newline);
        if (held_.empty()) {
            line(text, true, out);
        } else {
            held_ += text;
            line(held_, true, out);
            held_.clear();
        }
        in.remove_prefix(newline + 1);
    }
    if (in.empty()) return;
    held_ += in;
    const auto cut = held_.size() > kMostHeld ? held_.size() : undecided(held_);
    decode_octets(std::string_view(held_).substr(0, cut), out);
    held_.erase(0, cut);
}

void TransferDecoder::line(std::string_view text, bool ended, std::string& out) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    while (!text.empty() && ascii::is_wsp(text.back())) text.remove_suffix(1);
    const bool soft = text.ends_with('=');
    if (soft) text.remove_suffix(1);
    decode_octets(text, out);
    if (ended && !soft) out += "\r\n";
}

std::optional<std::string> decode_transfer(std::string_view body, std::string_view encoding) {
    const auto known = find_transfer_encoding(encoding);
    if (!known) return std::nullopt;
    std::string out;
    out.reserve(body.size() + 4);
    TransferDecoder decoder(*known);
    decoder.decode(body, out);
    decoder.finish(out);
    return out;
}

}  // namespace poplar::mail
