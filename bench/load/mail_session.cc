#include "bench/load/mail_session.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace poplar::bench {

namespace {

Error during(std::string_view command, const Error& error) {
    return Error(error.code(), fmt::format("{}: {}", command, error.detail()));
}

}  // namespace

Task<Result<>> MailSession::expect(int code, std::string_view command) {
    for (;;) {
        auto line = co_await channel_.line();
        if (!line) co_return std::unexpected(during(command, line.error()));
        int got = 0;
        std::from_chars(line->data(), line->data() + std::min<std::size_t>(3, line->size()), got);
        if (got != code)
            co_return fail(got == 421 ? Errc::closed : Errc::denied,
                           fmt::format("{}: {}", command, line->substr(0, 60)));
        if (line->size() < 4 || (*line)[3] != '-') co_return Result<>{};
    }
}

Task<Result<>> MailSession::connect() {
    const Options& options = worker_.options;
    std::string_view hello =
        options.protocol == MailProtocol::lmtp ? "LHLO bench.example\r\n" : "EHLO bench.example\r\n";
    open_ = false;
    delivered_ = 0;
    if (auto begun = channel_.connect(options.mail); !begun)
        co_return std::unexpected(during("connect", begun.error()));
    if (options.security == Security::tls)
        if (auto done = co_await channel_.connect_tls(worker_.tls.get()); !done) co_return pass_on(done);
    if (auto done = co_await expect(220, "connect"); !done) co_return pass_on(done);
    if (auto done = co_await channel_.write(hello); !done) co_return pass_on(done);
    if (auto done = co_await expect(250, "LHLO"); !done) co_return pass_on(done);
    if (options.security == Security::stls) {
        if (auto done = co_await channel_.write("STARTTLS\r\n"); !done) co_return pass_on(done);
        if (auto done = co_await expect(220, "STARTTLS"); !done) co_return pass_on(done);
        if (auto done = co_await channel_.connect_tls(worker_.tls.get()); !done) co_return pass_on(done);
        if (auto done = co_await channel_.write(hello); !done) co_return pass_on(done);
        if (auto done = co_await expect(250, "LHLO"); !done) co_return pass_on(done);
    }
    open_ = true;
    co_return Result<>{};
}

Task<Result<>> MailSession::envelope(std::uint64_t number) {
    const Options& options = worker_.options;
    // With pipelining (RFC 2920) the whole envelope is one write; without, each command waits for its reply.
    out_ = "MAIL FROM:<sender@elsewhere.example>\r\n";
    if (!options.pipelining) {
        if (auto done = co_await channel_.write(out_); !done) co_return std::unexpected(during("MAIL", done.error()));
        if (auto done = co_await expect(250, "MAIL"); !done) co_return pass_on(done);
        out_.clear();
    }
    for (unsigned i = 0; i < options.recipients; ++i) {
        fmt::format_to(std::back_inserter(out_), "RCPT TO:<{}>\r\n",
                       options.accounts.name(number * options.recipients + i, name_));
        if (options.pipelining) continue;
        if (auto done = co_await channel_.write(out_); !done) co_return std::unexpected(during("RCPT", done.error()));
        if (auto done = co_await expect(250, "RCPT"); !done) co_return pass_on(done);
        out_.clear();
    }
    out_ += "DATA\r\n";
    if (auto done = co_await channel_.write(out_); !done) co_return std::unexpected(during("DATA", done.error()));
    if (options.pipelining) {
        if (auto done = co_await expect(250, "MAIL"); !done) co_return pass_on(done);
        for (unsigned i = 0; i < options.recipients; ++i)
            if (auto done = co_await expect(250, "RCPT"); !done) co_return pass_on(done);
    }
    co_return co_await expect(354, "DATA");
}

Task<Result<>> MailSession::deliver(std::uint64_t number) {
    const Options& options = worker_.options;
    auto begun = Clock::now();
    auto accepted = co_await envelope(number);
    if (!accepted && accepted.error().code() == Errc::closed && delivered_ > 0) {
        // The server has had enough of this connection (421): a new one, as any mail server would.
        if (auto again = co_await connect(); !again) co_return pass_on(again);
        begun = Clock::now();
        accepted = co_await envelope(number);
    }
    if (!accepted) {
        open_ = false;
        co_return pass_on(accepted);
    }
    open_ = false;  // until all went well
    const std::string& message = worker_.run.pool->at(number);
    if (auto done = co_await channel_.write(message); !done) co_return std::unexpected(during("message", done.error()));
    unsigned replies = options.protocol == MailProtocol::lmtp ? options.recipients : 1;
    for (unsigned i = 0; i < replies; ++i)
        if (auto done = co_await expect(250, "message"); !done) co_return pass_on(done);
    open_ = true;
    worker_.finished(begun, message.size());
    if (++delivered_ >= options.messages_per_connection && options.messages_per_connection > 0)
        co_return co_await quit();
    co_return Result<>{};
}

Task<Result<>> MailSession::quit() {
    open_ = false;
    if (auto done = co_await channel_.write("QUIT\r\n"); !done) co_return std::unexpected(during("QUIT", done.error()));
    if (auto done = co_await expect(221, "QUIT"); !done) co_return pass_on(done);
    if (auto done = co_await channel_.end(); !done) co_return std::unexpected(during("QUIT", done.error()));
    channel_.close();
    co_return Result<>{};
}

}  // namespace poplar::bench
