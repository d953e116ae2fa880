#pragma once
// Text of strangers that people will read, in a log or at a terminal.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace poplar {

/// A character that is obeyed and not shown.
struct HiddenCharacter {
    std::size_t octets;  ///< in UTF-8
    char32_t code;
};

/// The character that `text`, UTF-8, begins with, if that is a control (C0, DEL, C1: they steer a terminal), a line or
/// paragraph separator (some readers end a line there) or one that turns the direction of writing (U+202E and its like
/// make a line read as another).
std::optional<HiddenCharacter> hidden_character(std::string_view text);

/// `text` with its hidden characters as `\u202e`. Within JSON that has no line ends, which holds such characters in
/// strings alone, it means the same.
std::string with_hidden_shown(std::string_view text);

}  // namespace poplar
