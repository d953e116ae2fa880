#pragma once
// A mailbox's keywords (RFC 9051 s2.3.2): its messages have them as bits, and a row of the mailbox gives the bits
// names.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::mailstore {

inline constexpr std::size_t kMostKeywords = 200;    ///< of a mailbox
inline constexpr std::size_t kLongestKeyword = 100;  ///< octets

/// An atom of IMAP that does not begin with "\" (RFC 9051 s9, flag-keyword).
bool is_keyword(std::string_view text);

class KeywordTable {
public:
    KeywordTable() = default;
    explicit KeywordTable(std::vector<std::string> names) : names_(std::move(names)) {}

    const std::vector<std::string>& names() const { return names_; }
    /// Upper and lower case are the same.
    std::optional<std::size_t> find(std::string_view name) const;
    /// Adds it if it is new. Errors: invalid (no keyword), too_large (the mailbox has kMostKeywords).
    Result<std::size_t> add(std::string_view name);
    /// Whether anything was added.
    bool grew() const { return grew_; }

    /// The names of a message's keywords.
    std::vector<std::string> names_of(std::string_view bits) const;
    /// The bits of the same keywords in this table, which gets those that it lacks.
    Result<std::string> translate(std::string_view bits, const KeywordTable& from);

private:
    std::vector<std::string> names_;
    bool grew_ = false;
};

/// Bits as Flags::keywords has them.
void set_bit(std::string& bits, std::size_t n);
void clear_bit(std::string& bits, std::size_t n);
bool has_bit(std::string_view bits, std::size_t n);

std::string encode(const KeywordTable& table);
Result<KeywordTable> decode_keywords(std::string_view value);

}  // namespace poplar::mailstore
