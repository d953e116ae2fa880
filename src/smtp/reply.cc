#include "smtp/reply.h"

#include <fmt/format.h>

#include <algorithm>

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

void append_lines(std::string& to, const Reply& reply, std::string_view text) {
    constexpr std::size_t kLine = 400;  // octets; RFC 5321 s4.5.3.1.5 allows 512 with code and CRLF
    do {
        auto line = text.substr(0, std::min({text.find('\n'), text.size(), kLine}));
        text.remove_prefix(line.size());
        if (text.starts_with('\n')) text.remove_prefix(1);
        while (line.ends_with(' ')) line.remove_suffix(1);
        to += fmt::format("{}{}{} {}\r\n", reply.code, text.empty() ? ' ' : '-', reply.status, line);
    } while (!text.empty());
}

}  // namespace poplar::smtp
