// The AUTHORIZATION state (RFC 1939 s4): greeting, STLS, UTF8, and the ways to log in.
#include "pop3/authorization.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/address.h"
#include "session/sasl.h"

namespace poplar::pop3 {

namespace {

/// A device may have views of its own, and mailboxes beside INBOX or in its place; everybody else has the classic view
/// of INBOX.
mailstore::WantedMaildrop wanted_by(const session::Proved& proved) {
    mailstore::WantedMaildrop wanted;
    wanted.key = proved.key;
    if (proved.settings.keep_deleted) wanted.when_all_deleted = mailstore::WhenAllDeleted::keep;
    const auto* device = proved.device.get();
    if (!device) return wanted;
    wanted.device = device->id;
    if (device->own_view) wanted.view = mailstore::view_of_device(device->id);
    for (auto id : device->mailboxes) wanted.mailboxes.emplace_back(id);
    return wanted;
}

/// A device opens by name what it has, and nothing else.
bool may_open(const session::Proved& proved, mailstore::MailboxId mailbox) {
    if (!proved.device) return true;
    const auto& its = proved.device->mailboxes;
    if (its.empty()) return mailbox == mailstore::kInbox;
    return std::ranges::find(its, mailbox.value) != its.end();
}

/// The views that make up the maildrop.
std::vector<mailstore::ViewOf> views_of(mailstore::AccountId account, const mailstore::WantedMaildrop& wanted) {
    std::vector<mailstore::ViewOf> views;
    for (auto mailbox : wanted.mailboxes) views.push_back({account, wanted.view, mailbox});
    if (views.empty()) views.push_back({account, wanted.view});
    return views;
}

/// RFC 5034 s4: "+ " before what the server says.
class Dialogue final : public session::Dialogue {
public:
    Dialogue(Conversation& conversation, SteadyTime deadline) : conversation_(conversation), deadline_(deadline) {}

