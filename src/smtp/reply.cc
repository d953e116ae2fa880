#include "smtp/reply.h"

#include <fmt/format.h>

namespace poplar::smtp {

std::string format(const Reply& reply, std::string_view more) {
    std::string out;
    append(out, reply, more);
    return out;
}

void append(std::string& to, const Reply& reply, std::string_view more) {
    const fmt::format_int code(reply.code);
    to.append(code.data(), code.size()).append(" ");
    if (!reply.status.empty()) to.append(reply.status).append(" ");
    to.append(reply.text).append(more).append("\r\n");
}

}  // namespace poplar::smtp
