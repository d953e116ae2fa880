#include "directory/outside/words.h"

#include <fmt/format.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace poplar::directory::outside {

std::string value_of(Word word, const mail::Address& address) {
    switch (word) {
        case Word::local: return address.local;
        case Word::domain: return address.domain;
        case Word::address: break;
    }
    return address.local + "@" + address.domain;
}

bool is_compared_whole(std::string_view local) {
    if (local.contains(' ')) return false;
    if (std::ranges::none_of(local, [](char c) { return static_cast<unsigned char>(c) > 0x7f; })) return true;
    const auto* octets = reinterpret_cast<const std::uint8_t*>(local.data());
    std::size_t size = 0;
    const std::unique_ptr<std::uint8_t, decltype(&std::free)> form(
        u8_normalize(UNINORM_NFKC, octets, local.size(), nullptr, &size), &std::free);
    if (!form || !std::equal(octets, octets + local.size(), form.get(), form.get() + size)) return false;
    for (std::size_t at = 0; at < local.size();) {
        ucs4_t c = 0;
        const int octets_of_it = u8_mbtouc(&c, octets + at, local.size() - at);
        if (octets_of_it <= 0) return false;
        at += static_cast<std::size_t>(octets_of_it);
        // RFC 4518 s2.2: those that become a space, and those that become nothing.
        if (uc_is_general_category(c, UC_SPACE_SEPARATOR) || uc_is_general_category(c, UC_FORMAT) ||
            uc_is_property_default_ignorable_code_point(c) || c == 0x1806 || c == 0xfffc)
            return false;
    }
    return true;
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
