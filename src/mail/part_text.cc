#include "mail/part_text.h"

#include <unistr.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/charset.h"
#include "mail/html_text.h"
#include "mail/mime_value.h"

namespace poplar::mail {

namespace {

using Kind = ContentType::Kind;

/// Octets that are no UTF-8 become U+FFFD.
std::string repaired(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    while (!text.empty()) {
        ucs4_t code = 0;
        const int size = u8_mbtoucr(&code, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        if (size > 0)
            out += text.substr(0, static_cast<std::size_t>(size));
        else
            out += "\uFFFD";
        text.remove_prefix(size > 0 ? static_cast<std::size_t>(size) : 1);
    }
    return out;
}

/// The charset that a type names, without reading all of its parameters; "" for UTF-8 and ASCII, and where none is
/// named.
std::string charset_of(const Structure::Part& part) {
    const auto value = part.field(KeptField::content_type);
    if (!value || value->find('=') == value->npos) return {};
    const auto type = parse_mime_value(*value);
    const auto* charset = type ? type->parameter("charset") : nullptr;
    if (!charset) return {};
    auto name = iconv_name(*charset);
    return name == "utf-8" ? std::string() : name;
}

bool is_attachment(const Structure::Part& part) {
    return ascii::starts_with(ascii::trim(part.field(KeptField::content_disposition).value_or("")), "attachment");
}

}  // namespace

std::optional<TransferEncoding> transfer_of(const Structure::Part& part) {
    auto name = part.field(KeptField::content_transfer_encoding).value_or("");
    name = name.substr(0, std::min(name.find_first_of(" \t;("), name.size()));
    return find_transfer_encoding(name);
}

TextKind text_kind(const Structure::Part& part) {
    if (part.kind == Kind::fields) return TextKind::plain;
    if (part.kind != Kind::leaf) return TextKind::none;
    const auto value = part.field(KeptField::content_type);
    if (!value) return TextKind::plain;
    if (ascii::starts_with(*value, "text/html") || ascii::starts_with(*value, "application/xhtml"))
        return TextKind::html;
    const bool text = ascii::starts_with(*value, "text/") || ascii::starts_with(*value, "multipart/") ||
                      ascii::starts_with(*value, "message/") || value->find('/') == value->npos;
    return text ? TextKind::plain : TextKind::none;
}

std::optional<std::size_t> find_shown_text(const Structure& structure) {
    std::optional<std::size_t> html;
    for (std::size_t i = 0; i < structure.parts.size(); ++i) {
        const auto& part = structure.parts[i];
        const auto kind = text_kind(part);
        if (kind == TextKind::none || (i > 0 && is_attachment(part))) continue;
        if (kind == TextKind::plain) return i;
        if (!html) html = i;
    }
    return html;
}

std::string decode_text(const Structure::Part& part, std::string_view body, std::size_t limit) {
    const auto transfer = transfer_of(part);
    if (!transfer) return {};
    std::string text;
    if (*transfer == TransferEncoding::identity) {
        text = body.substr(0, limit);
    } else {
        TransferDecoder decoder(*transfer);
        text.reserve(std::min(body.size(), limit) + 4);
        decoder.decode(body.substr(0, limit + limit / 2), text);
        decoder.finish(text);
    }
    if (const auto charset = charset_of(part); !charset.empty())
        if (auto converted = from_iconv(charset, text)) text = std::move(*converted);
    if (!is_utf8(text)) text = repaired(text);
    if (text_kind(part) == TextKind::html) {
        std::string read;
        read.reserve(text.size());
        append_html_text(text, read);
        return read;
    }
    return text;
}

}  // namespace poplar::mail
