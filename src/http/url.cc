#include "http/url.h"

#include <fmt/format.h>

#include <algorithm>

namespace poplar::http {

Result<Url> parse_url(std::string_view text) {
    auto wrong = [&](std::string_view what) {
        return fail(Errc::invalid, fmt::format("\"{}\" is no URL that can be asked: {}", text, what));
    };
    Url url;
    auto rest = text;
    if (rest.starts_with("https://"))
        url.tls = true;
    else if (!rest.starts_with("http://"))
        return wrong("it must begin with https:// or http://");
    rest.remove_prefix(url.tls ? 8 : 7);
    if (!std::ranges::all_of(rest, [](char c) { return c > 0x20 && c < 0x7f; })) return wrong("spaces or non-ASCII");
    if (rest.find_first_of("#@") != std::string_view::npos) return wrong("no fragment, no user");
    auto slash = std::min(rest.find_first_of("/?"), rest.size());
    auto authority = rest.substr(0, slash);
    url.target = rest.substr(slash);
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    url.host_header = authority;
    auto colon = authority.rfind(':');
    if (authority.starts_with('[')) {
        auto bracket = authority.find(']');
        if (bracket == std::string_view::npos) return wrong("a malformed host");
        url.host = authority.substr(1, bracket - 1);
        auto port = authority.substr(bracket + 1);
        if (!port.empty() && !port.starts_with(':')) return wrong("a malformed port");
        colon = port.empty() ? std::string_view::npos : bracket + 1;
    } else {
        url.host = authority.substr(0, colon);
    }
    url.port = colon == std::string_view::npos ? (url.tls ? "443" : "80") : std::string(authority.substr(colon + 1));
    bool digits = url.port.find_first_not_of("0123456789") == std::string::npos;
    if (url.host.empty() || url.port.empty() || url.port.size() > 5 || !digits || std::stoul(url.port) > 65535)
        return wrong("a malformed host or port");
    return url;
}

}  // namespace poplar::http
