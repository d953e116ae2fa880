#pragma once
// The human-readable texts of replies, in every language that LANG offers (RFC 6856 s3).
//
// To add a text: write it in English where it is said, conversation.say_error("the sea is rough"). The compiler then
// asks for it; add a row to kTexts in pop3/text_table.h with all languages, in the order of kLanguages. Arguments are
// "{}", as many and in the same order in every language. Texts name no numbers in words, begin in lower case and have
// no final stop, because other text may stand before and behind them.
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "pop3/text_table.h"

namespace poplar::pop3 {

/// An index into kLanguages.
enum class Language : std::uint8_t { english = 0 };

/// The language for a basic language range (RFC 4647 s2.1), by lookup (s3.4): "de-CH-1996" is "de" if there is neither
/// "de-CH-1996" nor "de-CH". Nothing if we have no such language, or `range` is malformed or "*".
std::optional<Language> find_language(std::string_view range);
constexpr const LanguageName& name_of(Language language) { return kLanguages[static_cast<std::size_t>(language)]; }

/// One text of the table.
class Text {
public:
    /// The text that reads so in English. Does not compile if the table has none.
    template <std::size_t size>
    consteval Text(const char (&english)[size]) : row_(find_or_stop({english, size - 1})) {}
    bool operator==(const Text&) const = default;
    constexpr std::string_view in(Language language) const { return kTexts[row_][static_cast<std::size_t>(language)]; }

private:
    static consteval std::uint16_t find_or_stop(std::string_view english) {
        for (std::size_t row = 0; row < std::size(kTexts); ++row)
            if (kTexts[row][0] == english) return static_cast<std::uint16_t>(row);
        throw "this text is not in kTexts (pop3/text_table.h)";
    }
    std::uint16_t row_;
};

/// A text and the arguments it takes, checked by the compiler.
template <class... Args>
struct Phrase {
    template <std::size_t size>
    consteval Phrase(const char (&english)[size]) : text(english) {
        [[maybe_unused]] fmt::format_string<Args...> fits(english);
    }
    Text text;
};

}  // namespace poplar::pop3
