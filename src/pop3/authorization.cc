#include "pop3/authorization.h"

#include "auth/sasl.h"
#include "base/log.h"
#include "mail/address.h"

namespace poplar::pop3 {

namespace {

constexpr std::string_view kPlain = "PLAIN";

bool is_plain(std::string_view mechanism) {
    auto same = [](char a, char b) { return a == b || (a >= 'a' && a <= 'z' && a - 'a' + 'A' == b); };
    return std::equal(mechanism.begin(), mechanism.end(), kPlain.begin(), kPlain.end(), same);
}

}  // namespace

Task<std::optional<Login>> Authorization::run() {
    const auto& options = conversation_.options();
    deadline_ = std::chrono::steady_clock::now() + options.login_total;
    co_await conversation_.say("+OK {}\r\n", options.greeting);
    while (!login_ && !conversation_.over()) {
        auto command = co_await conversation_.next_command(options.login_idle, deadline_);
        if (!command) break;
        auto act = [this](auto& known) { return on(known); };
        co_await std::visit(act, *command);
    }
    co_return std::move(login_);
}

// RFC 1939 s7: whether the name exists is not told.
Task<> Authorization::on(User user) {
    if (!conversation_.plaintext_allowed()) return refuse_plaintext();
    if (!mail::is_utf8(user.name)) return conversation_.refuse("not valid UTF-8");  // RFC 6856 s2.2
    name_ = user.name;
    user_line_ = conversation_.lines();
    return conversation_.say_ok("send the password");
}

Task<> Authorization::on(Pass pass) {
    if (!conversation_.plaintext_allowed()) return refuse_plaintext();
    // RFC 1939 s7: only immediately after a successful USER.
    if (name_.empty() || conversation_.lines() != user_line_ + 1) return conversation_.refuse("send USER first");
    if (!mail::is_utf8(pass.password)) return conversation_.refuse("not valid UTF-8");
    return log_in(std::exchange(name_, {}), std::string(pass.password), "USER");
}

Task<> Authorization::on(Auth auth) {
    if (auth.mechanism.empty())  // not in RFC 5034, but what clients older than CAPA ask
        return conversation_.say_list("mechanisms follow", conversation_.plaintext_allowed() ? "PLAIN\r\n" : "");
    if (!is_plain(auth.mechanism)) return conversation_.refuse("unknown mechanism");
    if (!conversation_.plaintext_allowed()) return refuse_plaintext();
    name_.clear();
    return plain(auth.initial_response ? std::optional<std::string>(*auth.initial_response) : std::nullopt);
}

// RFC 5034 s4, RFC 4616 s2.
Task<> Authorization::plain(std::optional<std::string> initial_response) {
    std::string response;
    if (initial_response) {
        if (*initial_response != "=") response = std::move(*initial_response);
    } else {
        co_await conversation_.say("+ \r\n");
        auto line = co_await conversation_.next_response(deadline_);
        if (!line) co_return;
        if (*line == "*") {
            co_await conversation_.say_error("cancelled");
            co_return;
        }
        response = *line;
    }
    auto decoded = auth::base64_decode(response);
    if (!decoded) {
        co_await conversation_.refuse("not valid base64");
        co_return;
    }
    auto message = auth::parse_plain(*decoded);
    if (!message) {
        co_await conversation_.refuse("not a valid PLAIN response");
        co_return;
    }
    // Nobody may act for somebody else yet.
    if (!message->authorization_id.empty() && message->authorization_id != message->authentication_id) {
        Error why(Errc::denied, "the authorization identity is another one");
        co_await failed(message->authentication_id, kPlain, why);
        co_return;
    }
    co_await log_in(std::move(message->authentication_id), std::move(message->password), kPlain);
}

Task<> Authorization::log_in(std::string name, std::string password, std::string_view mechanism) {
    const auto& peer = conversation_.connection().peer();
    auth::Credentials credentials{name, std::move(password), peer.address, peer.loopback};
    auto account = co_await services_.authenticator.verify_password(std::move(credentials));
    if (!account) {
        co_await failed(name, mechanism, account.error());
        co_return;
    }
    auto maildrop = co_await services_.store.open_maildrop(account->id);
    if (!maildrop) {
        if (maildrop.error().code() == Errc::busy) {  // RFC 2449 s8.1.2
            log::info("pop3.in_use", {{"session", conversation_.session_id()}, {"account", account->address}});
            co_await conversation_.say_error("[IN-USE]", "another session has the maildrop open");
            co_return;
        }
        log::warning("pop3.maildrop_failed", {{"session", conversation_.session_id()},
                                              {"account", account->address},
                                              {"error", to_string(maildrop.error().code())},
                                              {"reason", maildrop.error().detail()}});
        co_await conversation_.say_failure(maildrop.error(), "the maildrop can't be opened");
        co_return;
    }
    const auto* tls = conversation_.connection().tls();
    log::info("pop3.login", {{"session", conversation_.session_id()},
                             {"peer", peer.address},
                             {"account", account->address},
                             {"tls", tls ? std::string_view(tls->version) : "no"},
                             {"cipher", tls ? std::string_view(tls->cipher) : ""},  // RFC 8314 s4
                             {"mechanism", mechanism}});
    auto messages = (*maildrop)->message_count();
    auto octets = conversation_.downgrades() ? (*maildrop)->ascii_octets() : (*maildrop)->octets();
    login_.emplace(std::move(account->address), account->id, std::move(*maildrop));
    co_await conversation_.say_ok("{} messages ({} octets)", messages, octets);
}

// A wrong name and a wrong password look the same.
Task<> Authorization::failed(std::string_view name, std::string_view mechanism, const Error& why) {
    const auto& peer = conversation_.connection().peer();
    log::info("pop3.auth_failed", {{"session", conversation_.session_id()},
                                   {"peer", peer.address},
                                   {"name", name},
                                   {"mechanism", mechanism},
                                   {"error", to_string(why.code())},
                                   {"reason", why.detail()}});
    if (why.code() != Errc::denied) {
        co_await conversation_.say_failure(why, "can't check the password now, try again later");
        co_return;
    }
    co_await conversation_.say_error("[AUTH]", "wrong name or password");  // RFC 3206 s5
    if (++failures_ < conversation_.options().login_failures) co_return;
    conversation_.end("login_failures");
}

Task<> Authorization::refuse_plaintext() {
    return conversation_.refuse(conversation_.offered_tls() ? Text("use STLS first: no passwords in the clear")
                                                            : Text("no passwords in the clear"));
}

// RFC 2595 s4.
Task<> Authorization::on(Stls) {
    if (conversation_.connection().tls()) {
        co_await conversation_.refuse("TLS is active already");
        co_return;
    }
    if (conversation_.utf8()) {  // RFC 6856 s2.1
        co_await conversation_.refuse("STLS has to come before UTF8");
        co_return;
    }
    auto context = conversation_.offered_tls();
    if (!context) {
        co_await conversation_.refuse("TLS is not available");
        co_return;
    }
    name_.clear();  // what came before the handshake may have come from somebody else, LANG too (RFC 6856 s7)
    co_await conversation_.say_ok("begin TLS");
    if (conversation_.over()) co_return;
    auto shaken = co_await conversation_.connection().start_tls(*context, conversation_.options().tls_handshake);
    if (shaken) {
        conversation_.forget_language();
        co_return;
    }
    log::info("pop3.tls_failed", {{"session", conversation_.session_id()},
                                  {"peer", conversation_.connection().peer().address},
                                  {"reason", shaken.error().detail()}});
    conversation_.end("tls_failed");
}

Task<> Authorization::on(Capa) { return conversation_.say_capabilities(false); }

Task<> Authorization::on(Lang lang) { return conversation_.change_language(lang.range); }

Task<> Authorization::on(Utf8) {
    conversation_.enable_utf8();
    return conversation_.say_ok("UTF-8 it is");
}

Task<> Authorization::on(Quit) {
    co_await conversation_.say_ok("goodbye");
    conversation_.end("quit");
}

}  // namespace poplar::pop3
