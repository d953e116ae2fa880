// Sends commands and reads answers; pipelines RETR in a window.
#include "bench/load/pop3_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace poplar::bench {

namespace {

/// The name of an error in the report: the command and the answer, shortened.
std::unexpected<Error> refused(std::string_view command, std::string_view answer) {
    return fail(Errc::denied,
                fmt::format("{}: {}", command.substr(0, command.find_first_of(" \r")), answer.substr(0, 60)));
}

Error during(std::string_view command, const Error& error) {
    return Error(error.code(), fmt::format("{}: {}", command.substr(0, command.find_first_of(" \r")), error.detail()));
}

}  // namespace

Task<Result<>> Pop3Session::expect_ok(std::string_view command) {
    auto answer = co_await channel_.line();
    if (!answer) co_return std::unexpected(during(command, answer.error()));
    if (!answer->starts_with("+OK")) co_return refused(command, *answer);
    co_return Result<>{};
}

Task<Result<>> Pop3Session::command(std::string_view line) {
    if (auto sent = co_await channel_.write(line); !sent) co_return std::unexpected(during(line, sent.error()));
    co_return co_await expect_ok(line);
}

Task<Result<>> Pop3Session::start_tls() {
    auto done = co_await channel_.connect_tls(worker_.tls.get());
    if (!done) co_return pass_on(done);
    if (worker_.run.measuring.load(std::memory_order_relaxed))
        ++(channel_.session_reused() ? worker_.statistics.resumed : worker_.statistics.full_handshakes);
    co_return Result<>{};
}

Task<Result<>> Pop3Session::log_in(std::uint64_t account) {
    const Options& options = worker_.options;
    if (auto begun = channel_.connect(options.pop3); !begun)
        co_return std::unexpected(during("connect", begun.error()));
    if (options.security == Security::tls)
        if (auto done = co_await start_tls(); !done) co_return std::unexpected(during("TLS", done.error()));
    if (auto greeting = co_await expect_ok("connect"); !greeting) co_return pass_on(greeting);
    if (options.security == Security::stls) {
        if (auto done = co_await command("STLS\r\n"); !done) co_return pass_on(done);
        if (auto done = co_await start_tls(); !done) co_return std::unexpected(during("TLS", done.error()));
    }
    out_.clear();
    fmt::format_to(std::back_inserter(out_), "USER {}\r\n", options.accounts.name(account, name_));
    if (auto done = co_await command(out_); !done) co_return pass_on(done);
    out_.clear();
    fmt::format_to(std::back_inserter(out_), "PASS {}\r\n", options.accounts.password);
    co_return co_await command(out_);
}

Task<Result<std::uint64_t>> Pop3Session::list() {
    // Only CRLF.CRLF ends a list, and nothing follows it: the end of what is here tells. The three octets before are
    // kept in sight; "." alone is an empty list.
    std::uint64_t lines = 0;
    std::size_t seen = 0;
    bool first = true;
    for (;;) {
        auto have = channel_.input();
        lines +=
            static_cast<std::uint64_t>(std::count(have.begin() + static_cast<std::ptrdiff_t>(seen), have.end(), '\n'));
        if (have.ends_with("\r\n.\r\n") || (first && have == ".\r\n")) {
            channel_.consume(have.size());
            co_return lines - 1;
        }
        if (have.size() > 4) {
            channel_.consume(have.size() - 4);
            first = false;
        }
        seen = std::min<std::size_t>(have.size(), 4);
        if (auto more = co_await channel_.fill(); !more) co_return std::unexpected(during("list", more.error()));
    }
}

Task<Result<>> Pop3Session::message(std::uint64_t& octets) {
    MessageReader reader;
    for (;;) {
        channel_.consume(reader.take(channel_.input()));
        if (reader.at_end()) break;
        if (auto more = co_await channel_.fill(); !more) co_return std::unexpected(during("RETR", more.error()));
    }
    octets = reader.octets();
    bool counts = worker_.run.measuring.load(std::memory_order_relaxed);
    switch (reader.verdict()) {
        case MessageReader::Verdict::good: worker_.statistics.verified += counts; break;
        case MessageReader::Verdict::unmarked: worker_.statistics.unmarked += counts; break;
        case MessageReader::Verdict::bad: co_return fail(Errc::corrupt, "RETR: the message is not what was delivered");
    }
    co_return Result<>{};
}

Task<Result<>> Pop3Session::fetch(std::uint64_t count, unsigned window, bool remove) {
    std::uint64_t sent = 0;
    for (std::uint64_t number = 1; number <= count; ++number) {
        auto begun = Clock::now();
        // Refilled when half of it is used up: commands leave in few writes, and the server never runs dry.
        if (sent < count && sent + 1 - number <= window / 2) {
            out_.clear();
            for (; sent < count && sent + 1 - number < window; ++sent) {
                fmt::format_to(std::back_inserter(out_), "RETR {}\r\n", sent + 1);
                if (remove) fmt::format_to(std::back_inserter(out_), "DELE {}\r\n", sent + 1);
            }
            if (auto done = co_await channel_.write(out_); !done)
                co_return std::unexpected(during("RETR", done.error()));
        }
        std::uint64_t octets = 0;
        if (auto done = co_await expect_ok("RETR"); !done) co_return pass_on(done);
        if (auto done = co_await message(octets); !done) co_return pass_on(done);
        if (remove)
            if (auto done = co_await expect_ok("DELE"); !done) co_return pass_on(done);
        worker_.finished(begun, octets);
    }
    co_return Result<>{};
}

Task<Result<>> Pop3Session::quit() {
    if (auto done = co_await command("QUIT\r\n"); !done) co_return pass_on(done);
    if (auto ended = co_await channel_.end(); !ended) co_return std::unexpected(during("QUIT", ended.error()));
    channel_.close();
    co_return Result<>{};
}

}  // namespace poplar::bench
