#include "moving/imap_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "moving/maildir.h"

namespace poplar::moving {

namespace {

constexpr std::size_t kLongestLine = 1 << 20;  // octets; a FETCH with many keywords is far shorter
constexpr std::size_t kMostLiterals = 64;      // of one response
constexpr std::size_t kPart = 64 << 10;
constexpr std::size_t kMostFolders = 100'000;
constexpr std::size_t kMostMessages = 4'000'000;  // of a folder
constexpr std::size_t kHeadersAtOnce = 200;

std::string in_quotes(std::string_view text) { return imap_quoted(text).value_or(std::string()); }

}  // namespace

std::string mailbox_of(std::string_view raw, std::string_view delimiter, std::string_view prefix) {
    if (ascii::same(raw, "INBOX")) return "INBOX";
    if (!prefix.empty() && raw.size() > prefix.size() && ascii::starts_with(raw, prefix))
        raw.remove_prefix(prefix.size());
    std::string name(raw);
    if (!delimiter.empty()) std::ranges::replace(name, delimiter.front(), '/');
    return mailbox_name_of(name);
}

// A session that came to nothing ends: what asks next must begin with TLS and the login again.
Result<> ImapSource::open(const Endpoint& endpoint, const Credentials& credentials) {
    auto opened = begin(endpoint, credentials);
    if (!opened) wire_.cut();
    return opened;
}

Result<> ImapSource::begin(const Endpoint& endpoint, const Credentials& credentials) {
    if (auto opened = wire_.open(endpoint); !opened) return opened;
    auto greeting = wire_.read_line(kLongestLine);
    if (!greeting) return pass_on(greeting);
    if (!ascii::starts_with(*greeting, "* OK") && !ascii::starts_with(*greeting, "* PREAUTH"))
        return fail(Errc::denied, fmt::format("{}:{} says {}", endpoint.host, endpoint.port, *greeting));
    const TakeResponse nothing = [](const ImapResponse&) {};
    if (endpoint.encryption == Encryption::start_tls) {
        if (auto done = command("STARTTLS", nothing); !done)
            return fail(done.error().code(), fmt::format("{}:{} begins no TLS (STARTTLS): {}; --tls if it speaks TLS "
                                                         "from the first octet, --no-tls to go on in the clear",
                                                         endpoint.host, endpoint.port, done.error().detail()));
        if (auto done = wire_.start_tls(); !done) return done;
    }
    auto done = learn_capabilities();
    if (done) done = log_in(credentials);
    if (done) done = learn_capabilities();  // there may be more of them now
    if (done) return {};
    return fail(done.error().code(), fmt::format("{}:{} does not log {} in: {}", endpoint.host, endpoint.port,
                                                 credentials.user, done.error().detail()));
}

Result<> ImapSource::learn_capabilities() {
    capabilities_.clear();
    auto take = [&](const ImapResponse& response) {
        auto values = parse_imap(response);
        if (!values || values->size() < 2 || !(*values)[1].is("CAPABILITY")) return;
        for (const auto& value : *values) capabilities_.push_back(value.text);
    };
    auto done = command("CAPABILITY", take);
    return done ? Result<>() : Result<>(pass_on(done));
}

Result<> ImapSource::log_in(const Credentials& credentials) {
    const TakeResponse nothing = [](const ImapResponse&) {};
    const auto offers = [&](std::string_view name) {
        return std::ranges::any_of(capabilities_, [&](const auto& one) { return ascii::same(one, name); });
    };
    const auto name = imap_quoted(credentials.user), password = imap_quoted(credentials.password);
    const bool by_login = credentials.master.empty() && !offers("AUTH=PLAIN") && name && password;
    auto done = by_login ? command(fmt::format("LOGIN {} {}", *name, *password), nothing)
                         : command("AUTHENTICATE PLAIN", nothing, credentials.sasl_plain());
    return done ? Result<>() : Result<>(pass_on(done));
}

Result<ImapResponse> ImapSource::read() {
    ImapResponse response;
    std::uint64_t held = 0;
    for (;;) {
        auto line = wire_.read_line(kLongestLine);
        if (!line) return pass_on(line);
        response.lines.push_back(std::move(*line));
        const auto octets = literal_at_end(response.lines.back());
        if (!octets) return response;
        held += octets.value_or(0);
        if (held > kLargestMessage || response.literals.size() == kMostLiterals) {
            wire_.cut();
            return fail(Errc::too_large, "a response of the other server is too long");
        }
        std::string literal;
        while (literal.size() < *octets) {
            auto part = wire_.read_some(std::min<std::uint64_t>(*octets - literal.size(), kPart));
            if (!part) return pass_on(part);
            literal += *part;
        }
        response.literals.push_back(std::move(literal));
    }
}

Result<std::string> ImapSource::command(std::string text, const TakeResponse& take, const std::string& answer) {
    const auto tag = fmt::format("p{}", ++tag_);
    if (auto written = wire_.write(fmt::format("{} {}\r\n", tag, text)); !written) return pass_on(written);
    bool answered = answer.empty();
    for (;;) {
        auto response = read();
        if (!response) return pass_on(response);
        const std::string_view line = response->lines.front();
        if (line.starts_with('+')) {
            if (answered) return fail(Errc::invalid, "the other server waits for what it has");
            answered = true;
            if (auto written = wire_.write(answer + "\r\n"); !written) return pass_on(written);
        } else if (line.starts_with("* ")) {
            if (ascii::starts_with(line, "* BYE")) {
                wire_.cut();
                return fail(Errc::closed, fmt::format("the other server ends the session: {}", line.substr(5)));
            }
            take(std::move(*response));
        } else if (line.starts_with(tag) && line.substr(tag.size()).starts_with(' ')) {
            const auto status = ascii::trim(line.substr(tag.size()));
            if (ascii::starts_with(status, "OK")) return std::string(status.substr(2));
            return fail(Errc::denied, std::string(status));
        } else {
            wire_.cut();
            return fail(Errc::invalid, "what it says is no IMAP");
        }
    }
}

Result<ImapSource::Folders> ImapSource::folders() {
    Namespaces known;
    const bool asks = std::ranges::any_of(capabilities_, [](const auto& one) { return ascii::same(one, "NAMESPACE"); });
    auto take_namespaces = [&](const ImapResponse& response) {
        auto values = parse_imap(response);
        if (!values) return;
        if (auto found = namespaces(*values)) known = std::move(*found);
    };
    if (asks)
        if (auto done = command("NAMESPACE", take_namespaces); !done) return pass_on(done);
    Folders found;
    std::size_t unreadable = 0;
    auto take = [&](const ImapResponse& response) {
        auto values = parse_imap(response);
        if (values && values->size() > 1 && !(*values)[1].is("LIST")) return;
        auto folder = values ? listed_folder(*values) : std::nullopt;
        if (!folder || !imap_quoted(folder->name) || found.folders.size() == kMostFolders) {
            ++unreadable;
            return;
        }
        if (folder->has("\\Noselect") || folder->has("\\NonExistent")) return;
        const auto is_below = [&](const auto& prefix) { return folder->name.starts_with(prefix); };
        if (std::ranges::any_of(known.foreign, is_below)) {
            found.notes.push_back(fmt::format("{} is left out: it is not the user's own", folder->name));
            return;
        }
        if (folder->has("\\All") || folder->has("\\Flagged")) {
            found.notes.push_back(fmt::format("{} is left out: it shows messages of other folders", folder->name));
            return;
        }
        auto name = mailbox_of(folder->name, folder->delimiter, known.personal);
        found.folders.push_back({std::move(folder->name), std::move(name)});
    };
    if (auto done = command("LIST \"\" \"*\"", take); !done) return pass_on(done);
    found.whole = unreadable == 0;
    if (unreadable > 0) found.notes.push_back(fmt::format("{} folders are left out: they can't be read", unreadable));
    std::ranges::sort(found.folders, {}, [](const Folder& one) { return std::pair(one.name != "INBOX", one.name); });
    return found;
}

Result<ImapSource::Examined> ImapSource::examine(const std::string& raw) {
    Examined examined;
    auto take = [&](const ImapResponse& response) {
        const auto& line = response.lines.front();
        if (auto validity = response_code(line, "UIDVALIDITY"))
            examined.uid_validity = static_cast<std::uint32_t>(*validity);
        auto values = parse_imap(response);
        if (!values || values->size() < 3 || !(*values)[2].is("EXISTS")) return;
        examined.messages = std::strtoull((*values)[1].text.c_str(), nullptr, 10);
    };
    if (auto done = command("EXAMINE " + in_quotes(raw), take); !done) return pass_on(done);
    return examined;
}

Result<> ImapSource::fetch(const std::string& text, const Take& take) {
    auto take_response = [&](const ImapResponse& response) {
        auto values = parse_imap(response);
        if (!values) return;
        if (auto message = fetched_message(std::move(*values))) take(std::move(*message));
    };
    auto done = command(text, take_response);
    return done ? Result<>() : Result<>(pass_on(done));
}

Result<std::vector<FetchedMessage>> ImapSource::list() {
    std::vector<FetchedMessage> all;
    auto take = [&](FetchedMessage message) {
        if (message.octets && all.size() < kMostMessages) all.push_back(std::move(message));
    };
    auto done = fetch("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", take);
    if (!done) return pass_on(done);
    if (all.size() == kMostMessages) return fail(Errc::too_large, "more messages than a folder may have");
    std::ranges::sort(all, {}, &FetchedMessage::uid);
    const auto again = std::ranges::unique(all, {}, &FetchedMessage::uid);
    all.erase(again.begin(), again.end());
    return all;
}

Result<> ImapSource::headers(std::span<const std::uint32_t> uids, const Take& take) {
    for (; !uids.empty(); uids = uids.subspan(std::min(uids.size(), kHeadersAtOnce))) {
        const auto some = uids.first(std::min(uids.size(), kHeadersAtOnce));
        auto done = fetch(fmt::format("UID FETCH {} (UID BODY.PEEK[HEADER])", fmt::join(some, ",")), take);
        if (!done) return done;
    }
    return {};
}

Result<std::string> ImapSource::message(std::uint32_t uid) {
    std::optional<std::string> text;
    auto take = [&](FetchedMessage message) {
        if (message.uid == uid && message.text) text = std::move(message.text);
    };
    if (auto done = fetch(fmt::format("UID FETCH {} (UID BODY.PEEK[])", uid), take); !done) return pass_on(done);
    if (!text) return fail(Errc::not_found, "the message is gone");
    return std::move(*text);
}

void ImapSource::leave() {
    const TakeResponse nothing = [](const ImapResponse&) {};
    if (wire_.is_open()) (void)command("LOGOUT", nothing);
    wire_.cut();
}

}  // namespace poplar::moving
