// A whole IMAP session: any octets in, the real session and stores over an engine in memory. It comes to its end, its
// lines end in CRLF, nothing is said to a client that has not logged in but replies, and how the octets are cut changes
// nothing.
#include "base/log.h"
#include "fuzz/check.h"
#include "imap/session.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::imap {
namespace {

constexpr std::string_view kSecret = "CANARY";  // in the message; nobody gets it without a login

std::string play(std::string_view octets, std::size_t cut, bool logs_in) {
    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory(engine, clock, {});
    CHECK(test::run(directory.add_domain("a.test")));
    const auto account = test::run(directory.add_account("a@a.test", "{PLAIN}b"));
    CHECK(account);
    auth::Options auth_options;
    auth_options.failure_delay = auth_options.longest_wait = std::chrono::milliseconds(0);
    auth::Authenticator authenticator(directory, auth_options);
    auth::Sasl sasl(authenticator, clock, {}, nullptr);
    mailstore::Options store_options;
    mailstore::MailStore store(engine, clock, store_options);
    quota::Quotas quotas(directory, store, {});
    auth::OpenSessions open_sessions;
    auth::DeviceUses device_uses(directory, clock);
    activity::Ledger ledger(engine, clock, {});
    const session::LoginServices logins{authenticator, sasl,   open_sessions,
                                        device_uses,   ledger, session::AllowPlaintext::always};
    const Services services{logins, store, directory, quotas};
    const std::string wire = "Subject: CANARY\r\n\r\nCANARY\r\n";
    auto writer = store.stage();
    CHECK(test::run(writer->write(wire)));
    auto content = test::run(writer->finish(wire.size(), 1));
    CHECK(content);
    CHECK(test::run(store.append(account->id, {"", *content, ""})));

    Options options;
    options.append_limit = 4096;
    options.compression = false;  // what it makes depends on when it is sent; it has a target of its own
    options.progress = std::chrono::hours(1);
    options.bad_commands = 1000;
    auto transcript = std::make_shared<test::Transcript>();
    test::ScriptConnection::Script script;
    if (logs_in) script.flights.push_back("l LOGIN a@a.test b\r\ns SELECT INBOX\r\n");
    script.flights.emplace_back(octets);
    script.cut = cut;
    test::run(serve(std::make_unique<test::ScriptConnection>(std::move(script), transcript), services, options, "s"));
    CHECK(transcript->closed);
    return transcript->output;
}

}  // namespace
}  // namespace poplar::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar;
    static const bool quiet = [] {
        log::configure(log::Level::error, log::Format::text, "");
        return true;
    }();
    CHECK(quiet);
    fuzz::Input input(data, size);
    const auto steer = input.number();
    const bool logs_in = steer % 2 == 1;
    const auto octets = input.rest();
    const auto whole = imap::play(octets, 0, logs_in);
    CHECK(whole.ends_with("\r\n"));
    CHECK(imap::play(octets, 1 + steer / 2, logs_in) == whole);
    if (!logs_in && !octets.contains("a@a.test")) CHECK(!whole.contains(imap::kSecret));
    return 0;
}
