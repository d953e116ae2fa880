#include "bench/load/options.h"

#include <fmt/format.h>

#include <iterator>

namespace poplar::bench {

std::string_view Accounts::name(std::uint64_t number, std::string& buffer) const {
    auto place = user.find("{}");
    if (place == user.npos) return user;
    buffer.assign(user, 0, place);
    fmt::format_to(std::back_inserter(buffer), "{}", first + (count == 0 ? number : number % count));
    buffer.append(user, place + 2);
    return buffer;
}

}  // namespace poplar::bench
