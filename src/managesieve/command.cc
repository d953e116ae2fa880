// Lines and literals as commands: words, strings and numbers with a space between them (RFC 5804 s4).
#include "managesieve/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.h"
#include "mail/address.h"

namespace poplar::managesieve {

namespace {

constexpr std::size_t kMostArguments = 2;
constexpr std::size_t kLongestVerb = 32;
constexpr std::size_t kLongestQuoted = 1024;  // octets, when we write one
constexpr std::string_view kSyntax = "the command can't be understood";
constexpr std::string_view kArguments = "the arguments are not those of this command";

/// The literal that a line announces at its end.
struct Announced {
    bool literal = false, synchronizing = false, huge = false;
    std::uint64_t octets = 0;
    std::size_t at = 0;  ///< where "{" stands
};

Announced literal_at_end(std::string_view line) {
    Announced out;
    if (!line.ends_with('}')) return out;
    const auto open = line.rfind('{');
    if (open == line.npos) return out;
    auto digits = line.substr(open + 1, line.size() - open - 2);
    const bool waits_not = digits.ends_with('+');
    if (waits_not) digits.remove_suffix(1);
    if (digits.empty() || !std::ranges::all_of(digits, ascii::is_digit)) return out;
    out.literal = true;
    out.synchronizing = !waits_not;
    out.at = open;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.octets);
    out.huge = error != std::errc{};
    return out;
}

/// Takes a quoted string from the front of `text`, which begins with its quote. Nothing: it has no end, or holds what
/// none may.
std::optional<std::string> take_quoted(std::string_view& text) {
    std::string out;
    for (std::size_t i = 1; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            text.remove_prefix(i + 1);
            if (!mail::is_utf8(out)) return std::nullopt;
            return out;
        }
        if (c == '\0' || c == '\r' || c == '\n') return std::nullopt;
        if (c != '\\') {
            out += c;
            continue;
        }
        if (++i == text.size() || (text[i] != '"' && text[i] != '\\')) return std::nullopt;
        out += text[i];
    }
    return std::nullopt;
}

}  // namespace

void CommandReader::refuse(std::string_view why) {
    if (!malformed_) malformed_ = Malformed{why};
}

CommandReader::Then CommandReader::line(std::string_view text) {
    const auto announced = literal_at_end(text);
    auto words = announced.literal ? text.substr(0, announced.at) : text;
    // A synchronizing literal is the server's to send (RFC 5804 s4): its client waits to be told to go on, or does not.
    if (announced.synchronizing || announced.huge) return Then::hopeless;
    if (!begun_) {
        begun_ = true;
        const auto space = words.find(' ');
        const auto verb = words.substr(0, space);
        if (verb.empty() || verb.size() > kLongestVerb || !std::ranges::all_of(verb, ascii::is_alpha)) {
            refuse(verb.empty() && words.empty() ? "an empty line is no command" : "there is no such command");
        } else {
            for (const char c : verb) verb_ += ascii::upper(c);
        }
        words.remove_prefix(std::min(words.size(), verb.size()));
    }
    // A literal stands behind a space, as any argument does.
    if (announced.literal && !words.ends_with(' ')) refuse(kSyntax);
    if (!malformed_) read_arguments(words);
    if (!announced.literal) return Then::finish;
    if (arguments_.size() >= kMostArguments) refuse(kArguments);
    literal_octets_ = announced.octets;
    return Then::literal;
}

void CommandReader::read_arguments(std::string_view text) {
    while (!text.empty()) {
        if (text.front() != ' ') return refuse(kSyntax);
        text = text.substr(std::min(text.find_first_not_of(' '), text.size()));
        if (text.empty()) return;
        if (arguments_.size() == kMostArguments) return refuse(kArguments);
        Argument argument;
        if (text.front() == '"') {
            auto quoted = take_quoted(text);
            if (!quoted) return refuse("a quoted string can't be read");
            argument.text = std::move(*quoted);
        } else {
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), argument.number);
            if (error != std::errc{}) return refuse(kSyntax);
            argument.is_number = true;
            text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        }
        arguments_.push_back(std::move(argument));
    }
}

void CommandReader::literal(std::string octets) {
    if (malformed_) return;
    arguments_.push_back({.text = std::move(octets)});
}

