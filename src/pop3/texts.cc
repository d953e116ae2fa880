#include "pop3/texts.h"

#include <algorithm>

#include "base/ascii.h"

namespace poplar::pop3 {

namespace {

/// RFC 4647 s2.1: 1*8ALPHA *("-" 1*8alphanum).
bool is_range(std::string_view text) {
    for (bool first = true;; first = false) {
        auto subtag = text.substr(0, text.find('-'));
        if (subtag.empty() || subtag.size() > 8 ||
            !std::ranges::all_of(subtag, first ? ascii::is_alpha : ascii::is_alnum))
            return false;
        if (subtag.size() == text.size()) return true;
        text.remove_prefix(subtag.size() + 1);
    }
}

}  // namespace

std::optional<Language> find_language(std::string_view range) {
    if (!is_range(range)) return std::nullopt;
    for (;;) {
        for (std::size_t i = 0; i < kLanguages.size(); ++i)
            if (ascii::same(kLanguages[i].tag, range)) return static_cast<Language>(i);
        auto hyphen = range.rfind('-');
        if (hyphen == range.npos) return std::nullopt;
        range = range.substr(0, hyphen);
        // RFC 4647 s3.4: a single letter or digit goes with what it introduced.
        if (range.size() > 2 && range[range.size() - 2] == '-') range.remove_suffix(2);
    }
}

}  // namespace poplar::pop3
