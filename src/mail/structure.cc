#include "mail/structure.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "base/encoding.h"
#include "mail/header_walk.h"

namespace poplar::mail {

namespace {

using Kind = ContentType::Kind;

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kLeastOfPart = 9;  // octets of an encoded part without fields

constexpr std::array<std::pair<std::string_view, KeptField>, 19> kFields = {{
    {"bcc", KeptField::bcc},
    {"cc", KeptField::cc},
    {"content-description", KeptField::content_description},
    {"content-disposition", KeptField::content_disposition},
    {"content-id", KeptField::content_id},
    {"content-language", KeptField::content_language},
    {"content-location", KeptField::content_location},
    {"content-md5", KeptField::content_md5},
    {"content-transfer-encoding", KeptField::content_transfer_encoding},
    {"content-type", KeptField::content_type},
    {"date", KeptField::date},
    {"from", KeptField::from},
    {"in-reply-to", KeptField::in_reply_to},
    {"message-id", KeptField::message_id},
    {"references", KeptField::references},
    {"reply-to", KeptField::reply_to},
    {"sender", KeptField::sender},
    {"subject", KeptField::subject},
    {"to", KeptField::to},
}};
static_assert(std::ranges::is_sorted(kFields));
constexpr std::size_t kMostFields = kFields.size();  // of a part: the first of each name

std::optional<KeptField> kept_field(std::string_view name) {
    const auto lower = ascii::to_lower(name);
    const auto found =
        std::ranges::lower_bound(kFields, std::string_view(lower), {}, [](const auto& f) { return f.first; });
    if (found == kFields.end() || found->first != lower) return std::nullopt;
    return found->second;
}

bool is_of_contents(KeptField field) { return field >= KeptField::content_type; }

/// Without the line ends, and the white space at both ends.
std::string unfolded(std::string_view value) {
    std::string text;
    text.reserve(value.size());
    for (std::size_t at = 0; at < value.size();) {
        const auto newline = std::min(value.find('\n', at), value.size());
        auto line = value.substr(at, newline - at);
        if (newline < value.size() && line.ends_with('\r')) line.remove_suffix(1);
        text += line;
        at = newline + 1;
    }
    return std::string(ascii::trim(text));
}

}  // namespace

std::optional<std::string_view> Structure::Part::field(KeptField name) const {
    const auto found = std::ranges::find(fields, name, &Field::name);
    if (found == fields.end()) return std::nullopt;
    return found->value;
}

// A line that begins with "." has one more on the wire (RFC 1939 s3).
void StructureReader::count(std::string_view wire) {
    totals_.wire += wire.size();
    totals_.octets += wire.size();
    for (std::size_t at = 0; at < wire.size();) {
        if (line_start_ && wire[at] == '.') --totals_.octets;
        const auto newline = wire.find('\n', at);
        line_start_ = newline != wire.npos;
        if (!line_start_) return;
        ++totals_.lines;
        at = newline + 1;
    }
}

void StructureReader::part_begins(std::uint64_t offset, std::size_t level) {
    auto& part = structure_.parts.emplace_back();
    part.level = static_cast<std::uint32_t>(level);
    part.begin = offset;
    open_parts_.push_back(structure_.parts.size() - 1);
    open_.push_back(totals_);
    in_header_ = true;
    kept_ += kPartCosts;
}

void StructureReader::field(std::string_view octets) {
    count(octets);
    if (!in_header_) return;  // of a report in the body
    const auto name = field_name(octets);
    const auto kept = kept_field(name);
    if (!kept || kept_ >= kMost) return;
    auto& part = structure_.parts.back();
    const bool is_message =
        part.level == 0 || structure_.parts[open_parts_[open_parts_.size() - 2]].kind == Kind::message;
    if ((!is_message && !is_of_contents(*kept)) || part.field(*kept)) return;
    auto value = unfolded(octets.substr(octets.find(':') + 1));
    kept_ += value.size();
    part.fields.push_back({*kept, std::move(value)});
}

bool StructureReader::header_ends(const ContentType& type, std::uint64_t offset) {
    auto& part = structure_.parts.back();
    part.kind = type.kind;
    part.body = offset;
    part.header_octets = totals_.octets - open_.back().octets;
    open_.back() = totals_;
    in_header_ = false;
    if (kept_ < kMost) return true;
    part.kind = Kind::leaf;
    return false;
}

void StructureReader::part_ends(std::uint64_t offset) {
    auto& part = structure_.parts[open_parts_.back()];
    const auto began = open_.back();
    open_parts_.pop_back();
    open_.pop_back();
    part.end = offset;
    // The line end in front of a delimiter was told, and is not the part's.
    const auto behind = totals_.wire - offset;
    part.body_octets = totals_.octets - behind - began.octets;
    part.body_lines = totals_.lines - (behind > 0 ? 1 : 0) - began.lines;
}

Structure StructureReader::finish() {
    walk_.finish();
    return std::move(structure_);
}

std::string encode(const Structure& structure) {
    Encoder out(64 + structure.parts.size() * 128);
    out.u8(kVersion).varint(structure.parts.size());
    for (const auto& part : structure.parts) {
        out.varint(part.level).u8(static_cast<std::uint8_t>(part.kind));
        out.varint(part.begin).varint(part.body - part.begin).varint(part.end - part.body);
        out.varint(part.header_octets).varint(part.body_octets).varint(part.body_lines);
        out.varint(part.fields.size());
        for (const auto& field : part.fields) out.u8(static_cast<std::uint8_t>(field.name)).string(field.value);
    }
    return std::move(out).bytes();
}

namespace {

/// Whether parts are where a walk may have found them: behind each other, within the part that they are of. Rows are
/// octets from outside, and whoever reads a message by its row has to stay in it.
class PlaceCheck {
public:
    bool fits(const Structure::Part& part, bool first) {
        const auto level = part.level;
        if (first != (level == 0) || level > deepest_ || level > kMostLevels) return false;
        if (part.begin < from_[level] || part.body < part.begin || part.end < part.body) return false;
        if (level > 0 && part.end > until_[level - 1]) return false;
        if (part.header_octets > part.body - part.begin || part.body_octets > part.end - part.body) return false;
        if (part.body_lines > part.body_octets) return false;
        from_[level] = part.end;
        from_[level + 1] = part.body;
        until_[level] = part.end;
        deepest_ = level + 1;
        return true;
    }

private:
    static constexpr std::size_t kMostLevels = MimeWalk::Bounds().levels;
    std::array<std::uint64_t, kMostLevels + 2> from_{}, until_{};  // of a part at each level
    std::uint64_t deepest_ = 0;
};

}  // namespace

Result<Structure> decode_structure(std::string_view bytes) {
    Decoder in(bytes);
    Structure structure;
    bool sound = in.u8() == kVersion;
    const auto parts = in.varint();
    sound = sound && parts > 0;
    structure.parts.reserve(std::min<std::uint64_t>(parts, bytes.size() / kLeastOfPart));
    PlaceCheck places;
    for (std::uint64_t n = 0; sound && n < parts; ++n) {
        auto& part = structure.parts.emplace_back();
        const auto level = in.varint();
        const auto kind = in.u8();
        part.level = static_cast<std::uint32_t>(std::min<std::uint64_t>(level, ~std::uint32_t{0}));
        part.kind = static_cast<Kind>(kind);
        part.begin = in.varint();
        part.body = part.begin + in.varint();
        part.end = part.body + in.varint();
        part.header_octets = in.varint();
        part.body_octets = in.varint();
        part.body_lines = in.varint();
        const auto fields = in.varint();
        sound = in.ok() && kind <= static_cast<std::uint8_t>(Kind::fields) && places.fits(part, n == 0) &&
                fields <= kMostFields;
        if (sound) part.fields.reserve(fields);
        for (std::uint64_t f = 0; sound && f < fields; ++f) {
            const auto name = in.u8();
            part.fields.push_back({static_cast<KeptField>(name), std::string(in.string())});
            sound = in.ok() && name >= static_cast<std::uint8_t>(KeptField::date) &&
                    name <= static_cast<std::uint8_t>(KeptField::content_md5);
        }
    }
    if (!sound || !in.at_end()) return fail(Errc::corrupt, "a message's structure can't be decoded");
    return structure;
}

}  // namespace poplar::mail
