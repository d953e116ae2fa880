#pragma once
// Lists of tags and values, `v=DKIM1; p=...`, as DKIM, ARC and DMARC write them (RFC 6376 s3.2).
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace poplar::screening {

class TagList {
public:
    /// Any octets are allowed. Nothing: a tag has no "=", its name is none, or stands there twice; or there are more
    /// than 64.
    static std::optional<TagList> parse(std::string_view text);

    /// The value without white space around it (that inside it stays); null: there is no such tag. Names are
    /// case-sensitive.
    const std::string* find(std::string_view name) const;
    std::string value(std::string_view name, std::string_view or_else = "") const;
    /// The first tag's name; "" if there is none.
    std::string_view first() const { return tags_.empty() ? std::string_view() : tags_.front().first; }

private:
    std::vector<std::pair<std::string, std::string>> tags_;
};

/// The text without spaces, tabs and line ends.
std::string without_space(std::string_view text);
/// The parts between separators, each without white space around it.
std::vector<std::string> split(std::string_view text, char separator);
/// Digits alone, as a number; nothing: something else, or over 2^63.
std::optional<std::uint64_t> parse_count(std::string_view text);
/// Base64 with white space in it. Nothing: it is none.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view octets);

}  // namespace poplar::screening
