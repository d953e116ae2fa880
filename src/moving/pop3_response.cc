#include "moving/pop3_response.h"

#include <charconv>

#include "base/ascii.h"

namespace poplar::moving {

namespace {

/// The number that `text` begins with, taken away with the white space behind it; 0: there is none.
template <class Number>
Number take_number(std::string_view& text) {
    Number number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto octets = static_cast<std::size_t>(end - text.data());
    if (failed != std::errc() || (octets < text.size() && !ascii::is_wsp(text[octets]))) return 0;
    text = ascii::trim_left(text.substr(octets));
    return number;
}

}  // namespace

Result<std::string> parse_pop3_status(std::string_view line) {
    const auto behind = [&](std::size_t octets) { return std::string(ascii::trim(line.substr(octets))); };
    if (line.starts_with("+OK")) return behind(3);
    if (line.starts_with("-ERR")) return fail(Errc::denied, behind(4));
    return fail(Errc::invalid, "what it says is no POP3");
}

std::optional<std::pair<std::uint32_t, std::uint64_t>> parse_scan_listing(std::string_view line) {
    const auto number = take_number<std::uint32_t>(line);
    if (number == 0 || line.empty() || !ascii::is_digit(line.front())) return std::nullopt;
    std::uint64_t octets = 0;
    const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), octets);
    if (failed != std::errc() || (end != line.data() + line.size() && !ascii::is_wsp(*end))) return std::nullopt;
    return std::pair(number, octets);
}

std::optional<std::pair<std::uint32_t, std::string>> parse_unique_id_listing(std::string_view line) {
    const auto number = take_number<std::uint32_t>(line);
    const auto id = ascii::trim(line);
    if (number == 0 || id.empty()) return std::nullopt;
    return std::pair(number, std::string(id));
}

Result<bool> MultiLine::add(std::string_view octets) {
    wire_.clear();
    const auto used = decoder_.decode(octets, wire_);
    plain_.decode(wire_, text_);
    if (text_.size() > limit_) return fail(Errc::too_large, "a response of the other server is too long");
    if (!decoder_.at_end()) return false;
    if (used < octets.size()) return fail(Errc::invalid, "the other server says more than it was asked for");
    return true;
}

}  // namespace poplar::moving
