#pragma once
// An authenticator over a directory in an engine in memory, for tests of logins with a password.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "auth/authenticator.h"
#include "directory/directory.h"
#include "directory/records.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {

using namespace std::chrono_literals;
using directory::Account;
using test::run;

/// bob and carol at example.org; failures are answered without delay.
class AuthenticatorTest : public testing::Test {
protected:
    void SetUp() override {
        options.failure_delay = 0ms;
        options.longest_wait = 0ms;
        options.longest_delay = 24h;  // no test reaches it, however slow the machine
        ASSERT_TRUE(run(directory.add_domain("example.org")));
        ASSERT_TRUE(run(directory.add_account("bob@example.org", "{PLAIN}secret")));
        ASSERT_TRUE(run(directory.add_account("carol@example.org", "{PLAIN}hidden")));
    }

    /// The authenticator with `options`, made at the first login.
    Authenticator& authenticator() {
        if (!made_) made_.emplace(directory, options);
        return *made_;
    }
    Result<Verified> login(const std::string& name, const std::string& password,
                           const std::string& peer = "192.0.2.1") {
        return run(authenticator().verify_password({name, password, peer}));
    }
    /// "" for a good login, otherwise what the log would say.
    std::string outcome(const std::string& name, const std::string& password, const std::string& peer = "192.0.2.1") {
        auto result = login(name, password, peer);
        if (result) return "";
        EXPECT_EQ(result.error().code(), result.error().detail() == kRefused ? Errc::busy : Errc::denied);
        return result.error().detail();
    }
    static constexpr std::string_view kRefused = "too many failures";
    /// A wrong password, each time another one.
    static std::string guess(int number) { return "guess " + std::to_string(number); }
    Account find(const std::string& address) {
        auto found = run(directory.find_account(address));
        EXPECT_TRUE(found);
        return found ? *found : Account{};
    }
    /// Changes a stored hash without a new credential_version. The old password is then right only for a login that
    /// does not look at the hash.
    void swap_stored(const std::string& local, const std::string& password) {
        auto account = find(local + "@example.org");
        account.password = password;
        engine::Batch batch;
        batch.put(directory::address_key({local, "example.org"}), directory::encode(account));
        ASSERT_TRUE(run(engine.commit(directory::kDirectoryPartition, std::move(batch))));
    }

    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory{engine, clock, {}};
    Options options;

private:
    std::optional<Authenticator> made_;
};

/// Counts how logins ended: "good", or what the log would say.
inline Task<> count(Authenticator& authenticator, Credentials credentials, std::map<std::string, int>& outcomes) {
    auto result = co_await authenticator.verify_password(std::move(credentials));
    ++outcomes[result ? "good" : result.error().detail()];
}

}  // namespace poplar::auth
