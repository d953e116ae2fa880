#pragma once
// METADATA (RFC 5464): annotations of an account's mailboxes, and of the server for the account; and the words of the
// commands that read and set them.
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "imap/cursor.h"

namespace poplar::imap {

/// All annotations of one account, which are stored together.
class Annotations {
public:
    static constexpr std::size_t kMostOfMailbox = 100;          ///< annotations
    static constexpr std::size_t kLargestValue = 64 * 1024;     ///< octets
    static constexpr std::size_t kLongestName = 255;            ///< octets
    static constexpr std::size_t kLargest = (1u << 20) - 1024;  ///< octets of all of them
    static constexpr std::uint32_t kServer = 0;                 ///< in place of a mailbox's number

    /// By their names, in lower case.
    using Values = std::map<std::string, std::string, std::less<>>;

    /// "": there are none. Errors: corrupt.
    static Result<Annotations> decode(std::string_view octets);
    std::string encode() const;

    const Values& of(std::uint32_t mailbox) const;
    /// Sets one, or removes it. False: the mailbox has as many as it may.
    bool set(std::uint32_t mailbox, const std::string& name, std::optional<std::string> value);
    void copy(std::uint32_t from, std::uint32_t to);
    /// Forgets those of all mailboxes but these.
    void keep_only(const std::vector<std::uint32_t>& mailboxes);

private:
    std::map<std::uint32_t, Values> all_;
};

/// GETMETADATA's arguments.
struct MetadataQuery {
    enum class Depth : std::uint8_t { none, one, infinity };
    std::string mailbox = {};  ///< as it came; "": the server
    std::vector<std::string> names = {};
    Depth depth = Depth::none;
    std::uint64_t most_octets = std::numeric_limits<std::uint64_t>::max();  ///< of a value

    static constexpr std::size_t kMostNames = 1000;
    /// Whether it asks for this annotation.
    bool asks_for(std::string_view name) const;
};
std::optional<MetadataQuery> parse_metadata_query(Cursor& in);

/// SETMETADATA's arguments.
struct MetadataChange {
    std::string mailbox = {};
    std::vector<std::pair<std::string, std::optional<std::string>>> values = {};  ///< nothing: it is removed
};
std::optional<MetadataChange> parse_metadata_change(Cursor& in);

}  // namespace poplar::imap
