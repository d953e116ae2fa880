// How a session reads its commands, finds their handlers and says its replies.
#include "imap/client.h"

#include <algorithm>

#include "base/log.h"
#include "base/steady.h"
#include "imap/notifications.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kKeptWhileIdle = 1024;        // a larger buffer is given back between two commands
constexpr std::uint64_t kMostSkipped = 100u << 20;  // octets of a literal that nobody wants; more: BYE
constexpr std::uint64_t kMostSkippedBeforeLogin = 64 * 1024;
constexpr std::size_t kLongestTag = 256;  // octets; it stands in each reply

}  // namespace

Client::Client(net::Connection& connection, const Services& services, const Options& options,
               std::string_view session_id)
    : connection_(connection),
      services_(services),
      options_(options),
      lines_(connection, options.bad_commands),
      login_(services.logins,
             {.login_event = "imap.login",
              .failure_event = "imap.auth_failed",
              .service = directory::Service::imap,
              .needed = auth::Right::mail,
              .failures = options.login_failures},
             connection, lines_, session_id),
      session_id_(session_id),
      login_deadline_(SteadyClock::now() + options.login_total) {}

Client::~Client() = default;

std::span<const Client::Command> Client::commands() {
    static constexpr std::uint8_t kIn = kLoggedIn | kSelected;
    static const Command rows[] = {
        {"CAPABILITY", kAny, &Client::capability},
        {"NOOP", kAny, &Client::noop},
        {"LOGOUT", kAny, &Client::logout},
        {"ID", kAny, &Client::id},
        {"STARTTLS", kBeforeLogin, &Client::starttls},
        {"LOGIN", kBeforeLogin, &Client::login},
        {"AUTHENTICATE", kBeforeLogin, &Client::authenticate},
        {"UNAUTHENTICATE", kIn, &Client::unauthenticate},
        {"ENABLE", kIn, &Client::enable},
        {"COMPRESS", kIn, &Client::compress},
        {"NAMESPACE", kIn, &Client::name_space},
        {"GETQUOTA", kIn, &Client::get_quota},
        {"GETQUOTAROOT", kIn, &Client::get_quota_root},
        {"SELECT", kIn, &Client::select},
        {"EXAMINE", kIn, &Client::examine},
        {"CREATE", kIn, &Client::create},
        {"DELETE", kIn, &Client::remove},
        {"RENAME", kIn, &Client::rename},
        {"SUBSCRIBE", kIn, &Client::subscribe},
        {"UNSUBSCRIBE", kIn, &Client::unsubscribe},
        {"LIST", kIn, &Client::list},
        {"LSUB", kIn, &Client::lsub},
        {"STATUS", kIn, &Client::status},
        {"GETMETADATA", kIn, &Client::get_metadata},
        {"SETMETADATA", kIn, &Client::set_metadata},
        {"APPEND", kIn, &Client::append},
        {"IDLE", kIn, &Client::idle},
        {"NOTIFY", kIn, &Client::notify},
        {"CHECK", kSelected, &Client::noop},
        {"CLOSE", kSelected, &Client::close},
        {"UNSELECT", kSelected, &Client::unselect},
        {.name = "EXPUNGE", .states = kSelected, .handler = &Client::expunge, .by_uid = true},
        {"FETCH", kSelected, &Client::fetch, true, true},
        {"STORE", kSelected, &Client::store, true, true},
        {"SEARCH", kSelected, &Client::search, true, true},
        {"SORT", kSelected, &Client::sort, true, true},
        {"THREAD", kSelected, &Client::thread, true, true},
        {.name = "COPY", .states = kSelected, .handler = &Client::copy, .by_uid = true},
        {.name = "MOVE", .states = kSelected, .handler = &Client::move, .by_uid = true},
        {.name = "REPLACE", .states = kSelected, .handler = &Client::replace, .by_uid = true},
    };
    return rows;
}

Task<Result<>> Client::run() {
    auto went = co_await serve_commands();
    if (compressed_) (void)co_await compressed_->flush();
    co_return went;
}

Task<Result<>> Client::serve_commands() {
    out_ = fmt::format("* OK [CAPABILITY {}] {}\r\n", capabilities(), options_.greeting);
    auto went = co_await send();
    while (went) {
        auto read = co_await read_command();
        if (!read) {
            went = pass_on(read);
            break;
        }
        if (*read) went = co_await execute();
    }
    // RFC 9051 s7.1.5. A client that was told by a reply already hears nothing more.
    switch (went.error().code()) {
        case Errc::timed_out: out_ = "* BYE you were silent for too long\r\n"; break;
        case Errc::cancelled: out_ = "* BYE [UNAVAILABLE] the server is stopping\r\n"; break;
        case Errc::conflict: out_ = "* BYE the account has changed, log in again\r\n"; break;
        default: co_return went;
    }
    (void)co_await send();
    co_return went;
}

void Client::note_use() {
    if (access_) access_->note_fetched(done_.fetched);
}

