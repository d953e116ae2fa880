#pragma once
// Messages with 8-bit bodies for servers that take 7-bit ones only (RFC 6152 s3): their parts become quoted-printable
// or base64 (RFC 2045 s6).
//
// Two walks over the message: the first one finds what has to be changed, and whether that is allowed; the second one
// writes. What is signed (RFC 1847 s2.1), and parts that may not be encoded (RFC 2046 s5.2), are never changed: a
// message that has 8-bit octets there, or in a header, can't be made 7-bit.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mail/mime_walk.h"

namespace poplar::mail {

/// What becomes of each part of a message.
struct SevenBitPlan {
    enum class Change : std::uint8_t {
        keep,
        relabel,  ///< it says that it is 8-bit; it is not, or will not be any more
        quoted_printable,
        base64,
        blank,  ///< a multipart's text around its parts, which nobody sees, loses its 8-bit octets
    };
    struct Part {
        Change change = Change::keep;
        bool message = false;      ///< it is one of its own: the whole one, or one in a message/rfc822
        bool has_version = false;  ///< a MIME-Version
        bool has_type = false;     ///< a Content-Type
        bool utf8 = true;          ///< its octets are UTF-8
        bool operator==(const Part&) const = default;
    };
    std::vector<Part> parts;         ///< in the order in which they begin
    std::string_view obstacle = {};  ///< why it can't be done; "": it can
    bool needed = false;             ///< some octet is over 0x7f
};

/// The first walk, over a message that is not byte-stuffed. Incremental; any octets are allowed. Memory: a MimeWalk's,
/// and some octets for each part.
class SevenBitPlanner final : private MimeListener {
public:
    void feed(std::string_view plain) { walk_.feed(plain); }
    /// After the last octet.
    SevenBitPlan finish();

private:
    enum class Encoding : std::uint8_t { identity7, identity8, encoded };
    struct Seen {
        Encoding encoding = Encoding::identity7;
        bool text = true, container = false, has_parts = false;
        std::string_view fixed = {};  // why it may not be encoded; "": it may
        std::uint64_t octets = 0, high = 0;
        bool nul = false;
        std::string tail;  // of its octets: a character that is not complete
    };
    struct Open {
        std::size_t part;
        bool messages;  // what begins below is a message
    };
    void part_begins(std::uint64_t offset, std::size_t level) override;
    void field(std::string_view field) override;
    void long_field(std::string_view octets) override;
    bool header_ends(const ContentType& type, std::uint64_t offset) override;
    void body(std::string_view octets) override;
    void part_ends(std::uint64_t offset) override;
    void refuse(std::string_view why);
    void decide(SevenBitPlan::Part& part, const Seen& seen);

    SevenBitPlan plan_;
    std::vector<Seen> seen_;
    std::vector<Open> open_;
    bool in_header_ = false;
    MimeWalk walk_{*this};
};

/// The second walk: writes the message as the plan says. Incremental, with the memory of a MimeWalk.
class SevenBitWriter final : private MimeListener {
public:
    /// Appends to `out`, which the caller empties between calls. `plan` has no obstacle, is of the same message, and
    /// outlives this, as `out` does. Signatures at the very top, where this server put them, do not fit what is
    /// written, and are left out. Those below any other field are others'.
    SevenBitWriter(const SevenBitPlan& plan, std::string& out) : plan_(plan), out_(out) {}
    void feed(std::string_view plain) { walk_.feed(plain); }
    void finish() { walk_.finish(); }  ///< after the last octet
    bool left_signatures_out() const { return left_signatures_out_; }

private:
    using Change = SevenBitPlan::Change;
    void part_begins(std::uint64_t offset, std::size_t level) override;
    void field(std::string_view field) override;
    void long_field(std::string_view octets) override;
    bool header_ends(const ContentType& type, std::uint64_t offset) override;
    void body(std::string_view octets) override;
    void frame(std::string_view octets) override;
    void part_ends(std::uint64_t offset) override;
    Change change() const { return open_.empty() ? Change::keep : plan_.parts[open_.back()].change; }
    void write_missing_fields();
    void quoted_printable(std::string_view octets);
    void quoted(unsigned char octet);
    void literal(char octet);
    void soft_break(std::size_t needed);
    void base64(std::string_view octets);
    void base64_line();

    const SevenBitPlan& plan_;
    std::string& out_;
    std::vector<std::size_t> open_;
    std::size_t begun_ = 0;
    std::uint64_t told_ = 0;
    bool in_header_ = false;
    bool on_top_ = true;  // nothing but signatures came yet
    bool left_signatures_out_ = false;
    std::string held_;        // of a body: white space or a line end whose meaning is not known yet
    std::string octets_;      // that are no whole line of base64 yet
    std::size_t column_ = 0;  // of a line of quoted-printable
    MimeWalk walk_{*this};
};

}  // namespace poplar::mail
