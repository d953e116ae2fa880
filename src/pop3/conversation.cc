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

// A browser that is made to talk to us: a form's body could hold POP3 commands. A long request line is refused for its
// length, but each request has a Host field (RFC 9112 s3, s3.2).
bool is_http(std::string_view line) {
    constexpr std::string_view kHost = "host:";
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return line.contains(" HTTP/") || std::ranges::equal(line.substr(0, kHost.size()), kHost, {}, lower);
}

Seconds until(SteadyTime deadline) {
    return std::max(Seconds(0), std::chrono::ceil<Seconds>(deadline - SteadyClock::now()));
}

}  // namespace

bool SaslChannel::passwords_allowed() const {
    if (connection_.tls()) return true;
    switch (options_.allow_plaintext) {
        case AllowPlaintext::never: return false;
        case AllowPlaintext::loopback: return connection_.peer().loopback;
        case AllowPlaintext::always: return true;
    }
    return false;
}

std::span<const std::string> SaslChannel::certificate_addresses() const {
    const auto* tls = connection_.tls();
    return tls ? std::span<const std::string>(tls->certificate_addresses) : std::span<const std::string>();
}

Task<std::optional<Command>> Conversation::next_command(Seconds idle) {
    return read_command(idle, options_.line_limit);
}

// What needs an answer of its own, or a wait, is left where it is.
std::optional<Command> Conversation::command_at_hand() {
    const auto received = connection_.at_hand();
    const auto line = net::find_line(received, net::LineEnd::crlf_or_lf);
    if (!line || over() || line->text + 2 > options_.line_limit) return std::nullopt;
    auto command = parse_command(received.substr(0, line->text));
    if (!command) return std::nullopt;
    connection_.consume(line->whole);
    ++lines_;
    return std::move(*command);
}

// Tokens are long, and clients send them with the command, though RFC 5034 s4 keeps commands to 255 octets.
Task<std::optional<Command>> Conversation::read_command(Seconds idle, std::size_t limit) {
    while (!over()) {
        reading_ = true;
        auto line = co_await connection_.read_line(limit, idle);
        reading_ = false;
        ++lines_;
        if (ousted_) {
            co_await say_error("the account has changed, log in again");
            end("account_changed");
            break;
        }
        if (line && line->size() + 2 > options_.line_limit && !is_auth(*line))
            line = fail(Errc::too_large, "line too long");
        if (!line && line.error().code() == Errc::too_large) {
            co_await refuse("line too long");
            continue;
        }
        if (!line) {
            co_await end_of_reading(line.error().code());
            break;
        }
        auto command = parse_command(*line);
        if (command) co_return std::move(*command);
        if (command.error().code() == Errc::not_found && is_http(*line)) {
            co_await say_error("this is POP3, not HTTP");
            end("http");
        } else if (command.error().code() == Errc::not_found) {
            co_await refuse("unknown command");
        } else {
            auto why = Text::find(command.error().detail());
            co_await refuse(why ? *why : Text("unknown command"));
        }
    }
    co_return std::nullopt;
}

// A peer that always has another command ready never makes a read wait, so the read's own limit would not end it.
Task<std::optional<Command>> Conversation::next_command(Seconds idle, SteadyTime deadline) {
    if (SteadyClock::now() >= deadline) {
        end("timed_out");
        co_return std::nullopt;
    }
    co_return co_await read_command(std::min(idle, until(deadline)),
                                    std::max(options_.line_limit, options_.response_limit));
}

Task<std::optional<std::string_view>> Conversation::next_response(SteadyTime deadline) {
    auto line = co_await connection_.read_line(options_.response_limit, std::min(options_.login_idle, until(deadline)));
    if (line) co_return *line;
    if (line.error().code() == Errc::too_large)
        co_await refuse("line too long");
    else
        co_await end_of_reading(line.error().code());
    co_return std::nullopt;
}

Task<> Conversation::end_of_reading(Errc code) {
    switch (code) {
        case Errc::cancelled:
            co_await say_error("[SYS/TEMP]", "server is shutting down, try again later");
            end("stopping");
            break;
        // RFC 1939 s3: the autologout timer closes the connection without a word.
        case Errc::timed_out: end("timed_out"); break;
        default: end("closed"); break;
    }
}

Task<> Conversation::say(std::string_view reply) {
    if (auto sent = co_await connection_.write(reply); !sent) end_of_writing(sent.error().code());
}

Task<> Conversation::say_all(std::span<const std::string_view> pieces) {
    if (auto sent = co_await connection_.write_all(pieces); !sent) end_of_writing(sent.error().code());
}

void Conversation::end_of_writing(Errc code) { end(code == Errc::timed_out ? "timed_out" : "closed"); }

// Each message fetched begins with one: fmt takes as long as all else that is built for it.
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

Task<> Conversation::say_ok(Text text) { return say("+OK {}\r\n", this->text(text)); }

Task<> Conversation::say_list(Text first, std::string_view lines) {
    return say("+OK {}\r\n{}.\r\n", text(first), lines);
}

Task<> Conversation::say_error(Text text) { return say("-ERR {}\r\n", this->text(text)); }

Task<> Conversation::say_error(std::string_view code, Text text) {
    return say("-ERR {} {}\r\n", code, this->text(text));
}

Task<> Conversation::say_failure(const Error& error, Text what) { return say_error(response_code(error.code()), what); }

Task<> Conversation::refuse(Text text) {
    if (++bad_commands_ < options_.bad_commands) {
        co_await say_error(text);
    } else {
        co_await say_error("too many bad commands, goodbye");
        end("bad_commands");
    }
}

void Conversation::oust() {
    if (over()) return;
    if (reading_ && !connection_.sending()) {  // it sends what is gathered before it waits for a command
        ousted_ = true;
        connection_.stop_reading();
    } else {
        end("account_changed");
        connection_.abort();
    }
}

std::shared_ptr<const net::TlsContext> Conversation::offered_tls() const {
    if (connection_.tls() || !options_.tls) return nullptr;
    return options_.tls();
}

// What is available before the login is announced in both states (RFC 2449 s5), except STLS (RFC 2595 s8).
Task<> Conversation::say_capabilities(State state, std::string_view policy) {
    bool passwords = plaintext_allowed(), stls = state == State::authorization && offered_tls();
    bool named = !options_.implementation.empty();
    std::string sasl;
    for (auto mechanism : mechanisms()) sasl.append(sasl.empty() ? "SASL " : " ").append(auth::name_of(mechanism));
    if (!sasl.empty()) sasl.append("\r\n");
    return say(
        "+OK {}\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 "
        "USER\r\nLANG\r\n{}{}{}{}{}{}{}.\r\n",
        text("capabilities follow"), passwords ? "USER\r\n" : "", sasl, stls ? "STLS\r\n" : "", policy,
        named ? "IMPLEMENTATION " : "", options_.implementation, named ? "\r\n" : "");
}

// RFC 6856 s3.2. The tag is the one of ours that was found for the range.
Task<> Conversation::change_language(std::string_view range) {
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
