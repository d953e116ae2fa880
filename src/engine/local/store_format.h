#pragma once
// The text of FORMAT: the store's version and mark, and a checksum of the lines before.
#include <string>
#include <string_view>

#include "engine/local/record.h"

namespace poplar::engine::local {

struct StoreFormat {
    static constexpr int kNewest = 4;
    int version = kNewest;
    RecordMark mark;
};

std::string encode_format(const StoreFormat& format);

/// Errors: invalid (a newer version), corrupt (damaged, or no FORMAT of ours).
Result<StoreFormat> parse_format(std::string_view text);

}  // namespace poplar::engine::local
