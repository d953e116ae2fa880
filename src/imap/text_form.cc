#include "imap/text_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/ascii.h"
#include "imap/cursor.h"
#include "mail/address.h"

namespace poplar::imap {

namespace {

// A longer one goes out as a literal: some clients read responses into lines of bounded length.
constexpr std::size_t kLongestQuoted = 1000;

struct Octets {
    bool has_8bit = false, has_special = false, has_control = false, has_nul = false;
};

Octets octets_of(std::string_view text) {
    Octets octets;
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        octets.has_8bit |= octet >= 0x80;
        octets.has_special |= c == '"' || c == '\\';
        octets.has_control |= c == '\r' || c == '\n';
        octets.has_nul |= c == '\0';
    }
    return octets;
}

void append_quoted(std::string& out, std::string_view text) {
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
}

}  // namespace

void write_string(std::string& out, std::string_view text, TextForm form) {
    const auto octets = octets_of(text);
    if (octets.has_nul) {
        std::string clean(text);
        std::ranges::replace(clean, '\0', ' ');
        return write_string(out, clean, form);
    }
    const bool quoted = text.size() <= kLongestQuoted && !octets.has_control &&
                        (!octets.has_8bit || (form == TextForm::utf8 && mail::is_utf8(text)));
    if (!quoted) {
        fmt::format_to(std::back_inserter(out), "{{{}}}\r\n", text.size());
        out += text;
        return;
    }
    out += '"';
    if (octets.has_special)
        append_quoted(out, text);
    else
        out += text;
    out += '"';
}

void write_astring(std::string& out, std::string_view text, TextForm form) {
    const bool atom = !text.empty() && std::ranges::all_of(text, is_astring_char) && !ascii::same(text, "NIL");
    if (atom)
        out += text;
    else
        write_string(out, text, form);
}

void write_number(std::string& out, std::uint64_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out += '"';
}

}  // namespace poplar::imap
