// An mbox of any octets: its messages lie in it one behind the other, and each has a key of its own.
#include <set>
#include <sstream>

#include "fuzz/check.h"
#include "moving/mbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::moving;
    std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
    auto listing = parse_mbox(in, "mbox");
    if (!listing) return 0;
    std::uint64_t end = 0;
    std::set<std::string> keys, ids;
    for (const auto& message : listing->messages) {
        CHECK(keys.insert(message.key).second);
        if (!message.unique_id.empty())
            CHECK(is_unique_id(message.unique_id) && message.not_kept.empty() && ids.insert(message.unique_id).second);
        for (const auto& range : message.content) {
            CHECK(range.size > 0 && range.offset >= end);
            end = range.offset + range.size;
        }
    }
    CHECK(end <= size);
    return 0;
}