Task<Result<std::string_view>> Client::read_line(std::size_t limit) {
    co_return co_await lines_.read(limit, idle_limit(), net::LineEnd::crlf_or_lf,
                                   access_ ? SteadyTime::max() : login_deadline_);
}

Task<Result<std::string_view>> Client::read_some() {
    auto patience = idle_limit();
    if (!access_) {
        const auto left = std::chrono::ceil<std::chrono::seconds>(login_deadline_ - SteadyClock::now());
        if (left <= left.zero()) co_return fail(Errc::timed_out, "the deadline has passed");
        patience = std::min(patience, left);
    }
    co_return co_await io().read_some(patience);
}

Task<Result<bool>> Client::read_command() {
    numbering_ = Numbering::numbers;
    expunges_ = Expunges::held;
    message_.reset();
    tag_.clear();
    text_.clear();
    if (text_.capacity() > kKeptWhileIdle) text_.shrink_to_fit();
    if (out_.capacity() > kKeptWhileIdle) out_.shrink_to_fit();
    if (notify_)
        if (auto spoken = co_await tell_until_spoken_to(); !spoken) co_return pass_on(spoken);
    const auto is_head = [this](std::string_view text) { return access_ && is_append_head(text); };
    co_return co_await read_text(is_head);
}

Task<Result<bool>> Client::read_text(std::function<bool(std::string_view)> is_head) {
    for (;;) {
        auto line = co_await read_line(limit() - text_.size());
        // Where such a line ends is known, but not whether a literal follows it, whose octets must not become commands.
        if (!line && line.error().code() == Errc::too_large) {
            auto ended = co_await bye("[TOOBIG] the command is too long", "too_long");
            co_return pass_on(ended);
        }
        if (!line) co_return pass_on(line);
        const auto mark = literal_at_end(*line);
        text_.append(*line);
        if (!mark) co_return true;
        const auto before = text_.size() - line->size() + mark->at;
        if (is_head(std::string_view(text_).substr(0, before))) {
            text_.resize(before);
            message_ = mark;
            co_return true;
        }
        auto read = co_await read_literal(*mark);
        if (!read || !*read) co_return read;
    }
}

// Adds the literal's octets to the command.
Task<Result<bool>> Client::read_literal(LiteralMark mark) {
    const auto room = limit() - std::min(limit(), text_.size() + 2);
    if (mark.octets >= room) {
        Cursor in(text_);
        if (tag_.empty())
            if (auto tag = parse_tag(in)) tag_ = tag->substr(0, kLongestTag);
        if (!mark.waits)
            if (auto skipped = co_await skip_command(mark.octets); !skipped) co_return pass_on(skipped);
        auto said = tag_.empty() ? co_await bad("no tag") : co_await no("[TOOBIG] the literal is too large");
        if (!said) co_return pass_on(said);
        co_return false;
    }
    if (mark.waits)
        if (auto said = co_await say_continue("go on"); !said) co_return pass_on(said);
    text_.append("\r\n");
    for (auto left = mark.octets; left > 0;) {
        auto some = co_await read_some();
        if (!some) co_return pass_on(some);
        const auto used = std::min<std::uint64_t>(left, some->size());
        text_.append(*some, 0, used);
        io().consume(used);
        left -= used;
    }
    co_return true;
}

Task<Result<>> Client::skip_octets(std::uint64_t octets) {
    while (octets > 0) {
        auto some = co_await read_some();
        if (!some) co_return pass_on(some);
        const auto used = std::min<std::uint64_t>(octets, some->size());
        io().consume(used);
        octets -= used;
    }
    co_return Result<>();
}

// A literal that waits for "+" does not come then, and nor does what would follow it.
Task<Result<>> Client::skip_command(std::uint64_t octets) {
    const auto most = access_ ? kMostSkipped : kMostSkippedBeforeLogin;
    for (std::uint64_t skipped = 0;;) {
        if (octets > most - skipped) co_return co_await bye("[TOOBIG] the literal is too large", "too_long");
        if (auto passed = co_await skip_octets(octets); !passed) co_return passed;
        skipped += octets;
        auto line = co_await read_line(limit());
        if (!line && line.error().code() == Errc::too_large)
            co_return co_await bye("[TOOBIG] the command is too long", "too_long");
        if (!line) co_return pass_on(line);
        const auto mark = literal_at_end(*line);
        if (!mark || mark->waits) co_return Result<>();
        octets = mark->octets;
    }
}

Task<Result<>> Client::execute() {
    Cursor in(text_);
    const auto tag = parse_tag(in);
    if (tag && tag->size() <= kLongestTag && in.space()) tag_ = *tag;
    const auto name = parse_keyword(in);
    Result<> went;
    numbering_ = Numbering::numbers;
    expunges_ = Expunges::held;
    heard_ = SteadyClock::now();
    if (!access_ && session::is_http(text_)) {
        went = co_await bye("this is IMAP, not HTTP", "http");
    } else if (tag_.empty() || !name) {
        went = co_await bad("a command is a tag, a space and a name");
    } else if (*name == "UID" && in.space()) {
        const auto which = parse_keyword(in);
        if (which)
            went = co_await dispatch(*which, in, Numbering::uids);
        else
            went = co_await bad("UID stands in front of a command");
    } else {
        went = co_await dispatch(*name, in, Numbering::numbers);
    }
    // A handler that did not want its message has left it unread.
    if (went && message_ && !message_->waits) went = co_await skip_command(message_->octets);
    co_return went;
}

