#pragma once
// Plays scripts to an IMAP session over a mail system in memory, with one account: fred@example.test, "secret".
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "imap/session.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::test {

class ImapWorld : public testing::Test {
protected:
    using Script = ScriptConnection::Script;

    ImapWorld() {
        EXPECT_TRUE(run(directory_.add_domain("example.test")));
        auto fred = run(directory_.add_account("fred@example.test", "{PLAIN}secret"));
        EXPECT_TRUE(fred);
        fred_ = fred->id;
        logins_.allow_plaintext = session::AllowPlaintext::always;
    }

    /// `wire` is in wire form and has no stuffed line.
    mailstore::Message append(std::string wire, mailstore::MailboxId mailbox = mailstore::kInbox) {
        auto writer = store_.stage();
        EXPECT_TRUE(run(writer->write(wire)));
        auto content = run(writer->finish(wire.size(), 1));
        EXPECT_TRUE(content);
        mailstore::NewMessage message{"", *content, ""};
        message.mailbox = mailbox;
        auto stored = run(store_.append(fred_, std::move(message)));
        EXPECT_TRUE(stored) << stored.error().detail();
        return stored ? *stored : mailstore::Message{};
    }
    void append_several(int count) {
        for (int i = 1; i <= count; ++i) append("Subject: " + std::to_string(i) + "\r\n\r\nbody\r\n");
    }

    Transcript talk(Script script) {
        auto transcript = std::make_shared<Transcript>();
        auto connection = std::make_unique<ScriptConnection>(std::move(script), transcript);
        run(imap::serve(std::move(connection), services_, options_, "session"));
        EXPECT_TRUE(transcript->closed);
        return *transcript;
    }
    /// Sends all in one packet. Returns the answers, without the greeting.
    std::string say(std::string input) {
        auto output = talk({.flights = {std::move(input)}}).output;
        EXPECT_TRUE(output.starts_with("* OK [CAPABILITY IMAP4rev1 ")) << output;
        return output.substr(output.find("\r\n") + 2);
    }
    /// As say(), but logs in first. Returns the answers to `input` alone.
    std::string say_logged_in(const std::string& input) {
        auto output = say("l LOGIN fred@example.test secret\r\n" + input);
        const auto end = output.find("\r\n");
        EXPECT_TRUE(output.starts_with("l OK [CAPABILITY ")) << output;
        return output.substr(end + 2);
    }
    /// As say_logged_in(), with INBOX selected.
    std::string say_selected(const std::string& input) {
        auto output = say_logged_in("s SELECT INBOX\r\n" + input);
        const auto begin = output.find("\r\ns OK [READ-WRITE] ");
        EXPECT_NE(begin, std::string::npos) << output;
        return output.substr(output.find("\r\n", begin + 2) + 2);
    }

    std::uint32_t uid_validity() { return run(store_.mailbox(fred_, "INBOX"))->uid_validity; }
    std::uint64_t inbox_messages() { return run(store_.mailbox(fred_, "INBOX"))->totals.messages; }

    static auth::Options without_delay() {
        auth::Options options;
        options.failure_delay = options.longest_wait = std::chrono::milliseconds(0);
        return options;
    }
    static std::shared_ptr<const net::TlsContext> any_tls() {
        static const std::max_align_t nothing{};
        return {std::shared_ptr<const void>(), reinterpret_cast<const net::TlsContext*>(&nothing)};
    }

    MemoryEngine engine_;
    ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    auth::Authenticator authenticator_{directory_, without_delay()};
    auth::Sasl sasl_{authenticator_, clock_, {}, nullptr};
    mailstore::Options store_options_;
    mailstore::MailStore store_{engine_, clock_, store_options_};
    quota::Quotas quotas_{directory_, store_, {}};
    directory::AccountId fred_;
    imap::Options options_;
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, clock_};
    activity::Ledger ledger_{engine_, clock_, {}};
    session::LoginServices logins_{authenticator_, sasl_, open_sessions_, device_uses_, ledger_};
    imap::Services services_{logins_, store_, directory_, quotas_};
};

}  // namespace poplar::test
