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
/// Rows of an account and a day, at most: more than any `activity.entries` makes.
inline constexpr std::size_t kAllRows = 100'000;

/// Rows are in order of the day, then of the account, so that old days are one range of keys.
std::string key_of(std::uint32_t day, AccountId account, Kind kind, RowNumber number);
std::string prefix_of(std::uint32_t day);
std::string prefix_of(std::uint32_t day, AccountId account);
std::string prefix_of(std::uint32_t day, AccountId account, Kind kind);

RowNumber row_number(std::string_view key);  ///< of a row that may be damaged

std::string encode(const Entry& entry);

struct Row {
    RowNumber number = 0;
    Entry entry;
};
/// Errors: corrupt.
Result<Row> decode(std::string_view key, std::string_view value);

}  // namespace poplar::activity
