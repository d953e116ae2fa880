#include "auth/second_code.h"

#include <algorithm>

#include "auth/symbols.h"
#include "base/random.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kWordSymbols = 12, kGroup = 4;
constexpr unsigned kFirstLetter = 10;  // of kSymbols; digits stand before

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<PasswordAndCode> split_digits(std::string_view typed) {
    if (typed.size() <= kTotpDigits) return std::nullopt;
    const auto code = typed.substr(typed.size() - kTotpDigits);
    if (!std::ranges::all_of(code, is_digit)) return std::nullopt;
    return PasswordAndCode{std::string(typed.substr(0, typed.size() - kTotpDigits)), std::string(code)};
}

}  // namespace

std::string make_word_code() {
    std::string code = random_text(kWordSymbols);
    while (is_digit(code.back())) code.back() = random_text(1).front();
    return code;
}

std::string grouped_code(std::string_view code) {
    std::string out;
    for (std::size_t at = 0; at < code.size(); at += kGroup) {
        if (at != 0) out.push_back('-');
        out.append(code.substr(at, kGroup));
    }
    return out;
}

std::optional<PasswordAndCode> split_code(std::string_view typed) {
    if (auto split = split_digits(typed)) return split;
    std::string code;
    auto at = typed.size();
    while (at > 0 && code.size() < kWordSymbols) {
        const char c = typed[--at];
        if (c == '-' && !code.empty()) continue;
        const auto symbol = symbol_of(c);
        if (!symbol || (code.empty() && *symbol < kFirstLetter)) return std::nullopt;
        code.push_back(kSymbols[*symbol]);
    }
    if (code.size() < kWordSymbols || at == 0) return std::nullopt;
    std::ranges::reverse(code);
    return PasswordAndCode{std::string(typed.substr(0, at)), std::move(code)};
}

}  // namespace poplar::auth
