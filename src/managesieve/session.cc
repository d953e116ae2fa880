// One client from the greeting to the end: what each command does and says (RFC 5804 s2).
#include "managesieve/session.h"

#include <fmt/format.h>

#include <optional>

#include "auth/access.h"
#include "base/log.h"
#include "managesieve/conversation.h"
#include "session/sasl.h"

namespace poplar::managesieve {

namespace {

std::string_view factor_words(auth::MissingFactor missing) {
    using Missing = auth::MissingFactor;
    switch (missing) {
        case Missing::code: return "a code is needed: type the password with the code behind it";
        case Missing::wrong_code: return "the code is wrong or was used already, wait for the next one";
        case Missing::too_many_codes: return "too many codes were wrong, try again in some hours";
        case Missing::approval:
            return "you were not here before: type the password with the code behind it that was mailed to you";
        case Missing::device: return "use the password of a device here, not the account's";
        case Missing::denied: return "logins from this network were denied";
        case Missing::other: break;
    }
    return "the account needs a second factor, which this login does not show";
}

/// A line for each problem, with its place.
std::string problems_text(const std::vector<sieve::Problem>& problems) {
    std::string text;
    for (const auto& one : problems)
        text += fmt::format("{}line {}, column {}: {}", text.empty() ? "" : "\r\n", one.at.line, one.at.column,
                            one.message);
    return text;
}

class Session {
public:
    Session(net::Connection& connection, const Services& services, const Options& options, std::string_view id)
        : services_(services), conversation_(connection, options, services.logins, id) {}

    /// The failure says why the session ends.
    Task<Result<>> run();
    Conversation& conversation() { return conversation_; }
    std::string_view account() const { return account_; }
    std::uint64_t changes() const { return changes_; }

private:
    Task<Result<>> on(Authenticate authenticate);
    Task<Result<>> on(StartTls);
    Task<Result<>> on(Logout);
    Task<Result<>> on(Capability) { return say_capabilities("here they are"); }
    Task<Result<>> on(HaveSpace wanted);
    Task<Result<>> on(PutScript put);
    Task<Result<>> on(ListScripts);
    Task<Result<>> on(SetActive set);
    Task<Result<>> on(GetScript get);
    Task<Result<>> on(DeleteScript removed);
    Task<Result<>> on(RenameScript rename);
    Task<Result<>> on(CheckScript check);
    Task<Result<>> on(Noop noop);
    Task<Result<>> on(Unauthenticate);

    template <class Known>
    static constexpr bool needs_login() {
        return !(std::is_same_v<Known, Authenticate> || std::is_same_v<Known, StartTls> ||
                 std::is_same_v<Known, Logout> || std::is_same_v<Known, Capability> || std::is_same_v<Known, Noop>);
    }
    Task<Result<>> say_capabilities(std::string_view text);
    Task<Result<>> refuse(session::Refusal why);
    Task<Result<>> store_failed(Error error);
    Task<Result<>> say_compiled(const sieve::Compiled& compiled, std::string_view text);
    void changed(std::string_view action, std::string_view script);