Task<Result<>> Client::dispatch(const std::string& name, Cursor in, Numbering numbering) {
    const auto known = std::ranges::find(commands(), name, &Command::name);
    ++done_.commands;
    if (known == commands().end() || (numbering == Numbering::uids && !known->by_uid))
        co_return co_await bad("unknown command");
    if ((known->states & state()) == 0) {
        if (!access_) co_return co_await bad("log in first");
        co_return co_await bad(known->states == kBeforeLogin ? "you are logged in already" : "select a mailbox first");
    }
    // Handlers get what follows the space, or nothing.
    if (in.space() ? in.at_end() : !in.at_end()) co_return co_await bad_arguments();
    const bool by_numbers = known->by_uid && known->handler != &Client::expunge && numbering == Numbering::numbers;
    if (by_numbers && uids_only_) co_return co_await refuse_numbers();
    numbering_ = numbering;
    expunges_ = known->holds_expunges && numbering == Numbering::numbers ? Expunges::held : Expunges::told;
    co_return co_await (this->*known->handler)(in);
}

Task<Result<>> Client::breathe(std::uint64_t done, std::uint64_t of) {
    if (SteadyClock::now() - heard_ >= options_.progress) {
        heard_ = SteadyClock::now();
        auto out = std::back_inserter(out_);
        fmt::format_to(out, "* OK [INPROGRESS ({}", quoted(tag_));
        if (of > 0)
            fmt::format_to(out, " {} {})] going on\r\n", done, of);
        else
            fmt::format_to(out, " NIL NIL)] going on\r\n");
        if (auto sent = co_await send(); !sent) co_return sent;
    }
    // Without a wait, this only tells whether there is still somebody to answer.
    co_return co_await io().pause(SteadyClock::duration::zero());
}

Task<Result<>> Client::send() {
    auto sent = co_await io().write(out_);
    out_.clear();
    co_return sent;
}

Task<Result<>> Client::send_some() {
    if (out_.size() < kBlock) co_return Result<>();
    co_return co_await send();
}

Task<Result<>> Client::ok(std::string text) {
    if (selected_)
        if (auto told = co_await update(expunges_); !told) co_return told;
    if (auto told = co_await tell_others(); !told) co_return told;
    fmt::format_to(std::back_inserter(out_), "{} OK {}\r\n", tag_, text);
    co_return co_await send();
}

Task<Result<>> Client::no(std::string text) {
    if (selected_)
        if (auto told = co_await update(expunges_); !told) co_return told;
    if (auto told = co_await tell_others(); !told) co_return told;
    fmt::format_to(std::back_inserter(out_), "{} NO {}\r\n", tag_, text);
    co_return co_await send();
}

Task<Result<>> Client::bad(std::string text) {
    fmt::format_to(std::back_inserter(out_), "{} BAD {}\r\n", tag_.empty() ? "*" : tag_, text);
    if (!lines_.allow_bad_command()) co_return co_await bye("too many bad commands", "bad_commands");
    co_return co_await send();
}

Task<Result<>> Client::bye(std::string_view text, std::string_view reason) {
    untagged("BYE {}", text);
    (void)co_await send();
    co_return lines_.end(reason);
}

// RFC 9051 s7.1: the code says what the client can do about it.
Task<Result<>> Client::no(const Error& error, std::string_view what) {
    std::string_view code;
    switch (error.code()) {
        case Errc::not_found: code = "NONEXISTENT"; break;
        case Errc::exists: code = "ALREADYEXISTS"; break;
        case Errc::invalid: code = "CANNOT"; break;
        case Errc::denied: code = "CANNOT"; break;
        case Errc::too_large: code = "LIMIT"; break;
        case Errc::no_space: code = "OVERQUOTA"; break;
        case Errc::corrupt: code = "SERVERBUG"; break;
        default: code = "UNAVAILABLE"; break;
    }
    if (code == "SERVERBUG" || code == "UNAVAILABLE") log_failure(error, what);
    co_return co_await no(fmt::format("[{}] {}", code, what));
}

void Client::log_failure(const Error& error, std::string_view what) {
    log::error("imap.store_failed", {{"session", session_id_},
                                     {"account", done_.account},
                                     {"what", what},
                                     {"error", to_string(error.code())},
                                     {"reason", error.detail()}});
}

Task<Result<>> Client::say_continue(std::string_view text) {
    fmt::format_to(std::back_inserter(out_), "+ {}\r\n", text);
    co_return co_await send();
}

}  // namespace poplar::imap
