#pragma once
// Plays scripts to a POP3 session over a mail system in memory, with one account: fred@example.test, " pass word ".
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mail/downgrade.h"
#include "pop3/session.h"
#include "tests/pop3/interrupted.h"
#include "tests/support/flip_codec.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::test {

inline constexpr std::string_view kLogin = "USER fred@example.test\r\nPASS  pass word \r\n";

class Pop3World : public testing::Test {
protected:
    using Script = ScriptConnection::Script;

    Pop3World() {
        EXPECT_TRUE(run(directory_.add_domain("example.test")));
        auto fred = run(directory_.add_account("fred@example.test", "{PLAIN} pass word "));
        EXPECT_TRUE(fred);
        fred_ = fred->id;
        logins_.allow_plaintext = session::AllowPlaintext::always;
    }

    /// `wire` is in wire form; `stuffed` of its octets came by byte-stuffing.
    mailstore::Message append(std::string wire, std::string unique_id = "", std::size_t stuffed = 0) {
        auto writer = store_.stage();
        EXPECT_TRUE(run(writer->write(wire)));
        auto content = run(writer->finish(wire.size() - stuffed, 1));
        EXPECT_TRUE(content);
        mailstore::NewMessage message{"", *content, std::move(unique_id)};
        mail::Downgrader downgrader;  // as delivery does
        downgrader.feed(wire);
        downgrader.finish();
        if (downgrader.needed())
            message.ascii_octets = message.content.octets + static_cast<std::uint64_t>(downgrader.growth());
        auto stored = run(store_.append(fred_, std::move(message)));
        EXPECT_TRUE(stored) << stored.error().detail();
        return stored ? *stored : mailstore::Message{};
    }

    Transcript talk(Script script) { return talk(std::move(script), 0, {}); }
    /// `happen` runs before the session reads the line with this number.
    Transcript talk(Script script, int line, std::function<Task<>()> happen) {
        auto transcript = std::make_shared<Transcript>();
        auto scripted = std::make_unique<ScriptConnection>(std::move(script), transcript);
        auto connection = std::make_unique<Interrupted>(std::move(scripted), line, std::move(happen));
        run(pop3::serve(std::move(connection), services_, options_, "session"));
        EXPECT_TRUE(transcript->closed);
        return *transcript;
    }
    /// Sends all in one packet. Returns what the session answered, without the greeting.
    std::string say(std::string input) {
        auto output = talk({.flights = {std::move(input)}}).output;
        auto greeting = "+OK " + options_.greeting + "\r\n";
        EXPECT_TRUE(output.starts_with(greeting)) << output;
        return output.substr(greeting.size());
    }
    /// As say(), but logs in first. Returns the answers to `input` alone.
    std::string say_logged_in(const std::string& input) {
        auto output = say(std::string(kLogin) + input);
        auto end = output.find("\r\n", output.find("\r\n") + 2);
        EXPECT_TRUE(output.substr(0, end).contains("messages (")) << output;
        return output.substr(end + 2);
    }

    std::uint64_t stored_messages() { return run(store_.totals(fred_))->messages; }

    /// A TLS context to offer; the scripted peer never looks into it.
    static std::shared_ptr<const net::TlsContext> any_tls() {
        static const std::max_align_t nothing{};
        return {std::shared_ptr<const void>(), reinterpret_cast<const net::TlsContext*>(&nothing)};
    }
    static auth::Options without_delay() {
        auth::Options options;
        options.failure_delay = options.longest_wait = std::chrono::milliseconds(0);
        return options;
    }
    void offer_tls() {
        options_.tls = [] { return any_tls(); };
    }

    MemoryEngine engine_;
    ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    auth::Authenticator authenticator_{directory_, without_delay()};
    auth::Sasl sasl_{authenticator_, clock_, {}, nullptr};
    mailstore::MailStore store_{engine_, clock_, [] {
                                    mailstore::Options options;
                                    options.codec = codec_of_tests();
                                    return options;
                                }()};
    pop3::ListingCache listings_{1 << 20};
    mailstore::AccountId fred_;
    pop3::Options options_;
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, clock_};
    pop3::LoginDelays login_delays_;
    pop3::Announced announced_{{}};
    activity::Ledger ledger_{engine_, clock_, {}};
    session::LoginServices logins_{authenticator_, sasl_, open_sessions_, device_uses_, ledger_};
    pop3::Services services_{logins_, store_, login_delays_, announced_, &listings_};
};

}  // namespace poplar::test
