#pragma once
// The texts of a message's parts, as people read them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mail/decode.h"
#include "mail/structure.h"

namespace poplar::mail {

/// A part's transfer encoding; nothing: it is not known.
std::optional<TransferEncoding> transfer_of(const Structure::Part& part);

enum class TextKind : std::uint8_t {
    none,   ///< no text: it holds other parts, or something else than text
    plain,  ///< any text but HTML, fields of a report, too
    html,
};
TextKind text_kind(const Structure::Part& part);

/// The part whose text a client would show: the first plain one that is no attachment, else the first HTML one.
std::optional<std::size_t> find_shown_text(const Structure& structure);

/// Of a part that is text: its body, in plain octets, without its transfer encoding, in UTF-8, HTML as text; at most
/// about `limit` octets. A text that is cut in the middle is read as far as it goes; octets that mean nothing in its
/// charset become U+FFFD.
std::string decode_text(const Structure::Part& part, std::string_view body, std::size_t limit);

}  // namespace poplar::mail
