#pragma once
// Texts of the configuration with `{address}`, `{local}` and `{domain}` in them. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mail/address.h"

namespace poplar::directory::outside {

/// The parts of an address that a text may name.
enum class Word { address, local, domain };

/// The value that takes a word's place.
std::string value_of(Word word, const mail::Address& address);

/// Puts `replace(word)` in place of each word. Braces around anything else are an error, because they are a mistake in
/// a word. Errors: invalid.
template <class Replace>
Result<std::string> replace_words(std::string_view text, Replace replace);

/// Whether an LDAP server finds this local part under no other's name: most attributes of people are compared prepared
/// (RFC 4518 s2), so that spaces and characters that are not seen don't count, nor does which of several forms one has.
bool is_compared_whole(std::string_view local);

/// As it stands in an LDAP search filter (RFC 4515 s3): "*", "(", ")", "\" and NUL as "\" and two hexadecimal digits.
std::string escaped_for_filter(std::string_view value);

/// The filter for one address. Errors: invalid.
Result<std::string> filter_for(std::string_view filter, const mail::Address& address);

/// The text itself for one address, nothing escaped. Errors: invalid.
Result<std::string> text_for(std::string_view text, const mail::Address& address);

/// An SQL query whose words have become parameters: none of an address ever stands in the text of a query.
struct Query {
    std::string text;
    std::vector<Word> parameters;  ///< the first is $1
};
/// Whether a query may find another one's row by this local part: columns of some types and collations are compared
/// without the spaces at the end.
inline bool is_padded(std::string_view local) { return local.ends_with(' '); }
/// A word in quotation marks is an error, because it would be a text there and no parameter. Errors: invalid.
Result<Query> query_of(std::string_view text);

template <class Replace>
Result<std::string> replace_words(std::string_view text, Replace replace) {
    std::string out;
    for (;;) {
        const auto open = text.find('{');
        out.append(text.substr(0, open));
        if (open == std::string_view::npos) return out;
        text.remove_prefix(open + 1);
        const auto close = text.find('}');
        const auto name = text.substr(0, close);
        if (close == std::string_view::npos) return fail(Errc::invalid, "a \"{\" without \"}\"");
        if (name == "address")
            out.append(replace(Word::address));
        else if (name == "local")
            out.append(replace(Word::local));
        else if (name == "domain")
            out.append(replace(Word::domain));
        else
            return fail(Errc::invalid, "\"{" + std::string(name) + "}\" is none of {address}, {local} and {domain}");
        text.remove_prefix(close + 1);
    }
}

}  // namespace poplar::directory::outside
