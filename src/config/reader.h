#pragma once
// Reads a TOML file into keys. A key that is unknown, misspelt or out of range is an error that names file, line and
// key.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"

namespace poplar::config {

/// For each key and section that the file sets, the line.
using Lines = std::map<std::string, std::size_t, std::less<>>;

/// Returns what is wrong, in the order of the file, a line each: `FILE:LINE: key: what`. A file that is no TOML at all
/// is one error, and `is_toml` is false.
std::vector<std::string> read(std::string_view text, const std::string& file, const std::vector<Key>& keys,
                              Lines& lines, bool& is_toml);

/// `FILE:LINE: key: what`; without the line if the file does not set the key.
std::string error_at(const std::string& file, const Lines& lines, std::string_view key, std::string_view what);

}  // namespace poplar::config
