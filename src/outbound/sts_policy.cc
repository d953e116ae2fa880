#include "outbound/sts_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/ascii.h"

namespace poplar::outbound {

namespace {

constexpr std::size_t kIdLength = 32;     // RFC 8461 s3.1
constexpr std::size_t kHostLength = 253;  // of a name in the DNS

/// The next piece of `text` up to `end`, which is taken too.
std::string_view next_piece(std::string_view& text, char end) {
    const auto at = std::min(text.find(end), text.size());
    const auto piece = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return piece;
}

/// "v=STSv1; id=..." (s3.1): the id; nothing if the record is no MTA-STS record. A malformed one has the id "".
std::optional<std::string> id_of(std::string_view record) {
    if (ascii::trim(next_piece(record, ';')) != "v=STSv1") return std::nullopt;
    std::string id;
    while (!record.empty()) {
        auto value = next_piece(record, ';');
        const auto key = ascii::trim(next_piece(value, '='));
        if (key != "id" || !id.empty()) continue;
        id = ascii::trim(value);
        if (id.size() > kIdLength || !std::ranges::all_of(id, ascii::is_alnum)) return std::string();
    }
    return id;
}

/// A name in the DNS, or one below a star. No other octets than those of hosts' names: it is stored and logged.
bool is_pattern(std::string_view host) {
    if (host.starts_with("*.")) host.remove_prefix(2);
    if (host.empty() || host.size() > kHostLength) return false;
    std::size_t label = 0;
    for (char c : host) {
        if (c == '.' && label == 0) return false;
        label = c == '.' ? 0 : label + 1;
        if (c != '.' && c != '-' && c != '_' && !ascii::is_alnum(c)) return false;
    }
    return label > 0;
}

std::unexpected<Error> wrong(std::string_view what) { return fail(Errc::invalid, fmt::format("the policy {}", what)); }

}  // namespace

std::string_view to_string(StsMode mode) {
    switch (mode) {
        case StsMode::none: return "none";
        case StsMode::testing: return "testing";
        case StsMode::enforce: return "enforce";
    }
    return "";
}

bool StsPolicy::names(std::string_view host) const {
    if (host.ends_with('.')) host.remove_suffix(1);
    return std::ranges::any_of(hosts, [&](std::string_view pattern) {
        if (!pattern.starts_with("*.")) return ascii::same(pattern, host);
        const auto dot = host.find('.');
        return dot != host.npos && dot > 0 && ascii::same(pattern.substr(1), host.substr(dot));
    });
}

std::string sts_id(const std::vector<std::string>& texts) {
    std::string id;
    bool found = false;
    for (const auto& text : texts) {
        auto one = id_of(text);
        if (!one) continue;
        if (std::exchange(found, true)) return "";
        id = std::move(*one);
    }
    return id;
}

Result<StsPolicy> parse_sts_policy(std::string_view text) {
    StsPolicy policy;
    std::optional<StsMode> mode;
    std::optional<std::uint64_t> max_age;
    bool version = false;
    while (!text.empty()) {
        auto line = next_piece(text, '\n');  // s3.2: LF or CRLF
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (ascii::trim(line).empty()) continue;
        if (!line.contains(':')) return wrong("has a line without a colon");
        const auto key = ascii::trim(next_piece(line, ':'));
        const auto value = ascii::trim(line);
        if (key == "version") {
            if (value != "STSv1" || std::exchange(version, true)) return wrong("is of no version that is known");
        } else if (key == "mode" && !mode) {
            for (auto known : {StsMode::none, StsMode::testing, StsMode::enforce})
                if (value == to_string(known)) mode = known;
            if (!mode) return wrong("has no mode that is known");
        } else if (key == "max_age" && !max_age) {
            std::uint64_t number = 0;
            auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
            if (value.empty() || value.size() > 10 || error != std::errc{} || end != value.data() + value.size())
                return wrong("has no max_age that is a number");
            max_age = number;
        } else if (key == "mx") {
            if (!is_pattern(value)) return wrong("names a host that is none");
            if (policy.hosts.size() == kStsHosts) return wrong("names too many hosts");
            policy.hosts.push_back(ascii::to_lower(value));
        }
    }
    if (!version || !mode || !max_age) return wrong("lacks its version, mode or max_age");
    if (*mode != StsMode::none && policy.hosts.empty()) return wrong("names no host");
    policy.mode = *mode;
    policy.max_age = std::min(kStsOldest, std::chrono::seconds(*max_age));
    return policy;
}

}  // namespace poplar::outbound
