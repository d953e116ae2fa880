#include "directory/outside/words.h"

#include <fmt/format.h>

#include <algorithm>

namespace poplar::directory::outside {

std::string value_of(Word word, const mail::Address& address) {
    switch (word) {
        case Word::local: return address.local;
        case Word::domain: return address.domain;
        case Word::address: break;
    }
    return address.local + "@" + address.domain;
}

std::string escaped_for_filter(std::string_view value) {
    std::string out;
    for (char c : value) {
        if (c == '*' || c == '(' || c == ')' || c == '\\' || c == '\0')
            out += fmt::format("\\{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out;
}

Result<std::string> filter_for(std::string_view filter, const mail::Address& address) {
    auto value = [&](Word word) { return escaped_for_filter(value_of(word, address)); };
    return replace_words(filter, value);
}

Result<std::string> text_for(std::string_view text, const mail::Address& address) {
    auto value = [&](Word word) { return value_of(word, address); };
    return replace_words(text, value);
}

Result<Query> query_of(std::string_view text) {
    // Texts and quoted names of SQL end at the same mark; one that is doubled begins the next at once.
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\'' && text[at] != '"') continue;
        const auto end = text.find(text[at], at + 1);
        if (end == std::string_view::npos) return fail(Errc::invalid, "a quotation mark without its end");
        if (text.substr(at, end - at).find('{') != std::string_view::npos)
            return fail(Errc::invalid, "a word in braces between quotation marks: leave the marks out");
        at = end;
    }
    Query query;
    auto parameter = [&](Word word) {
        auto found = std::ranges::find(query.parameters, word);
        if (found == query.parameters.end()) found = query.parameters.insert(found, word);
        return "$" + std::to_string(found - query.parameters.begin() + 1);
    };
    auto made = replace_words(text, parameter);
    if (!made) return pass_on(made);
    query.text = std::move(*made);
    if (query.parameters.empty()) return fail(Errc::invalid, "no {address}, {local} or {domain} in it");
    return query;
}

}  // namespace poplar::directory::outside
