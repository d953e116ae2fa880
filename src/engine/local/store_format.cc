#include "engine/local/store_format.h"

#include <fmt/format.h>

#include <charconv>

#include "base/crc32c.h"

namespace poplar::engine::local {

namespace {

std::string lines_of(const StoreFormat& format) {
    return fmt::format("poplar-store {}\nmark {:016x}\n", format.version, format.mark.value);
}

// The number behind `name` at the beginning of the text's next line.
template <class Number>
bool take(std::string_view& text, std::string_view name, Number& number, int base) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name)) return false;
    line.remove_prefix(name.size());
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number, base);
    return error == std::errc{} && end == line.data() + line.size();
}

}  // namespace

std::string encode_format(const StoreFormat& format) {
    auto lines = lines_of(format);
    if (format.version == 1) return lines;  // had no checksum
    return lines + fmt::format("check {:08x}\n", crc32c(lines));
}

Result<StoreFormat> parse_format(std::string_view text) {
    StoreFormat format;
    auto rest = text;
    bool sound = take(rest, "poplar-store ", format.version, 10);
    // A newer format may say anything else, but its last line tells whether the first can be believed.
    auto last = text.substr(0, text.size() - std::min<std::size_t>(text.size(), 1)).rfind('\n');
    auto check = last == std::string_view::npos ? std::string_view() : text.substr(last + 1);
    bool unchecked = !text.contains("check");
    bool checked = check == fmt::format("check {:08x}\n", crc32c(text.substr(0, text.size() - check.size())));
    if (sound && format.version > StoreFormat::kNewest && (checked || unchecked))
        return fail(Errc::invalid,
                    fmt::format("store format {}, this poplar knows up to {}", format.version, StoreFormat::kNewest));
    sound = sound && take(rest, "mark ", format.mark.value, 16) && text == encode_format(format);
    if (!sound) return fail(Errc::corrupt, "FORMAT is damaged");
    return format;
}

}  // namespace poplar::engine::local
