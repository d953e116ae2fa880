#pragma once
// Messages with UTF-8 in their headers (RFC 6532) for clients that take ASCII only: RFC 6857.
//
// Every header field with octets over 0x7f that are UTF-8 is rewritten: the message's own, those of its MIME parts at
// all levels, of messages in it, and of delivery reports. All else passes unchanged: bodies, 8-bit ones too, what is
// signed (RFC 1847 s2.1), and fields that are not UTF-8. A header ends at the empty line or before the first line that
// is no field. No letter is lost: what comes out says all that came in.
#include <cstdint>
#include <string>
#include <string_view>

#include "mail/mime_walk.h"

namespace poplar::mail {

/// Rewrites a message in wire form as it passes, or only counts what that would give. Incremental, and with the memory
/// of a MimeWalk: a field over its kFieldLimit, or parts within more than kMultiparts multiparts, pass as they are.
///
/// Sizes that this gave are stored with messages (docs/reference/storage-format.md): a change to what comes out needs a
/// new version of the message record.
class Downgrader final : private MimeListener {
public:
    static constexpr std::size_t kFieldLimit = MimeWalk::kFieldLimit;
    static constexpr std::size_t kDepth = MimeWalk::kMultiparts;

    /// Appends to `out`, which the caller empties between calls; null: only counts.
    explicit Downgrader(std::string* out = nullptr) : out_(out) {}

    void feed(std::string_view wire) { walk_.feed(wire); }
    void finish() { walk_.finish(); }  ///< after the last octet

    /// A field so far was UTF-8 and not ASCII: a client without UTF-8 needs the other form.
    bool needed() const { return needed_; }
    /// Octets that came out less those that went in: as many with byte-stuffing as without.
    std::int64_t growth() const { return growth_; }

private:
    void field(std::string_view field) override;
    void long_field(std::string_view octets) override;
    bool header_ends(const ContentType& type, std::uint64_t offset) override;
    void body(std::string_view octets) override { pass(octets); }
    void frame(std::string_view octets) override { pass(octets); }
    void pass(std::string_view text) {
        if (out_ != nullptr) out_->append(text);
    }

    std::string* out_;
    std::int64_t growth_ = 0;
    bool needed_ = false;
    // Without bounds: nothing is kept of a part.
    MimeWalk walk_{*this, {.levels = SIZE_MAX, .parts = SIZE_MAX}};
};

}  // namespace poplar::mail
