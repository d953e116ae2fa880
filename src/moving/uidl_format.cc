#include "moving/uidl_format.h"

#include <fmt/format.h>

namespace poplar::moving {

namespace {
constexpr std::size_t kWidest = 20;
}

Result<UidlFormat> UidlFormat::parse(std::string_view text) {
    UidlFormat format;
    const auto wrong = [&](std::string_view why) {
        return fail(Errc::invalid, fmt::format("\"{}\" {}: %u, %v (as %08Xu), %f and %g are known", text, why));
    };
    bool any = false;
    for (std::size_t at = 0; at < text.size();) {
        Piece piece;
        if (text[at] != '%') {
            const auto end = std::min(text.find('%', at), text.size());
            piece.text = text.substr(at, end - at);
            at = end;
        } else if (text.substr(at).starts_with("%%")) {
            piece.text = "%";
            at += 2;
        } else {
            ++at;
            if (at < text.size() && text[at] == '0') piece.zeros = true;
            for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
                piece.width = std::min<std::size_t>(piece.width * 10 + static_cast<std::size_t>(text[at] - '0'), 1000);
            if (at < text.size() && text[at] == 'X') piece.hexadecimal = true, ++at;
            if (at == text.size()) return wrong("ends with a %");
            piece.variable = text[at++];
            if (std::string_view("uvfg").find(piece.variable) == std::string_view::npos)
                return wrong(fmt::format("has an unknown %{}", piece.variable));
            if (piece.width > kWidest) return wrong("is too wide");
            if ((piece.variable == 'f' || piece.variable == 'g') && (piece.width > 0 || piece.hexadecimal))
                return wrong("has a width where none can be");
            any = true;
        }
        format.pieces_.push_back(std::move(piece));
    }
    if (!any) return wrong("would make the same of every message");
    return format;
}

std::string UidlFormat::expand(const Values& values) const {
    std::string out;
    for (const auto& piece : pieces_) {
        if (piece.variable == 0) {
            out += piece.text;
        } else if (piece.variable == 'f') {
            out += values.file;
        } else if (piece.variable == 'g') {
            out += values.guid;
        } else {
            const auto number = piece.variable == 'u' ? values.uid : values.uid_validity;
            auto digits = piece.hexadecimal ? fmt::format("{:x}", number) : fmt::format("{}", number);
            if (digits.size() < piece.width) out.append(piece.width - digits.size(), piece.zeros ? '0' : ' ');
            out += digits;
        }
    }
    return out;
}

}  // namespace poplar::moving
