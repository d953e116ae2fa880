#include "engine/engine.h"

#include <cassert>

namespace poplar::engine {

KeyRange KeyRange::prefix(std::string prefix) {
    KeyRange range{prefix, std::move(prefix)};
    while (!range.end.empty() && static_cast<unsigned char>(range.end.back()) == 0xff) range.end.pop_back();
    assert(!range.end.empty());
    ++reinterpret_cast<unsigned char&>(range.end.back());
    return range;
}

}  // namespace poplar::engine
