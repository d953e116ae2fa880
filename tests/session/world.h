#pragma once
// A directory with one account, fred@example.test, "pass word", and what a session of any protocol has to log him in.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "session/lines.h"
#include "session/login.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::test {

class SessionWorld : public testing::Test {
protected:
    SessionWorld() {
        EXPECT_TRUE(run(directory_.add_domain("example.test")));
        auto fred = run(directory_.add_account("fred@example.test", "{PLAIN}pass word"));
        EXPECT_TRUE(fred);
        fred_ = fred->id;
    }

    std::unique_ptr<ScriptConnection> connect(ScriptConnection::Script script) {
        return std::make_unique<ScriptConnection>(std::move(script), transcript_);
    }

    static auth::Options without_delay() {
        auth::Options options;
        options.failure_delay = options.longest_wait = std::chrono::milliseconds(0);
        return options;
    }

    MemoryEngine engine_;
    ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    auth::Authenticator authenticator_{directory_, without_delay()};
    auth::Sasl sasl_{authenticator_, clock_, {}, nullptr};
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, clock_};
    activity::Ledger ledger_{engine_, clock_, {}};
    session::LoginServices services_{authenticator_, sasl_,   open_sessions_,
                                     device_uses_,   ledger_, session::AllowPlaintext::always};
    directory::AccountId fred_;
    std::shared_ptr<Transcript> transcript_ = std::make_shared<Transcript>();
};

}  // namespace poplar::test
