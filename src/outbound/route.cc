#include "outbound/route.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/ascii.h"
#include "base/asio.h"
#include "base/units.h"

namespace poplar::outbound {

namespace {

bool is_for_domain(const Route& route, std::string_view domain) {
    if (route.domain == "*") return true;
    if (route.domain.starts_with('.'))
        return domain.size() > route.domain.size() &&
               ascii::same(domain.substr(domain.size() - route.domain.size()), route.domain);
    return ascii::same(domain, route.domain);
}

bool is_for_sender(const Route& route, std::string_view sender) {
    if (route.sender.empty()) return true;
    if (route.sender.contains('@')) return ascii::same(sender, route.sender);
    return !sender.empty() && ascii::same(sender.substr(sender.rfind('@') + 1), route.sender);
}

}  // namespace

const Route* find_route(const Options& options, std::string_view domain, std::string_view sender) {
    for (const auto& route : options.routes)
        if (is_for_domain(route, domain) && is_for_sender(route, sender)) return &route;
    return nullptr;
}

TlsPolicy tls_policy(const Route& route) {
    return route.tls.value_or(route.login.empty() ? TlsPolicy::opportunistic : TlsPolicy::verify);
}

Result<HostAndPort> parse_host(std::string_view text) {
    HostAndPort out;
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos) return fail(Errc::invalid, fmt::format("\"{}\": a \"]\" is missing", text));
        out.host = std::string(text.substr(1, end - 1));
        has_port = end + 1 < text.size();
        if (has_port && text[end + 1] != ':') return fail(Errc::invalid, fmt::format("\"{}\" is no host", text));
        if (has_port) port = text.substr(end + 2);
    } else if (std::ranges::count(text, ':') == 1) {
        has_port = true;
        out.host = std::string(text.substr(0, text.find(':')));
        port = text.substr(text.find(':') + 1);
    } else {
        out.host = std::string(text);
    }
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    const bool bad_port = has_port && (error != std::errc{} || end != port.data() + port.size() || out.port == 0);
    const bool bad_host = out.host.empty() || out.host.find_first_of(" \t@") != std::string::npos;
    if (!has_port) out.port = 25;
    if (bad_port || bad_host)
        return fail(Errc::invalid, fmt::format("\"{}\" is not of the form \"relay.example:25\"", text));
    return out;
}

bool is_address(std::string_view text) {
    boost::system::error_code error;
    asio::ip::make_address(text, error);
    return !error;
}

std::chrono::milliseconds wait_after(const Options& options, std::uint32_t attempts, std::uint64_t chance) {
    std::chrono::milliseconds step = std::chrono::minutes(15);  // of an empty list
    if (!options.retry.empty()) {
        const auto at = std::min<std::size_t>(std::max(attempts, 1u), options.retry.size()) - 1;
        step = parse_duration(options.retry[at]).value_or(step);  // checked when it was read
    }
    const auto eighth = step.count() / 8;
    const auto shift = eighth == 0 ? 0 : static_cast<std::int64_t>(chance % static_cast<std::uint64_t>(2 * eighth + 1));
    return std::chrono::milliseconds(step.count() - eighth + shift);
}

}  // namespace poplar::outbound
