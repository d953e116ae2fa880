#include "pop3/authorization.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/address.h"
#include "pop3/auth_exchange.h"

namespace poplar::pop3 {

Task<std::optional<Login>> Authorization::run() {
    const auto& options = conversation_.options();
    deadline_ = SteadyClock::now() + options.login_total;
    if (options.apop) {  // RFC 1939 s7: no two greetings with the same
        auto seconds = std::chrono::floor<std::chrono::seconds>(system_clock().now()).time_since_epoch().count();
        timestamp_ = fmt::format("<{}.{}@{}>", random_text(26), seconds, options.hostname);
    }
    co_await conversation_.say("+OK {}{}{}\r\n", options.greeting, timestamp_.empty() ? "" : " ", timestamp_);
    while (!login_ && !conversation_.over()) {
        auto command = co_await conversation_.next_command(options.login_idle, deadline_);
        if (!command) break;
        mark_ = services_.open_sessions.mark();
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
    return log_in(std::exchange(name_, {}), std::string(pass.password));
}

// RFC 1939 s7. No password crosses the wire, so it is not a matter of TLS.
Task<> Authorization::on(Apop apop) {
    if (timestamp_.empty()) return conversation_.refuse("unknown command");
    if (!mail::is_utf8(apop.name)) return conversation_.refuse("not valid UTF-8");
    name_.clear();
    return this->apop(std::string(apop.name), std::string(apop.digest));
}

Task<> Authorization::on(Auth auth) {
    if (auth.mechanism.empty()) {  // not in RFC 5034, but what clients older than CAPA ask
        std::string lines;
        for (auto mechanism : conversation_.mechanisms()) lines.append(auth::name_of(mechanism)).append("\r\n");
        return conversation_.say_list("mechanisms follow", lines);
    }
    auto mechanism = services_.sasl.begin(auth.mechanism, conversation_.channel());
    if (!mechanism) {
        if (mechanism.error().code() != Errc::denied)
            return conversation_.refuse(mechanism.error().code() == Errc::conflict
                                            ? Text("this mechanism needs a client certificate with a mail address")
                                            : Text("unknown mechanism"));
        if (!conversation_.plaintext_allowed()) return refuse_plaintext();
        return conversation_.refuse("this mechanism needs TLS");
    }
    name_.clear();
    return exchange(std::move(*mechanism),
                    auth.initial_response ? std::optional<std::string>(*auth.initial_response) : std::nullopt);
}

Task<> Authorization::exchange(std::unique_ptr<auth::Exchange> mechanism, std::optional<std::string> initial_response) {
    auto account = co_await pop3::exchange(conversation_, *mechanism, std::move(initial_response), deadline_);
    if (account) co_await conclude(mechanism->name(), auth::name_of(mechanism->mechanism()), std::move(*account));
}

Task<> Authorization::log_in(std::string name, std::string password) {
    const auto& peer = conversation_.connection().peer();
    auth::Credentials credentials{name, std::move(password), peer.address, peer.loopback};
    auto account = co_await services_.authenticator.verify_password(std::move(credentials));
    co_await conclude(std::move(name), "USER", std::move(account));
}

Task<> Authorization::apop(std::string name, std::string digest) {
    auto account = co_await auth::check_apop(services_.authenticator, conversation_.channel(), name, timestamp_,
                                             std::move(digest));
    co_await conclude(std::move(name), "APOP", std::move(account));
}

Task<> Authorization::conclude(std::string name, std::string_view mechanism, Result<directory::Account> account) {
    if (!account) {
        co_await failed(name, mechanism, account.error());
        co_return;
    }
    co_await admit(std::move(*account), mechanism);
}

Task<> Authorization::admit(directory::Account account, std::string_view mechanism) {
    const auto& peer = conversation_.connection().peer();
    // RFC 2449 s8.1.1: not before the password was right, or it would tell who exists.
    auto policy = policy_of(conversation_.options().policy, account.settings);
    if (!services_.login_delays.is_over(account.id, policy.login_delay)) {
        co_await too_early(account);
        co_return;
    }
    auto maildrop = co_await services_.store.open_maildrop(account.id);
    if (!maildrop) {
        if (maildrop.error().code() == Errc::busy) {  // RFC 2449 s8.1.2
            conversation_.connection().log(log::Level::info, "pop3.in_use",
                                           {{"session", conversation_.session_id()}, {"account", account.address}});
            co_await conversation_.say_error("[IN-USE]", "another session has the maildrop open");
            co_return;
        }
        log::warning("pop3.maildrop_failed", {{"session", conversation_.session_id()},
                                              {"account", account.address},
                                              {"error", to_string(maildrop.error().code())},
                                              {"reason", maildrop.error().detail()}});
        co_await conversation_.say_failure(maildrop.error(), "the maildrop can't be opened");
        co_return;
    }
    auto executor = co_await asio::this_coro::executor;
    auto entry = services_.open_sessions.enter(account.id, executor, mark_, [&c = conversation_] { c.oust(); });
    if (!entry) {
        co_await conversation_.say_error("[SYS/TEMP]", "the account has changed, log in again");
        co_return;
    }
    if (!services_.login_delays.note(account.id, policy.login_delay)) {
        co_await too_early(account);
        co_return;
    }
    const auto* tls = conversation_.connection().tls();
    conversation_.connection().log(log::Level::info, "pop3.login",
                                   {{"session", conversation_.session_id()},
                                    {"peer", peer.address},
                                    {"account", account.address},
                                    {"tls", tls ? std::string_view(tls->version) : "no"},
                                    {"cipher", tls ? std::string_view(tls->cipher) : ""},  // RFC 8314 s4
                                    {"mechanism", mechanism}});
    auto messages = (*maildrop)->message_count();
    auto octets = conversation_.downgrades() ? (*maildrop)->ascii_octets() : (*maildrop)->octets();
    login_.emplace(std::move(account.address), account.id, std::move(*maildrop), policy, std::move(entry));
    co_await conversation_.say_ok("{} messages ({} octets)", messages, octets);
}

Task<> Authorization::too_early(const directory::Account& account) {
    conversation_.connection().log(log::Level::info, "pop3.login_delayed",
                                   {{"session", conversation_.session_id()}, {"account", account.address}});
    return conversation_.say_error("[LOGIN-DELAY]", "the last login was too short a time ago");
}

// A wrong name and a wrong password look the same.
Task<> Authorization::failed(std::string_view name, std::string_view mechanism, const Error& why) {
    const auto& peer = conversation_.connection().peer();
    conversation_.connection().log(log::Level::info, "pop3.auth_failed",
                                   {{"session", conversation_.session_id()},
                                    {"peer", peer.address},
                                    {"name", name},
                                    {"mechanism", mechanism},
                                    {"error", to_string(why.code())},
                                    {"reason", why.detail()}});
    if (why.code() == Errc::invalid) {
        co_await conversation_.refuse("not a valid response for this mechanism");
        co_return;
    }
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
    conversation_.connection().log(log::Level::info, "pop3.tls_failed",
                                   {{"session", conversation_.session_id()},
                                    {"peer", conversation_.connection().peer().address},
                                    {"reason", shaken.error().detail()}});
    conversation_.end("tls_failed");
}

Task<> Authorization::on(Capa) {
    return conversation_.say_capabilities(Conversation::State::authorization, services_.announced.lines());
}

Task<> Authorization::on(Lang lang) { return conversation_.change_language(lang.range); }

Task<> Authorization::on(Utf8) {
    conversation_.enable_utf8();
    return conversation_.say_ok("UTF-8 it is");
}

Task<> Authorization::on(Quit) {
    co_await conversation_.say_ok("goodbye");
    conversation_.end(kQuit);
}

}  // namespace poplar::pop3
