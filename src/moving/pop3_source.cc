#include "moving/pop3_source.h"

#include <fmt/format.h>

#include <functional>

#include "moving/pop3_response.h"

namespace poplar::moving {

namespace {
constexpr std::size_t kLongestLine = 4096;  // RFC 2449 s4: 512
constexpr std::size_t kMostMessages = 2'000'000;
constexpr std::size_t kPart = 64 << 10;
}  // namespace

// A session that came to nothing ends: what asks next must begin with TLS and the login again.
Result<> Pop3Source::open(const Endpoint& endpoint, const Credentials& credentials) {
    auto opened = begin(endpoint, credentials);
    if (!opened) wire_.cut();
    return opened;
}

Result<> Pop3Source::begin(const Endpoint& endpoint, const Credentials& credentials) {
    if (auto opened = wire_.open(endpoint); !opened) return opened;
    auto greeting = wire_.read_line(kLongestLine);
    if (!greeting) return pass_on(greeting);
    if (auto status = parse_pop3_status(*greeting); !status) return pass_on(status);
    if (endpoint.encryption == Encryption::start_tls) {
        if (auto done = ask("STLS"); !done)
            return fail(done.error().code(), fmt::format("{}:{} begins no TLS (STLS): {}; --tls if it speaks TLS from "
                                                         "the first octet, --no-tls to go on in the clear",
                                                         endpoint.host, endpoint.port, done.error().detail()));
        if (auto done = wire_.start_tls(); !done) return done;
    }
    Result<std::string> done;
    if (credentials.master.empty()) {
        done = ask("USER " + credentials.user);
        if (done) done = ask("PASS " + credentials.password);
    } else {
        // RFC 5034 s4: the server asks with "+ ".
        auto written = wire_.write("AUTH PLAIN\r\n");
        if (!written) return written;
        auto line = wire_.read_line(kLongestLine);
        if (!line) return pass_on(line);
        done = line->starts_with('+') && !line->starts_with("+OK") ? ask(credentials.sasl_plain())
                                                                   : parse_pop3_status(*line);
    }
    if (done) return {};
    return fail(done.error().code(), fmt::format("{}:{} does not log {} in: {}", endpoint.host, endpoint.port,
                                                 credentials.user, done.error().detail()));
}

Result<std::string> Pop3Source::ask(std::string_view command) {
    // A line end in a name or password would be another command.
    if (command.find_first_of("\r\n") != std::string_view::npos) return fail(Errc::denied, "it has a line end");
    if (auto written = wire_.write(fmt::format("{}\r\n", command)); !written) return pass_on(written);
    auto line = wire_.read_line(kLongestLine);
    if (!line) return line;
    return parse_pop3_status(*line);
}

Result<> Pop3Source::lines(std::string_view command, const std::function<void(std::string_view)>& take) {
    if (auto done = ask(command); !done) return pass_on(done);
    for (std::size_t count = 0;; ++count) {
        auto line = wire_.read_line(kLongestLine);
        if (!line) return pass_on(line);
        if (*line == ".") return {};
        if (count == kMostMessages) return fail(Errc::too_large, "more messages than a maildrop may have");
        take(line->starts_with('.') ? std::string_view(*line).substr(1) : std::string_view(*line));
    }
}

Result<std::vector<Pop3Source::Listed>> Pop3Source::list() {
    std::vector<Listed> all;
    auto add_size = [&](std::string_view line) {
        if (auto found = parse_scan_listing(line)) all.push_back({found->first, found->second, {}});
    };
    if (auto done = lines("LIST", add_size); !done) return pass_on(done);
    std::ranges::sort(all, {}, &Listed::number);
    auto add_id = [&](std::string_view line) {
        auto found = parse_unique_id_listing(line);
        if (!found) return;
        auto at = std::ranges::lower_bound(all, found->first, {}, &Listed::number);
        if (at != all.end() && at->number == found->first) at->unique_id = std::move(found->second);
    };
    if (auto done = lines("UIDL", add_id); !done) {
        if (done.error().code() != Errc::denied) return pass_on(done);
        return fail(Errc::denied, fmt::format("the server tells no unique-ids (UIDL): {}", done.error().detail()));
    }
    return all;
}

Result<std::string> Pop3Source::fetch(std::string_view command) {
    if (auto done = ask(command); !done) return done;
    MultiLine response(kLargestMessage);
    for (;;) {
        auto part = wire_.read_some(kPart);
        if (!part) return part;
        auto ended = response.add(*part);
        if (!ended) {
            wire_.cut();
            return pass_on(ended);
        }
        if (*ended) return std::move(response.text());
    }
}

Result<std::string> Pop3Source::header(std::uint32_t number) { return fetch(fmt::format("TOP {} 0", number)); }
Result<std::string> Pop3Source::message(std::uint32_t number) { return fetch(fmt::format("RETR {}", number)); }

void Pop3Source::leave() {
    if (wire_.is_open()) (void)ask("RSET");
    wire_.cut();
}

}  // namespace poplar::moving