    const Services& services_;
    Conversation conversation_;
    std::optional<auth::Access> access_;
    std::string account_;  // of the last login, for the log
    std::uint64_t changes_ = 0;
};

Task<Result<>> Session::run() {
    auto went = co_await say_capabilities("Poplar's ManageSieve is ready");
    while (went) {
        auto command = co_await conversation_.next_command();
        if (!command) {
            went = pass_on(command);
            break;
        }
        auto act = [this](auto& known) -> Task<Result<>> {
            if (!access_ && needs_login<std::remove_reference_t<decltype(known)>>())
                return conversation_.refuse("log in first");
            return on(std::move(known));
        };
        went = co_await std::visit(act, *command);
    }
    if (!went) co_await conversation_.say_why(went.error().code());
    co_return went;
}

// RFC 5804 s1.7. What the login changes is OWNER alone, which is nobody's before.
Task<Result<>> Session::say_capabilities(std::string_view text) {
    std::string reply = fmt::format("\"IMPLEMENTATION\" {}\r\n", to_string(conversation_.options().implementation));
    std::string words;
    for (auto mechanism : conversation_.login().mechanisms())
        words.append(words.empty() ? "" : " ").append(auth::name_of(mechanism));
    reply += fmt::format("\"SASL\" \"{}\"\r\n", words);
    words.clear();
    for (auto name : sieve::capability_names()) words.append(words.empty() ? "" : " ").append(name);
    reply += fmt::format("\"SIEVE\" \"{}\"\r\n", words);
    if (!access_ && conversation_.offered_tls()) reply += "\"STARTTLS\"\r\n";
    reply += fmt::format("\"NOTIFY\" \"mailto\"\r\n\"MAXREDIRECTS\" \"{}\"\r\n", services_.scripts.limits().redirects);
    if (access_) reply += fmt::format("\"OWNER\" {}\r\n", to_string(access_->address));
    reply += "\"LANGUAGE\" \"en\"\r\n\"UNAUTHENTICATE\"\r\n\"VERSION\" \"1.0\"\r\n";
    return conversation_.say(reply + fmt::format("OK {}\r\n", to_string(text)));
}

Task<Result<>> Session::on(Authenticate authenticate) {
    if (access_) co_return co_await conversation_.refuse("somebody is logged in already");
    auto initial = std::move(authenticate.initial_response);
    if (initial && initial->empty()) initial = "=";  // as session::exchange() has the empty one
    auto attempting = conversation_.login().sasl(std::move(authenticate.mechanism), std::move(initial), conversation_);
    auto attempted = co_await std::move(attempting);
    if (!attempted) co_return pass_on(attempted);
    if (!*attempted) co_return co_await refuse(std::move(attempted->error()));
    auto access = conversation_.login().admit(**attempted, co_await asio::this_coro::executor);
    if (!access) co_return co_await conversation_.say_no("the account has changed, log in again", "TRYLATER");
    access_.emplace(std::move(*access));
    account_ = access_->address;
    conversation_.end_login(services_.scripts.limits().script_octets);
    co_return co_await conversation_.say_ok("you are logged in");
}

Task<Result<>> Session::refuse(session::Refusal why) {
    using Why = session::Refusal::Why;
    std::string_view text = "wrong name or password", code;
    switch (why.why) {
        case Why::wrong: break;
        case Why::needs_mail_key: break;  // not here: filters are in clear
        case Why::needs_second_factor: text = factor_words(why.missing); break;
        case Why::unavailable:
            co_return co_await conversation_.say_no("the password can't be checked now, try again later", "TRYLATER");
        case Why::bad_response: co_return co_await conversation_.refuse("that is no valid response for this mechanism");
        case Why::not_base64: co_return co_await conversation_.refuse("a response is a string of base64");
        case Why::cancelled: co_return co_await conversation_.refuse("cancelled");
        case Why::too_long: co_return co_await conversation_.refuse("the response is too long");
        case Why::unknown_mechanism: co_return co_await conversation_.refuse("there is no such mechanism");
        case Why::needs_certificate:
            co_return co_await conversation_.refuse("this mechanism needs a client certificate with a mail address");
        case Why::needs_tls:
            co_return co_await conversation_.refuse("use STARTTLS first: no passwords in the clear", "ENCRYPT-NEEDED");
    }
    if (conversation_.login().exhausted()) co_return co_await conversation_.say_bye(text, "login_failures");
    co_return co_await conversation_.say_no(text, code);
}

// RFC 5804 s2.2. What came before the handshake may have come from somebody else, and is thrown away.
Task<Result<>> Session::on(StartTls) {
    if (access_) co_return co_await conversation_.refuse("STARTTLS comes before the login");
    if (conversation_.connection().tls()) co_return co_await conversation_.refuse("TLS is active already");
    auto context = conversation_.offered_tls();
    if (!context) co_return co_await conversation_.refuse("TLS is not available");
    if (auto said = co_await conversation_.say_ok("begin TLS"); !said) co_return said;
    auto& connection = conversation_.connection();
    auto shaken = co_await connection.start_tls(*context, conversation_.options().tls_handshake);
    if (shaken) co_return co_await say_capabilities("TLS is active");
    connection.log(log::Level::info, "managesieve.tls_failed",
                   {{"session", conversation_.session_id()},
                    {"peer", connection.peer().address},
                    {"reason", shaken.error().detail()}});
    co_return conversation_.lines().end("tls_failed");
}

Task<Result<>> Session::on(Logout) {
    if (auto said = co_await conversation_.say_ok("goodbye"); !said) co_return said;
    co_return conversation_.lines().end(session::kQuit);
}

// RFC 5804 s2.14.1: as if nobody had logged in; TLS stays.
Task<Result<>> Session::on(Unauthenticate) {
    access_.reset();
    auto& facts = conversation_.connection().session();
    facts.account.clear();
    facts.device.clear();
    conversation_.begin_login();
    co_return co_await conversation_.say_ok("nobody is logged in");
}

Task<Result<>> Session::on(Noop noop) {
    if (!noop.tag) return conversation_.say_ok("done");
    return conversation_.say_ok("done", "TAG " + to_string(*noop.tag));
}

Task<Result<>> Session::store_failed(Error error) {
    switch (error.code()) {
        case Errc::not_found: co_return co_await conversation_.say_no("there is no such script", "NONEXISTENT");
        case Errc::exists:
            co_return co_await conversation_.say_no("there is a script of this name already", "ALREADYEXISTS");
        case Errc::denied:
            co_return co_await conversation_.say_no("the script is active, and stays as long as it is", "ACTIVE");
        case Errc::too_large: co_return co_await conversation_.say_no(error.detail(), "QUOTA/MAXSCRIPTS");
        case Errc::invalid: co_return co_await conversation_.say_no(error.detail());
        default: break;
    }
    log::warning("managesieve.store_failed", {{"session", conversation_.session_id()},
                                              {"account", access_->address},
                                              {"error", to_string(error.code())},
                                              {"reason", error.detail()}});
    co_return co_await conversation_.say_no("that can't be done now, try again later", "TRYLATER");
}

void Session::changed(std::string_view action, std::string_view script) {
    ++changes_;
    conversation_.connection().log(log::Level::info, "managesieve.changed",
                                   {{"session", conversation_.session_id()},
                                    {"account", access_->address},
                                    {"action", action},
                                    {"script", script}});
}

Task<Result<>> Session::on(HaveSpace wanted) {
    if (!sieve::is_script_name(wanted.name)) co_return co_await conversation_.say_no("no script can be called so");
    const auto& limits = services_.scripts.limits();
    if (wanted.octets > limits.script_octets)
        co_return co_await conversation_.say_no(fmt::format("a script has {} octets at most", limits.script_octets),
                                                "QUOTA/MAXSIZE");
    auto room = co_await services_.scripts.have_room(access_->account, std::move(wanted.name));
    if (!room) co_return co_await store_failed(std::move(room.error()));
    co_return co_await conversation_.say_ok("there is room");
}

Task<Result<>> Session::say_compiled(const sieve::Compiled& compiled, std::string_view text) {
    if (!compiled.script) return conversation_.say_no(problems_text(compiled.errors));
    if (!compiled.warnings.empty()) return conversation_.say_ok(problems_text(compiled.warnings), "WARNINGS");
    return conversation_.say_ok(text);
}

Task<Result<>> Session::on(PutScript put) {
    if (!sieve::is_script_name(put.name)) co_return co_await conversation_.say_no("no script can be called so");
    auto& scripts = services_.scripts;
    if (put.text.size() > scripts.limits().script_octets)
        co_return co_await conversation_.say_no("the script is too large", "QUOTA/MAXSIZE");
    const auto compiled = scripts.check(put.text);
    if (!compiled.script) co_return co_await say_compiled(compiled, "");
    auto name = put.name;
    auto done = co_await scripts.put(access_->account, std::move(put.name), std::move(put.text));
    if (!done) co_return co_await store_failed(std::move(done.error()));
    changed("put", name);
    co_return co_await say_compiled(compiled, "the script is stored");
}

Task<Result<>> Session::on(CheckScript check) {
    if (check.text.size() > services_.scripts.limits().script_octets)
        co_return co_await conversation_.say_no("the script is too large", "QUOTA/MAXSIZE");
    const auto compiled = services_.scripts.check(check.text);
    co_return co_await say_compiled(compiled, "the script is sound");
}

Task<Result<>> Session::on(ListScripts) {
    auto found = co_await services_.scripts.list(access_->account);
    if (!found) co_return co_await store_failed(std::move(found.error()));
    std::string reply;
    for (const auto& one : *found) reply += fmt::format("{}{}\r\n", to_string(one.name), one.active ? " ACTIVE" : "");
    co_return co_await conversation_.say(reply + fmt::format("OK \"{} scripts\"\r\n", found->size()));
}

Task<Result<>> Session::on(SetActive set) {
    auto name = set.name;
    auto done = co_await services_.scripts.activate(access_->account, std::move(set.name));
    if (!done) co_return co_await store_failed(std::move(done.error()));
    changed("activated", name);
    co_return co_await conversation_.say_ok(name.empty() ? "no script is active" : "the script is active");
}

Task<Result<>> Session::on(GetScript get) {
    auto text = co_await services_.scripts.get(access_->account, std::move(get.name));
    if (!text) co_return co_await store_failed(std::move(text.error()));
    co_return co_await conversation_.say(fmt::format("{{{}}}\r\n{}\r\nOK \"that is all\"\r\n", text->size(), *text));
}

Task<Result<>> Session::on(DeleteScript removed) {
    auto name = removed.name;
    auto done = co_await services_.scripts.remove(access_->account, std::move(removed.name));
    if (!done) co_return co_await store_failed(std::move(done.error()));
    changed("deleted", name);
    co_return co_await conversation_.say_ok("the script is gone");
}

Task<Result<>> Session::on(RenameScript rename) {
    auto name = rename.to;
    auto done = co_await services_.scripts.rename(access_->account, std::move(rename.from), std::move(rename.to));
    if (!done) co_return co_await store_failed(std::move(done.error()));
    changed("renamed", name);
    co_return co_await conversation_.say_ok("the script has its new name");
}

}  // namespace

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id) {
    Session session(*connection, services, options, session_id);
    auto& lines = session.conversation().lines();
    connection->session().id = session_id;
    connection->session().end = [&lines] { lines.cut(); };
    const auto ended = co_await lines.guard(session.run(), "managesieve.failed", session_id);
    co_await connection->close(lines.parting());
    connection->log(log::Level::info, "managesieve.end",
                    {{"session", session_id},
                     {"peer", connection->peer().address},
                     {"account", session.account()},
                     {"reason", lines.reason(ended)},
                     {"changes", session.changes()}});
}

}  // namespace poplar::managesieve
