#pragma once
// The rows of the ledger, in a partition of their own (docs/reference/storage-format.md). Pure functions over octets.
#include <cstdint>
#include <string>
#include <string_view>

#include "activity/entry.h"
#include "base/error.h"

namespace poplar::activity {

inline constexpr engine::PartitionId kLedgerPartition{4};

/// Counts the entries of an account, a kind and a day from 0; the sum of all further ones has kSum.
using RowNumber = std::uint32_t;
inline constexpr RowNumber kSum = 0xffff'ffff;

/// Rows are in order of the day, then of the account, so that old days are one range of keys.
std::string key_of(std::uint32_t day, AccountId account, Kind kind, RowNumber number);
std::string prefix_of(std::uint32_t day);
std::string prefix_of(std::uint32_t day, AccountId account);
std::string prefix_of(std::uint32_t day, AccountId account, Kind kind);

std::string encode(const Entry& entry);

struct Row {
    RowNumber number = 0;
    Entry entry;
};
/// Errors: corrupt.
Result<Row> decode(std::string_view key, std::string_view value);

}  // namespace poplar::activity
