#include "smtp/reply.h"

#include <fmt/format.h>

namespace poplar::smtp {

std::string format(const Reply& reply, std::string_view more) {
    if (reply.status.empty()) return fmt::format("{} {}{}\r\n", reply.code, reply.text, more);
    return fmt::format("{} {} {}{}\r\n", reply.code, reply.status, reply.text, more);
}

}  // namespace poplar::smtp
