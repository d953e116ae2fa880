#pragma once
// The content of a part: its type with parameters (RFC 2045, RFC 2231), and its body decoded into UTF-8.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::sieve {

struct Parameter {
    std::string name;   ///< in lower case
    std::string value;  ///< joined and decoded
};

/// A Content-Type or a Content-Disposition.
struct MimeValue {
    std::string type, subtype;  ///< in lower case; of a disposition the type alone
    std::vector<Parameter> parameters;
    const std::string* parameter(std::string_view name) const;
};

/// Nothing: it can't be read. A value without a subtype is allowed.
std::optional<MimeValue> parse_mime_value(std::string_view value);

/// `body` without its transfer encoding; nothing: the encoding is not known.
std::optional<std::string> decode_transfer(std::string_view body, std::string_view encoding);

}  // namespace poplar::sieve