void CommandReader::literal_too_large() {
    if (malformed_) return;
    malformed_ = Malformed{"the literal is too large", true};
}

namespace {

enum class Is : std::uint8_t { text, number };

struct Form {
    std::string_view verb;
    std::size_t needs;
    std::array<Is, kMostArguments> arguments;
    std::size_t most;
};

constexpr Form kForms[] = {
    {"AUTHENTICATE", 1, {Is::text, Is::text}, 2},
    {"CAPABILITY", 0, {}, 0},
    {"CHECKSCRIPT", 1, {Is::text}, 1},
    {"DELETESCRIPT", 1, {Is::text}, 1},
    {"GETSCRIPT", 1, {Is::text}, 1},
    {"HAVESPACE", 2, {Is::text, Is::number}, 2},
    {"LISTSCRIPTS", 0, {}, 0},
    {"LOGOUT", 0, {}, 0},
    {"NOOP", 0, {Is::text}, 1},
    {"PUTSCRIPT", 2, {Is::text, Is::text}, 2},
    {"RENAMESCRIPT", 2, {Is::text, Is::text}, 2},
    {"SETACTIVE", 1, {Is::text}, 1},
    {"STARTTLS", 0, {}, 0},
    {"UNAUTHENTICATE", 0, {}, 0},
};

}  // namespace

std::expected<Command, Malformed> CommandReader::finish() {
    const auto form = std::ranges::find(kForms, std::string_view(verb_), &Form::verb);
    const bool known = form != std::end(kForms);
    if (malformed_ && (known || !malformed_->too_large)) return std::unexpected(*malformed_);
    if (!known) return std::unexpected(Malformed{"there is no such command"});
    if (arguments_.size() < form->needs || arguments_.size() > form->most)
        return std::unexpected(Malformed{kArguments});
    for (std::size_t i = 0; i < arguments_.size(); ++i)
        if (arguments_[i].is_number != (form->arguments[i] == Is::number))
            return std::unexpected(Malformed{kArguments});
    auto text = [&](std::size_t i) { return std::move(arguments_[i].text); };
    switch (verb_[0]) {
        case 'A': {
            Authenticate authenticate{text(0), std::nullopt};
            if (arguments_.size() > 1) authenticate.initial_response = text(1);
            return authenticate;
        }
        case 'C':
            if (verb_ == "CAPABILITY") return Capability{};
            return CheckScript{text(0)};
        case 'D': return DeleteScript{text(0)};
        case 'G': return GetScript{text(0)};
        case 'H': return HaveSpace{text(0), arguments_[1].number};
        case 'L':
            if (verb_ == "LOGOUT") return Logout{};
            return ListScripts{};
        case 'N': return Noop{arguments_.empty() ? std::nullopt : std::optional(text(0))};
        case 'P': return PutScript{text(0), text(1)};
        case 'R': return RenameScript{text(0), text(1)};
        case 'S':
            if (verb_ == "STARTTLS") return StartTls{};
            return SetActive{text(0)};
        default: return Unauthenticate{};
    }
}

CommandReader::Then ResponseReader::line(std::string_view text) {
    using Then = CommandReader::Then;
    const auto announced = literal_at_end(text);
    if (announced.synchronizing || announced.huge) return Then::hopeless;
    if (begun_ && (announced.literal || !text.empty())) broken_ = true;
    if (!begun_ && announced.literal && announced.at != 0) broken_ = true;
    if (!begun_ && !announced.literal) {
        if (text.starts_with('"')) text_ = take_quoted(text);
        broken_ = !text_ || !text.empty();
    }
    begun_ = true;
    literal_octets_ = announced.octets;
    return announced.literal ? Then::literal : Then::finish;
}

void ResponseReader::literal(std::string octets) {
    if (!broken_) text_ = std::move(octets);
}

std::optional<std::string> ResponseReader::finish() {
    if (broken_) return std::nullopt;
    return std::move(text_);
}

std::string to_string(std::string_view text) {
    const bool quotable = text.size() <= kLongestQuoted && mail::is_utf8(text) &&
                          std::ranges::none_of(text, [](char c) { return c == '\0' || c == '\r' || c == '\n'; });
    if (!quotable) return fmt::format("{{{}}}\r\n{}", text.size(), text);
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace poplar::managesieve
