#include "engine/engine.h"

#include <algorithm>
#include <cassert>

namespace poplar::engine {

KeyRange KeyRange::prefix(std::string prefix) {
    KeyRange range{prefix, std::move(prefix)};
    while (!range.end.empty() && static_cast<unsigned char>(range.end.back()) == 0xff) range.end.pop_back();
    assert(!range.end.empty());
    ++reinterpret_cast<unsigned char&>(range.end.back());
    return range;
}

bool Batch::names_keys_once() const {
    std::vector<std::string_view> keys(erased.begin(), erased.end());
    for (const auto& entry : puts) keys.push_back(entry.key);
    std::ranges::sort(keys);
    return std::ranges::adjacent_find(keys) == keys.end();
}

}  // namespace poplar::engine
