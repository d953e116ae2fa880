#pragma once
#include "moving/source.h"
#include "moving/uidl_format.h"

namespace poplar::moving {

/// Reads a Maildir and its folders, in both layouts (".Lists.asio", or "Lists/asio"). Unique-ids are those of INBOX: by
/// dovecot-uidlist and `format`, else by courierpop3dsizelist. A message of INBOX that is not in that list is there
/// since its server last looked: `unnamed` tells what becomes of it. Errors: not_found (no Maildir), io, invalid (one
/// of these files is of an unknown form).
Result<Listing> list_maildir(const std::filesystem::path& path, const UidlFormat& format, Unnamed unnamed);

/// The UTF-8 of a name as Maildir folders have it (RFC 3501 s5.1.3); the same text, if it is none.
std::string mailbox_name_of(std::string_view folder);

}  // namespace poplar::moving
