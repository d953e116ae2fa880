#include "smtp/reply.h"

#include <fmt/format.h>

namespace poplar::smtp {

std::string format(const Reply& reply, std::string_view more) {
    std::string out;
    out.reserve(8 + reply.status.size() + reply.text.size() + more.size());
    out.append(fmt::format_int(reply.code).c_str()).append(" ");
    if (!reply.status.empty()) out.append(reply.status).append(" ");
    out.append(reply.text).append(more).append("\r\n");
    return out;
}

}  // namespace poplar::smtp
