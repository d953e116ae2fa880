#pragma once
// Documents and facts of an account, and their rows.
#include <string>
#include <string_view>

#include "base/error.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

inline constexpr std::size_t kLongestDocumentName = 640;   ///< octets
inline constexpr std::size_t kLargestDocument = 1u << 20;  ///< octets
inline constexpr std::size_t kLongestFactName = 512;       ///< octets
inline constexpr std::size_t kLargestFact = 1024;          ///< octets

/// A document without its content.
struct DocumentInfo {
    std::string name;
    ModSequence version;  ///< the change that put it
    Timestamp modified{};
    std::uint64_t octets = 0;
    bool operator==(const DocumentInfo&) const = default;
};

struct Fact {
    std::string value;
    Timestamp expires{};
};

std::string encode(const DocumentInfo& info);
std::string encode(const Fact& fact);
Result<DocumentInfo> decode_document_info(engine::EntryView entry);
Result<Fact> decode_fact(std::string_view value);

}  // namespace poplar::mailstore
