#pragma once
// The structure of a message: its parts, where they are and how large, and the header fields of theirs that IMAP and
// JMAP answer from (RFC 9051 s2.3.4 and s7.5.2, RFC 8621 s4.1), so that none of its octets need be read again.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mail/content_type.h"
#include "mail/mime_walk.h"

namespace poplar::mail {

/// The header fields that are kept. The values stand in encoded structures.
enum class KeptField : std::uint8_t {
    date = 1,
    subject,
    from,
    sender,
    reply_to,
    to,
    cc,
    bcc,
    in_reply_to,
    message_id,
    references,
    content_type,
    content_transfer_encoding,
    content_id,
    content_description,
    content_disposition,
    content_language,
    content_location,
    content_md5,
};

struct Structure {
    struct Field {
        KeptField name;
        std::string value;  ///< unfolded (RFC 5322 s2.2.3) and trimmed, not decoded
        bool operator==(const Field&) const = default;
    };
    /// Offsets are those of the message in wire form; sizes are without byte-stuffing, as clients count.
    struct Part {
        std::uint32_t level = 0;  ///< 0: the message itself
        ContentType::Kind kind = ContentType::Kind::leaf;
        std::uint64_t begin = 0, body = 0, end = 0;  ///< offsets: of the header, of the body, behind the body
        std::uint64_t header_octets = 0;             ///< with the empty line
        std::uint64_t body_octets = 0;
        std::uint64_t body_lines = 0;  ///< line ends in it
        /// The first of each name. Those of a message (Date, From, ...) only where the part is one, those of contents
        /// (Content-Type, ...) everywhere.
        std::vector<Field> fields = {};
        bool operator==(const Part&) const = default;

        /// Nothing: the part has no such field.
        std::optional<std::string_view> field(KeptField name) const;
    };
    /// In the order of their octets: a part's own parts follow it, a level below. The first is the message itself.
    std::vector<Part> parts;
    bool operator==(const Structure&) const = default;
};

/// Gathers a message's structure as it passes, in wire form. Incremental; any octets are allowed.
class StructureReader final : private MimeListener {
public:
    /// Octets of fields that are kept, of all parts together, and what each part costs beside them. Behind them, parts
    /// that hold others count as leaves, and no more fields are kept.
    static constexpr std::size_t kMost = 256 * 1024;
    static constexpr std::size_t kPartCosts = 64;

    void feed(std::string_view wire) { walk_.feed(wire); }
    Structure finish();

private:
    struct Totals {
        std::uint64_t wire = 0, octets = 0, lines = 0;
    };

    void part_begins(std::uint64_t offset, std::size_t level) override;
    void field(std::string_view field) override;
    void long_field(std::string_view octets) override { count(octets); }
    bool header_ends(const ContentType& type, std::uint64_t offset) override;
    void body(std::string_view octets) override { count(octets); }
    void frame(std::string_view octets) override { count(octets); }
    void part_ends(std::uint64_t offset) override;
    void count(std::string_view wire);

    Structure structure_;
    Totals totals_;             // of what was told so far
    std::vector<Totals> open_;  // for each part that has not ended: when its header, then its body began
    std::vector<std::size_t> open_parts_;
    std::size_t kept_ = 0;
    bool line_start_ = true, in_header_ = false;
    MimeWalk walk_{*this};
};

/// For keeping it. The first octet is a version: what an earlier one wrote can't be decoded and is made anew.
std::string encode(const Structure& structure);
/// What it gives has at least one part, and parts that lie within each other as those of a message do, whatever the
/// octets. Errors: corrupt.
Result<Structure> decode_structure(std::string_view bytes);

}  // namespace poplar::mail
