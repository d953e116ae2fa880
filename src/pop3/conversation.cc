// How POP3 reads its commands and says its replies, whatever the state.
#include "pop3/conversation.h"

#include <algorithm>

namespace poplar::pop3 {

namespace {

using Seconds = net::Connection::Seconds;

// RFC 3206 s4: SYS/TEMP may work later, SYS/PERM needs the operator.
std::string_view response_code(Errc code) {
    switch (code) {
        case Errc::corrupt:
        case Errc::not_found: return "[SYS/PERM]";
        default: return "[SYS/TEMP]";
    }
}

bool is_auth(std::string_view line) {
    auto command = parse_command(line);
    return command && std::holds_alternative<Auth>(*command);
}

}  // namespace

Conversation::Conversation(net::Connection& connection, const Options& options, const session::LoginServices& logins,
                           std::string_view session_id)
    : connection_(connection),
      options_(options),
      lines_(connection, options.bad_commands),
      login_(logins,
             {.login_event = "pop3.login",
              .failure_event = "pop3.auth_failed",
              .needed = auth::Right::mail,
              .failures = options.login_failures,
              .details = session::LoginTerms::Details::name_mailbox},
             connection, lines_, session_id),
      session_id_(session_id) {}

// Leaves a line that is no command, or not whole yet, to next_command().
std::optional<Command> Conversation::command_at_hand() {
    const auto line = lines_.at_hand(options_.line_limit);
    if (!line || line->text.size() + 2 > options_.line_limit) return std::nullopt;
    auto command = parse_command(line->text);
    if (!command) return std::nullopt;
    lines_.consume(*line);
    ++line_count_;
    return std::move(*command);
}

Task<Result<Command>> Conversation::next_command() {
    return read_command(options_.line_limit, options_.transaction_idle, SteadyTime::max());
}

// RFC 5034 s4 keeps commands to 255 octets, but tokens are longer, and clients send them with the command.
Task<Result<Command>> Conversation::next_command_by(SteadyTime deadline) {
    return read_command(std::max(options_.line_limit, options_.response_limit), options_.login_idle, deadline);
}

// RFC 2449 s4: a command has at most 255 octets with its CRLF.
Task<Result<Command>> Conversation::read_command(std::size_t limit, Seconds idle, SteadyTime deadline) {
    for (;;) {
        Result<std::string_view> line;
        const bool in_time = deadline == SteadyTime::max() || SteadyClock::now() < deadline;
        if (auto here = in_time ? lines_.at_hand(limit) : std::nullopt) {
            lines_.consume(*here);
            line = here->text;
        } else {
            line = co_await lines_.read(limit, idle, net::LineEnd::crlf_or_lf, deadline);
        }
        ++line_count_;
        Result<> answered;
        if (line && (line->size() + 2 <= options_.line_limit || is_auth(*line))) {
            auto command = parse_command(*line);
            if (command) co_return std::move(*command);
            answered = co_await refuse_line(*line, command.error());
        } else if (line || line.error().code() == Errc::too_large) {
            answered = co_await refuse("line too long");
        } else {
            answered = pass_on(line);
        }
        if (!answered) co_return pass_on(answered);
    }
}

Task<Result<std::string_view>> Conversation::next_response(SteadyTime deadline) {
    return lines_.read(options_.response_limit, options_.login_idle, net::LineEnd::crlf_or_lf, deadline);
}

Task<Result<>> Conversation::refuse_line(std::string_view line, Text why) {
    if (why != kUnknownCommand || !session::is_http(line)) co_return co_await refuse(why);
    if (auto said = co_await say_error("this is POP3, not HTTP"); !said) co_return said;
    co_return lines_.end("http");
}

// Without fmt, because the reply to each RETR begins with such a line, and fmt would take as long as all the rest of
// it.
std::string_view Conversation::ok_line(Phrase<std::uint64_t> phrase, std::uint64_t number) {
    constexpr std::string_view kPlace = "{}";
    const auto text = this->text(phrase.text);
    const auto place = text.find(kPlace);
    fmt::format_int digits(number);
    const std::string_view parts[] = {
        "+OK ", text.substr(0, place), {digits.data(), digits.size()}, text.substr(place + kPlace.size()), "\r\n"};
    std::size_t size = 0;
    for (auto part : parts) size += part.size();
    reply_.resize_and_overwrite(size, [&](char* out, std::size_t) {
        for (auto part : parts) out = std::ranges::copy(part, out).out;
        return size;
    });
    return reply_;
}

Task<Result<>> Conversation::say_ok(Text text) { return say("+OK {}\r\n", this->text(text)); }

Task<Result<>> Conversation::say_list(Text first, std::string_view lines) {
    return say("+OK {}\r\n{}.\r\n", text(first), lines);
}

Task<Result<>> Conversation::say_error(Text text) { return say("-ERR {}\r\n", this->text(text)); }

Task<Result<>> Conversation::say_error(std::string_view code, Text text) {
    return say("-ERR {} {}\r\n", code, this->text(text));
}

Task<Result<>> Conversation::say_failure(const Error& error, Text what) {
    return say_error(response_code(error.code()), what);
}

Task<Result<>> Conversation::refuse(Text text) {
    if (lines_.allow_bad_command()) co_return co_await say_error(text);
    if (auto said = co_await say_error("too many bad commands, goodbye"); !said) co_return said;
    co_return lines_.end("bad_commands");
}

// RFC 1939 s3: the autologout timer closes the connection without a word.
Task<> Conversation::say_why(Errc ended) {
    if (ended == Errc::cancelled)
        (void)co_await say_error("[SYS/TEMP]", "server is shutting down, try again later");
    else if (ended == Errc::conflict)
        (void)co_await say_error("the account has changed, log in again");
}

std::shared_ptr<const net::TlsContext> Conversation::offered_tls() const {
    if (connection_.tls() || !options_.tls) return nullptr;
    return options_.tls();
}

// Capabilities before the login are announced in both states (RFC 2449 s5), except STLS (RFC 2595 s8).
Task<Result<>> Conversation::say_capabilities(State state, std::string_view policy) {
    bool passwords = login_.passwords_allowed(), stls = state == State::authorization && offered_tls();
    bool named = !options_.implementation.empty();
    std::string sasl;
    for (auto mechanism : login_.mechanisms())
        sasl.append(sasl.empty() ? "SASL " : " ").append(auth::name_of(mechanism));
    if (!sasl.empty()) sasl.append("\r\n");
    return say(
        "+OK {}\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 "
        "USER\r\nLANG\r\n{}{}{}{}{}{}{}.\r\n",
        text("capabilities follow"), passwords ? "USER\r\n" : "", sasl, stls ? "STLS\r\n" : "", policy,
        named ? "IMPLEMENTATION " : "", options_.implementation, named ? "\r\n" : "");
}

// RFC 6856 s3.2. The tag is the one of ours that was found for the range.
Task<Result<>> Conversation::change_language(std::string_view range) {
    if (range.empty()) {
        std::string lines;
        for (const auto& [tag, name] : kLanguages) fmt::format_to(std::back_inserter(lines), "{} {}\r\n", tag, name);
        return say_list("languages follow", lines);
    }
    auto found = range == "*" ? options_.language : find_language(range);
    if (!found) return refuse("there is no such language");
    language_ = *found;
    return say("+OK {} {}\r\n", name_of(language_).tag, text("the language is English now"));
}

}  // namespace poplar::pop3
