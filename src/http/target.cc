#include "http/target.h"

#include <fmt/format.h>

#include "base/ascii.h"

namespace poplar::http {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_unreserved(char c) { return ascii::is_alnum(c) || std::string_view("-._~").contains(c); }

}  // namespace

std::string percent_encode(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (is_unreserved(c))
            out.push_back(c);
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

Result<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return fail(Errc::invalid, "malformed percent-encoding");
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
    }
    return out;
}

Result<Target> parse_target(std::string_view target) {
    Target parsed;
    auto mark = target.find('?');
    auto path = target.substr(0, mark);
    auto query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    if (!path.starts_with('/')) return fail(Errc::invalid, "the target must begin with /");
    while (!path.empty()) {
        path.remove_prefix(1);
        auto slash = std::min(path.find('/'), path.size());
        auto segment = percent_decode(path.substr(0, slash));
        if (!segment) return pass_on(segment);
        parsed.path.push_back(std::move(*segment));
        path.remove_prefix(slash);
    }
    while (!query.empty()) {
        auto end = std::min(query.find('&'), query.size());
        auto pair = query.substr(0, end);
        auto equal = std::min(pair.find('='), pair.size());
        auto name = percent_decode(pair.substr(0, equal));
        auto value = percent_decode(equal < pair.size() ? pair.substr(equal + 1) : std::string_view());
        if (!name) return pass_on(name);
        if (!value) return pass_on(value);
        parsed.query[std::move(*name)] = std::move(*value);
        query.remove_prefix(end < query.size() ? end + 1 : end);
    }
    return parsed;
}

}  // namespace poplar::http
