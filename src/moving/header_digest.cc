#include "moving/header_digest.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/digest.h"

namespace poplar::moving {

namespace {
constexpr std::string_view kServerFields[] = {"content-length", "status",   "x-imap", "x-imapbase",
                                              "x-keywords",     "x-status", "x-uid",  "x-uidl"};
}

bool is_server_field(std::string_view name) {
    return std::ranges::any_of(kServerFields, [&](std::string_view one) { return ascii::same(one, name); });
}

std::string header_digest(std::string_view text) {
    Digest digest;
    bool left_out = false;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) break;
        if (!ascii::is_wsp(line.front())) left_out = is_server_field(ascii::trim(line.substr(0, line.find(':'))));
        if (left_out) continue;
        line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
        digest.add(line);
        digest.add("\n");
    }
    return digest.finish();
}

}  // namespace poplar::moving
