#pragma once
// Sections of a message: `1.2.HEADER.FIELDS (From)` (RFC 9051 s6.4.5, RFC 3516 s4), and where they are in its octets.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "imap/cursor.h"
#include "mail/structure.h"

namespace poplar::imap {

struct Section {
    enum class What : std::uint8_t { whole, header, header_fields, header_fields_not, text, mime };
    std::vector<std::uint32_t> part;  ///< numbers from 1; none: the message
    What what = What::whole;
    std::vector<std::string> fields = {};  ///< as the client wrote them
    bool operator==(const Section&) const = default;

    static constexpr std::size_t kMostLevels = 100;   ///< numbers in `part`
    static constexpr std::size_t kMostFields = 1000;  ///< names in `fields`
};

/// `<offset.octets>`
struct Partial {
    std::uint64_t offset = 0, octets = 0;
    bool operator==(const Partial&) const = default;
};

/// Takes what stands between the brackets of BODY[...]. Errors: invalid, with a text for the client.
Result<Section> parse_section(Cursor& in);
/// Takes what stands between the brackets of BINARY[...]: numbers alone. Errors: as above.
Result<Section> parse_binary_section(Cursor& in);
/// Takes `<offset.octets>`, if there is one. Errors: as above; RFC 9051 s6.4.5: octets are not 0.
Result<std::optional<Partial>> parse_partial(Cursor& in);
/// The section as a response says it.
void write_section(std::string& out, const Section& section);

/// Octets of a message in wire form, and how many they are without byte-stuffing.
struct Extent {
    std::uint64_t begin = 0, end = 0;
    std::uint64_t octets = 0;
    bool operator==(const Extent&) const = default;
};

/// The part that numbers lead to; nothing: there is none. Without numbers, the message itself.
std::optional<std::size_t> find_part(const mail::Structure& structure, const std::vector<std::uint32_t>& numbers);

/// Where a section's octets are; of header fields, where the header is. Nothing: the message has no such section, and
/// the answer is NIL.
std::optional<Extent> find_section(const mail::Structure& structure, const Section& section);

}  // namespace poplar::imap
