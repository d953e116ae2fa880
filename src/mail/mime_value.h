#pragma once
// A part's type or disposition, with parameters (RFC 2045 s5.1, RFC 2183, RFC 2231).
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::mail {

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

/// The same for whoever decodes it himself, as IMAP's clients do (RFC 9051 s7.5.2): all as it stands, quotes undone;
/// the pieces that RFC 2231 cuts a parameter in are parameters.
std::optional<MimeValue> parse_raw_mime_value(std::string_view value);

}  // namespace poplar::mail
