#pragma once
// The message as a script sees and changes it: header fields that can be added and deleted (RFC 5293), and parts (RFC
// 5703).
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mail/content_type.h"

namespace poplar::sieve {

/// A header field. Views point into the message's octets, or into `own`.
struct Field {
    std::string_view name;
    std::string_view raw;  ///< all of it, with its line end
    std::shared_ptr<const std::string> own = nullptr;
    bool fixed = false;  ///< `deleteheader` leaves it (RFC 5703 s5)

    /// Unfolded and without white space at its ends; not decoded.
    std::string unfolded() const;
    /// The same with encoded-words decoded (RFC 2047): what tests compare.
    std::string value() const;
};

/// With CRLF for each line end that is LF alone.
std::string with_crlf(std::string_view text);

std::vector<Field> read_fields(std::string_view octets, std::size_t* header_size = nullptr);

/// Octets of a field: encoded-words where the value is not ASCII, folded where it is long.
std::string write_field(std::string_view name, std::string_view value);

/// A part of a message; offsets are those of Message::octets().
struct Part {
    std::size_t begin = 0, body = 0, end = 0;  ///< of the header, of the body, behind the body
    std::size_t level = 0;
    std::size_t behind = 0;  ///< the number of the first part that is not within this one
    mail::ContentType::Kind kind = mail::ContentType::Kind::leaf;
    std::string prologue, epilogue;  ///< of a multipart
};

class Message {
public:
    /// Lines end in CRLF; the octets outlive it.
    explicit Message(std::string_view octets);

    std::string_view octets() const { return octets_; }  ///< header changes are not in them
    std::string_view body() const { return octets_.substr(header_size_); }
    const std::vector<Field>& fields() const { return fields_; }
    bool changed() const { return header_changed_ || own_ != nullptr; }
    bool body_changed() const { return own_ != nullptr; }

    enum class Place : std::uint8_t { first, last };
    void add(std::string_view name, std::string_view value, Place place);
    void erase(std::size_t field);
    /// The header as it is now, with the empty line.
    std::string header() const;
    std::string text() const;  ///< all of it as it is now
    /// Puts another message in its place. `fixed`: names of fields that may not be deleted any more.
    void become(std::string octets, std::vector<std::string> fixed = {});

    /// In the order of their octets; the first is the message itself. Read once.
    const std::vector<Part>& parts();
    std::vector<Field> fields_of(const Part& part) const;

private:
    void read();

    std::shared_ptr<const std::string> own_;
    std::string_view octets_;
    std::size_t header_size_ = 0;
    std::vector<Field> fields_;
    bool header_changed_ = false;
    std::optional<std::vector<Part>> parts_;
    std::vector<std::string> fixed_;
};

}  // namespace poplar::sieve
