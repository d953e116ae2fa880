#pragma once
// Changes in a message that is staged already: in its header, mostly.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "mailstore/mail_store.h"

namespace poplar::delivery {

struct HeaderEdits {
    std::vector<std::string> removed;              ///< names of fields, in lower case; all of that name go
    std::optional<std::string> subject;            ///< in place of all Subject fields, UTF-8
    std::optional<std::string> header = {};        ///< in place of all of it, before the others; with its blank line
    std::shared_ptr<const std::string> body = {};  ///< in place of the message's, plain
};

/// The header as it is then; nothing: it stays as it is. Plain octets, CRLF line ends, with the blank line.
std::optional<std::string> edited(std::string_view header, const HeaderEdits& edits);

struct EditedContent {
    mailstore::Content content;
    bool needs_downgrade = false;  ///< mail::Downgrader::needed() of it
    std::int64_t growth = 0;       ///< mail::Downgrader::growth()
};
/// Nothing: it stays as it is; so does a message whose header is longer than `header_limit`. `recipients`: as
/// ContentWriter::finish has it. Errors: those of reading and of writing.
Task<Result<std::optional<EditedContent>>> edit_header(mailstore::MailStore& store, mailstore::Content content,
                                                       HeaderEdits edits, std::uint64_t header_limit,
                                                       std::size_t recipients);

}  // namespace poplar::delivery
