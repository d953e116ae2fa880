// How ManageSieve reads its commands and says its replies. What is too large is read to its end and thrown away, up to
// a bound; beyond it the session ends, so that no octet of a literal is ever taken for a command.
#include "managesieve/conversation.h"

#include <fmt/format.h>

#include <algorithm>

namespace poplar::managesieve {

namespace {

constexpr std::uint64_t kDiscardedEarly = 64 << 10;  // octets of a literal before the login
constexpr std::uint64_t kDiscarded = 16 << 20;       // and behind it
constexpr std::uint64_t kReserved = 64 << 10;        // of a literal, before any of it has come

std::string status_line(std::string_view status, std::string_view code, std::string_view text) {
    return fmt::format("{}{}{}{} {}\r\n", status, code.empty() ? "" : " (", code, code.empty() ? "" : ")",
                       to_string(text));
}

}  // namespace

Conversation::Conversation(net::Connection& connection, const Options& options, const session::LoginServices& logins,
                           std::string_view session_id)
    : connection_(connection),
      options_(options),
      lines_(connection, options.bad_commands),
      login_(logins,
             {.login_event = "managesieve.login",
              .failure_event = "managesieve.auth_failed",
              .service = directory::Service::sieve,
              .needed = auth::Right::filters,
              .failures = options.login_failures},
             connection, lines_, session_id),
      session_id_(session_id),
      idle_(options.login_idle) {
    begin_login();
}

void Conversation::begin_login() {
    deadline_ = SteadyClock::now() + options_.login_total;
    idle_ = options_.login_idle;
    literal_limit_ = options_.response_limit;
    discard_limit_ = std::max(kDiscardedEarly, literal_limit_);
}

void Conversation::end_login(std::uint64_t literal_limit) {
    deadline_ = SteadyTime::max();
    idle_ = options_.idle;
    literal_limit_ = std::max(literal_limit, options_.response_limit);
    discard_limit_ = std::max(kDiscarded, literal_limit_);
}

Task<Result<Command>> Conversation::next_command() {
    for (;;) {
        CommandReader reader;
        http_ = false;
        if (auto gathered = co_await gather(reader); !gathered) co_return pass_on(gathered);
        auto command = reader.finish();
        if (command) co_return std::move(*command);
        if (http_) {
            auto said = co_await say_bye("this is ManageSieve, not HTTP", "http");
            co_return pass_on(said);
        }
        // A script that is too large is no bad command, but one over a quota (RFC 5804 s1.3).
        const bool is_script = reader.verb() == "PUTSCRIPT" || reader.verb() == "CHECKSCRIPT";
        Result<> answered;
        if (command.error().too_large && is_script && deadline_ == SteadyTime::max())
            answered = co_await say_no("the script is too large", "QUOTA/MAXSIZE");
        else
            answered = co_await refuse(command.error().text);
        if (!answered) co_return pass_on(answered);
    }
}

template <class Reader>
Task<Result<>> Conversation::gather(Reader& reader) {
    using Then = CommandReader::Then;
    for (;;) {
        auto line = co_await lines_.read(options_.line_limit, idle_, net::LineEnd::crlf_or_lf, deadline_);
        if (!line && line.error().code() == Errc::too_large)
            co_return co_await say_bye("the line is too long", "line_too_long");
        if (!line) co_return pass_on(line);
        http_ = http_ || session::is_http(*line);
        const auto then = reader.line(*line);
        if (then == Then::finish) co_return Result<>();
        if (then == Then::hopeless)
            co_return co_await say_bye("a client's literals are {octets+}", "synchronizing_literal");
        auto literal = co_await read_literal(reader.literal_octets(), reader.wants_literal());
        if (!literal) co_return pass_on(literal);
        if (*literal)
            reader.literal(std::move(**literal));
        else if constexpr (requires { reader.literal_too_large(); })
            reader.literal_too_large();
    }
}

Task<Result<std::optional<std::string>>> Conversation::read_literal(std::uint64_t octets, bool wanted) {
    if (octets > discard_limit_) {
        auto said = co_await say_bye("the literal is too large", "literal_too_large", "QUOTA/MAXSIZE");
        co_return pass_on(said);
    }
    const bool kept = wanted && octets <= literal_limit_;
    const auto deadline = std::min(deadline_, SteadyClock::now() + options_.script_time);
    std::string out;
    if (kept) out.reserve(static_cast<std::size_t>(std::min(octets, kReserved)));
    for (auto left = octets; left > 0;) {
        const auto time = std::chrono::ceil<std::chrono::seconds>(deadline - SteadyClock::now());
        if (time <= time.zero()) co_return fail(Errc::timed_out, "the deadline has passed");
        auto some = co_await connection_.read_some(time);
        if (!some) co_return pass_on(some);
        const auto part = some->substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, some->size())));
        if (kept) out += part;
        left -= part.size();
        connection_.consume(part.size());
    }
    if (!kept) co_return std::optional<std::string>();
    co_return std::optional(std::move(out));
}

Task<Result<std::string>> Conversation::ask(std::string challenge) {
    if (auto said = co_await say(to_string(challenge) + "\r\n"); !said) co_return pass_on(said);
    ResponseReader reader;
    if (auto gathered = co_await gather(reader); !gathered) co_return pass_on(gathered);
    auto answer = reader.finish();
    if (!answer) co_return std::string("no string");  // which is no base64 either
    co_return std::move(*answer);
}

Task<Result<>> Conversation::say(std::string reply) {
    reply_ = std::move(reply);
    return connection_.write(reply_);
}

Task<Result<>> Conversation::say_ok(std::string_view text, std::string_view code) {
    return say(status_line("OK", code, text));
}

Task<Result<>> Conversation::say_no(std::string_view text, std::string_view code) {
    return say(status_line("NO", code, text));
}

Task<Result<>> Conversation::say_bye(std::string_view text, std::string_view reason, std::string_view code) {
    if (auto said = co_await say(status_line("BYE", code, text)); !said) co_return said;
    co_return lines_.end(reason);
}

Task<Result<>> Conversation::refuse(std::string_view text, std::string_view code) {
    if (lines_.allow_bad_command()) return say_no(text, code);
    return say_bye("too many bad commands", "bad_commands");
}

Task<> Conversation::say_why(Errc ended) {
    if (ended == Errc::cancelled)
        (void)co_await say(status_line("BYE", "TRYLATER", "the server is stopping, try again later"));
    else if (ended == Errc::conflict)
        (void)co_await say(status_line("BYE", "", "the account has changed, log in again"));
    else if (ended == Errc::timed_out)
        (void)co_await say(status_line("BYE", "", "too much time has passed"));
}

std::shared_ptr<const net::TlsContext> Conversation::offered_tls() const {
    if (connection_.tls() || !options_.tls) return nullptr;
    return options_.tls();
}

}  // namespace poplar::managesieve
