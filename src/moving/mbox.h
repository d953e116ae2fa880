#pragma once
#include <iosfwd>

#include "moving/source.h"

namespace poplar::moving {

/// Reads an mbox: messages behind lines that begin with "From ", each behind an empty line. What its server keeps in
/// header fields there (X-UIDL, Status, X-Status, X-Keywords and others) becomes unique-ids and flags, and is not part
/// of the message. Octets are otherwise as they stand, ">From " too, because POP has shown them so. Errors: not_found,
/// io, invalid (it is no mbox).
Result<Listing> list_mbox(const std::filesystem::path& path);

/// The same of what `file` has.
Result<Listing> parse_mbox(std::istream& in, const std::filesystem::path& file);

}  // namespace poplar::moving