    Task<Result<std::string>> ask(std::string challenge) override {
        if (auto said = co_await conversation_.say("+ {}\r\n", challenge); !said) co_return pass_on(said);
        auto response = co_await conversation_.next_response(deadline_);
        if (!response) co_return pass_on(response);
        co_return std::string(*response);
    }

private:
    Conversation& conversation_;
    const SteadyTime deadline_;
};

}  // namespace

Task<Result<Login>> Authorization::run() {
    const auto& options = conversation_.options();
    deadline_ = SteadyClock::now() + options.login_total;
    if (options.apop) {  // RFC 1939 s7: no two greetings have the same timestamp
        auto seconds = std::chrono::floor<std::chrono::seconds>(system_clock().now()).time_since_epoch().count();
        timestamp_ = fmt::format("<{}.{}@{}>", random_text(26), seconds, options.hostname);
    }
    auto went =
        co_await conversation_.say("+OK {}{}{}\r\n", options.greeting, timestamp_.empty() ? "" : " ", timestamp_);
    while (went && !login_) {
        auto command = co_await conversation_.next_command_by(deadline_);
        if (!command) co_return pass_on(command);
        auto act = [this](auto& known) { return on(known); };
        went = co_await std::visit(act, *command);
    }
    if (!went) co_return pass_on(went);
    co_return std::move(*login_);
}

// RFC 1939 s7: whether the name exists is not told.
Task<Result<>> Authorization::on(User user) {
    if (!conversation_.login().passwords_allowed()) return refuse_plaintext();
    if (!mail::is_utf8(user.name)) return conversation_.refuse("not valid UTF-8");  // RFC 6856 s2.2
    name_ = user.name;
    user_line_ = conversation_.line_count();
    return conversation_.say_ok("send the password");
}

Task<Result<>> Authorization::on(Pass pass) {
    if (!conversation_.login().passwords_allowed()) return refuse_plaintext();
    // RFC 1939 s7: only immediately after a successful USER.
    if (name_.empty() || conversation_.line_count() != user_line_ + 1) return conversation_.refuse("send USER first");
    if (!mail::is_utf8(pass.password)) return conversation_.refuse("not valid UTF-8");
    return log_in(conversation_.login().password(std::exchange(name_, {}), std::string(pass.password), "USER"));
}

// RFC 1939 s7. No password crosses the wire, so it is not a matter of TLS.
Task<Result<>> Authorization::on(Apop apop) {
    if (timestamp_.empty()) return conversation_.refuse(kUnknownCommand);
    if (!mail::is_utf8(apop.name)) return conversation_.refuse("not valid UTF-8");
    name_.clear();
    auto& login = conversation_.login();
    std::string name(apop.name);
    auto judge =
        auth::check_apop(services_.logins.authenticator, login.channel(), name, timestamp_, std::string(apop.digest));
    return log_in(login.prove(std::move(name), "APOP", std::move(judge)));
}

Task<Result<>> Authorization::on(Auth auth) {
    if (auth.mechanism.empty()) {  // not in RFC 5034, but what clients older than CAPA ask
        std::string lines;
        for (auto mechanism : conversation_.login().mechanisms()) lines.append(auth::name_of(mechanism)).append("\r\n");
        return conversation_.say_list("mechanisms follow", lines);
    }
    name_.clear();
    return exchange(std::string(auth.mechanism),
                    auth.initial_response ? std::optional<std::string>(*auth.initial_response) : std::nullopt);
}

Task<Result<>> Authorization::exchange(std::string mechanism, std::optional<std::string> initial_response) {
    Dialogue dialogue(conversation_, deadline_);
    auto attempting = conversation_.login().sasl(std::move(mechanism), std::move(initial_response), dialogue);
    co_return co_await log_in(std::move(attempting));
}

Task<Result<>> Authorization::log_in(Task<Result<session::Attempt>> attempting) {
    auto attempted = co_await std::move(attempting);
    if (!attempted) co_return pass_on(attempted);
    if (!*attempted) co_return co_await refuse(std::move(attempted->error()));
    auto& proved = **attempted;
    // RFC 2449 s8.1.1: not before the password was right, or it would tell who exists.
    auto policy = policy_of(conversation_.options().policy, proved.settings);
    auto wanted = wanted_by(proved);
    if (proved.mailbox) {
        auto named = co_await services_.store.find_mailbox(proved.account, *proved.mailbox);
        if (named && !may_open(proved, named->id)) named = fail(Errc::not_found, "the device has not this mailbox");
        if (!named && named.error().code() == Errc::not_found)
            co_return co_await no_mailbox(proved.address, *proved.mailbox, named.error().detail());
        if (!named) co_return co_await unopened(proved.address, named.error());
        wanted.mailboxes = {named->id};
    }
    const auto views = views_of(proved.account, wanted);
    auto may_enter = [&](const auto& of) { return services_.login_delays.is_over(of, policy.login_delay); };
    if (!std::ranges::all_of(views, may_enter)) co_return co_await too_early(proved.address);
    auto maildrop = co_await services_.store.open_maildrop(proved.account, std::move(wanted));
    if (!maildrop) {
        if (maildrop.error().code() == Errc::busy) {  // RFC 2449 s8.1.2
            conversation_.connection().log(log::Level::info, "pop3.in_use",
                                           {{"session", conversation_.session_id()}, {"account", proved.address}});
            co_return co_await conversation_.say_error("[IN-USE]", "another session has the maildrop open");
        }
        co_return co_await unopened(proved.address, maildrop.error());
    }
    auto access = conversation_.login().admit(proved, co_await asio::this_coro::executor);
    if (!access) co_return co_await conversation_.say_error("[SYS/TEMP]", "the account has changed, log in again");
    auto note = [&](const auto& of) { return services_.login_delays.note(of, policy.login_delay); };
    if (!std::ranges::all_of(views, note)) co_return co_await too_early(proved.address);
    auto messages = (*maildrop)->message_count();
    auto octets = conversation_.downgrades() ? (*maildrop)->ascii_octets() : (*maildrop)->octets();
    login_.emplace(std::move(*access), std::move(*maildrop), policy);
    co_return co_await conversation_.say_ok("{} messages ({} octets)", messages, octets);
}

Task<Result<>> Authorization::unopened(std::string_view account, const Error& why) {
    log::warning("pop3.maildrop_failed", {{"session", conversation_.session_id()},
                                          {"account", account},
                                          {"error", to_string(why.code())},
                                          {"reason", why.detail()}});
    return conversation_.say_failure(why, "the maildrop can't be opened");
}

// Only somebody who has the password hears it, so it tells nobody else which mailboxes there are.
Task<Result<>> Authorization::no_mailbox(std::string_view account, std::string_view mailbox, std::string_view reason) {
    conversation_.connection().log(log::Level::info, "pop3.no_mailbox",
                                   {{"session", conversation_.session_id()},
                                    {"peer", conversation_.connection().peer().address},
                                    {"account", account},
                                    {"mailbox", mailbox},
                                    {"reason", reason}});
    return conversation_.say_error("[AUTH]", "there is no such mailbox");
}

Task<Result<>> Authorization::too_early(std::string_view account) {
    conversation_.connection().log(log::Level::info, "pop3.login_delayed",
                                   {{"session", conversation_.session_id()}, {"account", account}});
    return conversation_.say_error("[LOGIN-DELAY]", "the last login was too short a time ago");
}

Task<Result<>> Authorization::refuse(session::Refusal why) {
    switch (why.why) {
        case session::Refusal::Why::wrong: break;
        case session::Refusal::Why::needs_second_factor: {
            if (auto said = co_await ask_for_factor(why.missing); !said) co_return said;
            if (conversation_.login().exhausted()) co_return conversation_.lines().end("login_failures");
            co_return Result<>();
        }
        case session::Refusal::Why::needs_mail_key: {  // RFC 3206 s5: another password may help
            auto said = co_await conversation_.say_error(
                "[AUTH]", "the mail is encrypted, and this login can't open it: log in with the account's password");
            if (!said) co_return said;
            if (conversation_.login().exhausted()) co_return conversation_.lines().end("login_failures");
            co_return Result<>();
        }
        case session::Refusal::Why::unavailable:
            co_return co_await conversation_.say_failure(why.error, "can't check the password now, try again later");
        case session::Refusal::Why::bad_response:
            co_return co_await conversation_.refuse("not a valid response for this mechanism");
        case session::Refusal::Why::not_base64: co_return co_await conversation_.refuse("not valid base64");
        case session::Refusal::Why::cancelled: co_return co_await conversation_.refuse("cancelled");
        case session::Refusal::Why::too_long: co_return co_await conversation_.refuse("line too long");
        case session::Refusal::Why::unknown_mechanism: co_return co_await conversation_.refuse("unknown mechanism");
        case session::Refusal::Why::needs_certificate:
            co_return co_await conversation_.refuse("this mechanism needs a client certificate with a mail address");
        case session::Refusal::Why::needs_tls:
            if (!conversation_.login().passwords_allowed()) co_return co_await refuse_plaintext();
            co_return co_await conversation_.refuse("this mechanism needs TLS");
    }
    // RFC 3206 s5. A wrong name and a wrong password look the same.
    if (auto said = co_await conversation_.say_error("[AUTH]", "wrong name or password"); !said) co_return said;
    if (conversation_.login().exhausted()) co_return conversation_.lines().end("login_failures");
    co_return Result<>();
}

// Only for who had the right password. RFC 3206 s5, s4: clients ask for another password at [AUTH], not at [SYS/TEMP].
Task<Result<>> Authorization::ask_for_factor(auth::MissingFactor missing) {
    using Missing = auth::MissingFactor;
    switch (missing) {
        case Missing::code:
            return conversation_.say_error("[AUTH]", "a code is needed: type the password with the code behind it");
        case Missing::wrong_code:
            return conversation_.say_error("[AUTH]", "the code is wrong or was used already, wait for the next one");
        case Missing::too_many_codes:
            return conversation_.say_error("[SYS/TEMP]", "too many codes were wrong, try again in some hours");
        case Missing::approval:
            return conversation_.say_error("[AUTH]",
                                           "you were not here before: type the password with the code behind it that "
                                           "was mailed to you, or have this network accepted");
        case Missing::device:
            return conversation_.say_error("[AUTH]", "use the password of a device here, not the account's");
        case Missing::denied: return conversation_.say_error("[AUTH]", "logins from this network were denied");
        case Missing::other: break;
    }
    return conversation_.say_error("[AUTH]", "the account needs a second factor, which this login does not show");
}

Task<Result<>> Authorization::refuse_plaintext() {
    return conversation_.refuse(conversation_.offered_tls() ? Text("use STLS first: no passwords in the clear")
                                                            : Text("no passwords in the clear"));
}

// RFC 2595 s4.
Task<Result<>> Authorization::on(Stls) {
    if (conversation_.connection().tls()) co_return co_await conversation_.refuse("TLS is active already");
    if (conversation_.utf8())  // RFC 6856 s2.1
        co_return co_await conversation_.refuse("STLS has to come before UTF8");
    auto context = conversation_.offered_tls();
    if (!context) co_return co_await conversation_.refuse("TLS is not available");
    name_.clear();  // what came before the handshake may have come from somebody else, LANG too (RFC 6856 s7)
    if (auto said = co_await conversation_.say_ok("begin TLS"); !said) co_return said;
    auto shaken = co_await conversation_.connection().start_tls(*context, conversation_.options().tls_handshake);
    if (shaken) {
        conversation_.forget_language();
        co_return Result<>();
    }
    conversation_.connection().log(log::Level::info, "pop3.tls_failed",
                                   {{"session", conversation_.session_id()},
                                    {"peer", conversation_.connection().peer().address},
                                    {"reason", shaken.error().detail()}});
    co_return conversation_.lines().end("tls_failed");
}

// RFC 2449 s5: CAPA is there in both states.
Task<Result<>> Authorization::on(Capa) {
    return conversation_.say_capabilities(Conversation::State::authorization, services_.announced.lines());
}

Task<Result<>> Authorization::on(Lang lang) { return conversation_.change_language(lang.range); }

// RFC 6856 s2.1: before the login alone.
Task<Result<>> Authorization::on(Utf8) {
    conversation_.enable_utf8();
    return conversation_.say_ok("UTF-8 it is");
}

// RFC 1939 s4: without a login there is no UPDATE state to enter.
Task<Result<>> Authorization::on(Quit) {
    if (auto said = co_await conversation_.say_ok("goodbye"); !said) co_return said;
    co_return conversation_.lines().end(session::kQuit);
}

}  // namespace poplar::pop3
