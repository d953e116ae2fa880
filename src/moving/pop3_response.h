#pragma once
// What a POP3 server answers, as pure functions (RFC 1939). Any octets are allowed in its lines.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "mail/wire_form.h"

namespace poplar::moving {

/// The text behind "+OK". Errors: denied (the text behind "-ERR"), invalid (neither).
Result<std::string> parse_pop3_status(std::string_view line);

/// "2 1400" of LIST: number and octets. What some servers say behind it is passed over (RFC 1939 s5).
std::optional<std::pair<std::uint32_t, std::uint64_t>> parse_scan_listing(std::string_view line);

/// "2 whqtswO00WBw418f9t5JxYwZ" of UIDL. The unique-id is all behind the number, well-formed or not.
std::optional<std::pair<std::uint32_t, std::string>> parse_unique_id_listing(std::string_view line);

/// Takes the octets of a multi-line response behind its first line; removes byte-stuffing (RFC 1939 s3).
class MultiLine {
public:
    explicit MultiLine(std::uint64_t limit) : limit_(limit) {}
    /// True: the end was there. Errors: too_large; invalid (octets behind the end, where none was asked for more).
    Result<bool> add(std::string_view octets);
    /// Lines with CRLF.
    std::string& text() { return text_; }

private:
    const std::uint64_t limit_;
    mail::DataDecoder decoder_{mail::BareNewlines::normalize};
    mail::WireDecoder plain_;
    std::string text_, wire_;
};

}  // namespace poplar::moving
