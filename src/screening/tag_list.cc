#include "screening/tag_list.h"

#include <sodium.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kMostTags = 64;

bool is_space(char c) { return ascii::is_wsp(c) || c == '\r' || c == '\n'; }

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

bool is_name(std::string_view name) {
    return !name.empty() && ascii::is_alpha(name.front()) &&
           std::ranges::all_of(name, [](char c) { return ascii::is_alnum(c) || c == '_'; });
}

}  // namespace

std::optional<TagList> TagList::parse(std::string_view text) {
    TagList list;
    while (!text.empty()) {
        const auto end = std::min(text.find(';'), text.size());
        const auto one = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (one.empty()) {
            if (trim(text).empty()) break;  // behind the last one
            return std::nullopt;
        }
        const auto equals = one.find('=');
        if (equals == one.npos) return std::nullopt;
        const auto name = trim(one.substr(0, equals));
        if (!is_name(name) || list.find(name) || list.tags_.size() >= kMostTags) return std::nullopt;
        list.tags_.emplace_back(name, trim(one.substr(equals + 1)));
    }
    return list;
}

const std::string* TagList::find(std::string_view name) const {
    for (const auto& [key, value] : tags_)
        if (key == name) return &value;
    return nullptr;
}

std::string TagList::value(std::string_view name, std::string_view or_else) const {
    const auto* found = find(name);
    return found ? *found : std::string(or_else);
}

std::string without_space(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (!is_space(c)) out += c;
    return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        const auto end = text.find(separator);
        parts.emplace_back(trim(text.substr(0, end)));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t value = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (text.empty() || error != std::errc{} || end != last || value >> 63 != 0) return std::nullopt;
    return value;
}

std::optional<std::string> decode_base64(std::string_view text) {
    std::string out(text.size() / 4 * 3 + 3, '\0');
    std::size_t size = 0;
    const char* end = nullptr;
    const int failed = sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                                         text.size(), " \t\r\n", &size, &end, sodium_base64_VARIANT_ORIGINAL);
    if (failed != 0 || end != text.data() + text.size()) return std::nullopt;
    out.resize(size);
    return out;
}

std::string encode_base64(std::string_view octets) {
    std::string out(sodium_base64_ENCODED_LEN(octets.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                      sodium_base64_VARIANT_ORIGINAL);
    out.pop_back();  // the NUL at its end
    return out;
}

}  // namespace poplar::screening
