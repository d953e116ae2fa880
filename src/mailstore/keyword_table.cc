#include "mailstore/keyword_table.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/encoding.h"

namespace poplar::mailstore {

namespace {

constexpr std::uint8_t kVersion = 5;

}  // namespace

bool is_keyword(std::string_view text) {
    constexpr std::string_view kSpecials = "(){%*\"\\]";
    auto is_atom_char = [&](char c) { return c > ' ' && c < 0x7f && !kSpecials.contains(c); };
    return !text.empty() && text.size() <= kLongestKeyword && std::ranges::all_of(text, is_atom_char);
}

std::optional<std::size_t> KeywordTable::find(std::string_view name) const {
    auto same = [name](std::string_view other) { return ascii::same(name, other); };
    auto found = std::ranges::find_if(names_, same);
    if (found == names_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names_.begin());
}

Result<std::size_t> KeywordTable::add(std::string_view name) {
    if (auto found = find(name)) return *found;
    if (!is_keyword(name)) return fail(Errc::invalid, "not a keyword");
    if (names_.size() >= kMostKeywords) return fail(Errc::too_large, "the mailbox has as many keywords as it may");
    names_.emplace_back(name);
    grew_ = true;
    return names_.size() - 1;
}

std::vector<std::string> KeywordTable::names_of(std::string_view bits) const {
    std::vector<std::string> names;
    for (std::size_t n = 0; n < names_.size(); ++n)
        if (has_bit(bits, n)) names.push_back(names_[n]);
    return names;
}

Result<std::string> KeywordTable::translate(std::string_view bits, const KeywordTable& from) {
    std::string translated;
    for (const auto& name : from.names_of(bits)) {
        auto n = add(name);
        if (!n) return pass_on(n);
        set_bit(translated, *n);
    }
    return translated;
}

void set_bit(std::string& bits, std::size_t n) {
    if (bits.size() <= n / 8) bits.resize(n / 8 + 1, '\0');
    bits[n / 8] = static_cast<char>(bits[n / 8] | 1 << n % 8);
}

void clear_bit(std::string& bits, std::size_t n) {
    if (!has_bit(bits, n)) return;
    bits[n / 8] = static_cast<char>(bits[n / 8] & ~(1 << n % 8));
    while (!bits.empty() && bits.back() == '\0') bits.pop_back();
}

bool has_bit(std::string_view bits, std::size_t n) {
    return n / 8 < bits.size() && (static_cast<unsigned char>(bits[n / 8]) >> n % 8 & 1) != 0;
}

std::string encode(const KeywordTable& table) {
    Encoder out;
    out.u8(kVersion).varint(table.names().size());
    for (const auto& name : table.names()) out.string(name);
    return std::move(out).bytes();
}

Result<KeywordTable> decode_keywords(std::string_view value) {
    Decoder in(value);
    bool sound = in.u8() == kVersion;
    std::vector<std::string> names;
    for (auto n = in.varint(); n > 0 && in.ok() && sound; --n) {
        names.emplace_back(in.string());
        sound = is_keyword(names.back()) && names.size() <= kMostKeywords;
    }
    if (!sound || !in.ok() || !in.at_end()) return fail(Errc::corrupt, "a mailbox's keywords can't be decoded");
    return KeywordTable(std::move(names));
}

}  // namespace poplar::mailstore
