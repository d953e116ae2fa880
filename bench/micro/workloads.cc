// The workloads: parsers and codecs, whole POP3 and LMTP sessions in memory, the engine on a disk.
#include "bench/micro/workloads.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "auth/exchange.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "bench/load/messages.h"
#include "delivery/delivery.h"
#include "engine/local/frame.h"
#include "engine/local/local_engine.h"
#include "engine/local/record.h"
#include "mail/wire_form.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "pop3/command.h"
#include "pop3/session.h"
#include "smtp/command.h"
#include "smtp/session.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"
#include "tests/support/temp_dir.h"

namespace poplar::bench {

namespace {

/// A result that must be good, and that the compiler must not drop.
template <class T>
T must(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "a workload failed: {}\n", result.error().detail());
        std::abort();
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
void keep(const T& value) {
    asm volatile("" : : "r"(&value) : "memory");
}

/// A mail system in memory with one account, and POP3 sessions to it: all of the protocol, none of the kernel.
class Pop3World {
public:
    explicit Pop3World(std::uint64_t messages) {
        engine_.have_all_at_hand();
        must(test::run(directory_.add_domain("example.test")));
        auto account = must(test::run(directory_.add_account("user@example.test", "{PLAIN}password")));
        for (std::uint64_t i = 0; i < messages; ++i) {
            std::string wire = make_message(4096, i);
            auto writer = engine_.write_body();
            must(test::run(writer->write(wire)));
            auto staged = must(test::run(writer->finish()));
            must(test::run(store_.append(account.id, {"", {staged, wire.size()}, ""})));
        }
    }

    void talk(const std::string& commands) {
        auto transcript = std::make_shared<test::Transcript>();
        pop3::Services services{logins_, store_, login_delays_, announced_};
        auto connection = std::make_unique<test::ScriptConnection>(
            test::ScriptConnection::Script{
                .flights = {"USER user@example.test\r\nPASS password\r\n" + commands + "QUIT\r\n"}},
            transcript);
        test::run(pop3::serve(std::move(connection), services, options_, "session"));
        if (!transcript->output.ends_with("\r\n") || transcript->output.contains("-ERR")) std::abort();
    }

private:
    test::MemoryEngine engine_;
    test::ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    auth::Authenticator authenticator_{directory_, {}};
    auth::Sasl sasl_{authenticator_, clock_, {}, nullptr};
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, clock_};
    activity::Ledger ledger_{engine_, clock_, {}};
    session::LoginServices logins_{authenticator_, sasl_,   open_sessions_,
                                   device_uses_,   ledger_, session::AllowPlaintext::always};
    pop3::LoginDelays login_delays_;
    pop3::Announced announced_{{}};
    mailstore::MailStore store_{engine_, clock_, {}};
    pop3::Options options_;
};

/// The same for deliveries by LMTP.
class LmtpWorld {
public:
    LmtpWorld() {
        engine_.have_all_at_hand();
        must(test::run(directory_.add_domain("example.test")));
        must(test::run(directory_.add_account("user@example.test", "{PLAIN}password")));
        options_.hostname = "mail.example.test";
    }

    void deliver(const std::string& message, int times) {
        test::ScriptConnection::Script script{.flights = {"LHLO client.example\r\n"}};
        for (int i = 0; i < times; ++i)
            script.flights.push_back("MAIL FROM:<sender@elsewhere.example>\r\nRCPT TO:<user@example.test>\r\nDATA\r\n" +
                                     message + ".\r\n");
        script.flights.push_back("QUIT\r\n");
        auto transcript = std::make_shared<test::Transcript>();
        auto connection = std::make_unique<test::ScriptConnection>(std::move(script), transcript);
        test::run(smtp::serve(std::move(connection), smtp::Services{delivery_}, options_, "session"));
        const std::string good = "250 2.0.0";
        int stored = 0;
        for (auto at = transcript->output.find(good); at != std::string::npos;
             at = transcript->output.find(good, at + 1))
            ++stored;
        if (stored < times) std::abort();
    }

private:
    test::MemoryEngine engine_;
    test::ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    mailstore::MailStore store_{engine_, clock_, {}};
    quota::Quotas quotas_{directory_, store_, {}};
    delivery::Delivery delivery_{directory_, store_, quotas_, clock_, {}};
    smtp::Options options_ = smtp::defaults(smtp::Protocol::lmtp);
};

void add_syntax(std::vector<Workload>& all) {
    all.push_back({"pop3 command line", [] { keep(pop3::parse_command("RETR 4711")); }});
    all.push_back({"smtp command line",
                   [] { keep(smtp::parse_command("MAIL FROM:<sender@elsewhere.example> SIZE=4096 BODY=8BITMIME")); }});
}

void add_bytes(std::vector<Workload>& all) {
    auto message = std::make_shared<const std::string>(make_message(65'536, 1));
    auto data = std::make_shared<const std::string>(*message + ".\r\n");
    auto out = std::make_shared<std::string>();
    all.push_back({"DATA to wire form, 64 KB",
                   [data, out] {
                       mail::DataDecoder decoder(mail::BareNewlines::reject);
                       out->clear();
                       decoder.decode(*data, *out);
                       keep(*out);
                   },
                   data->size()});
    all.push_back({"stuffing of plain octets, 64 KB",
                   [message, out] {
                       mail::WireEncoder encoder(mail::BareNewlines::reject);
                       out->clear();
                       encoder.encode(*message, *out);
                       encoder.finish(*out);
                       keep(*out);
                   },
                   message->size()});
    all.push_back({"TOP of 10 lines, 64 KB", [message] {
                       mail::TopLimiter limiter(10);
                       keep(limiter.take(*message));
                   }});
    all.push_back({"crc32c, 64 KB", [message] { keep(crc32c(*message)); }, message->size()});
}

void add_log(std::vector<Workload>& all) {
    using namespace engine::local;
    auto body = std::make_shared<const std::string>(make_message(4096, 1));
    auto out = std::make_shared<std::string>();
    RecordMeta meta;
    meta.change = engine::ChangeNumber{17};
    mailstore::StoredMessage message;
    message.unique_id = "abcdefghijkl0001";
    meta.puts.push_back(
        {mailstore::keys::message(mailstore::kInbox, mailstore::OrderKey{1}), mailstore::encode(message)});
    meta.puts.push_back({mailstore::keys::account(), mailstore::encode(mailstore::AccountRecord{})});
    meta.bodies.push_back({engine::BodyId{1}, body->size(), body->size() + kFrameHeader, 0});
    auto shared = std::make_shared<const RecordMeta>(meta);
    all.push_back({"log record with a body of 4 KB", [shared, body, out] {
                       std::string encoded = encode_meta(*shared);
                       out->clear();
                       *out += encode_record_header(RecordMark{1}, {1, 1, engine::PartitionId{7}, 0, 4104}, encoded);
                       *out += encoded;
                       append_frame(*body, *out);
                       keep(*out);
                   }});
    auto entry = std::make_shared<const engine::Entry>(meta.puts[0]);
    all.push_back({"a message's entry, decoded", [entry] { keep(mailstore::decode_message(*entry)); }});
}

/// The engine on a real disk: an index lookup, and a commit with its sync.
void add_engine(std::vector<Workload>& all) {
    struct Store {
        test::TempDir directory;
        std::unique_ptr<engine::local::LocalEngine> engine;
        std::uint64_t next = 0;
    };
    auto store = std::make_shared<Store>();
    engine::local::Options options;
    options.directory = store->directory.path() / "store";
    store->engine = must(engine::local::LocalEngine::open(options));
    constexpr std::uint64_t kKeys = 1000;
    for (std::uint64_t i = 0; i < kKeys; ++i) {
        engine::Batch batch;
        batch.put(fmt::format("key{}", i), std::string(100, 'x'));
        must(test::run(store->engine->commit(engine::PartitionId{1 + i % 100}, std::move(batch), std::nullopt)));
    }
    all.push_back(
        {"index lookup", [store] {
             auto i = store->next++ * 7919 % kKeys;
             keep(test::run(store->engine->get(engine::PartitionId{1 + i % 100}, fmt::format("key{}", i), nullptr)));
         }});
    all.push_back({"commit with its sync", [store] {
                       engine::Batch batch;
                       batch.put("key", std::string(100, 'y'));
                       must(test::run(store->engine->commit(engine::PartitionId{1}, std::move(batch), std::nullopt)));
                   }});
}

void add_sessions(std::vector<Workload>& all) {
    auto empty = std::make_shared<Pop3World>(0), full = std::make_shared<Pop3World>(200);
    all.push_back({"POP3 session: poll", [empty] { empty->talk("STAT\r\n"); }});
    all.push_back({"POP3 session: UIDL of 200", [full] { full->talk("UIDL\r\n"); }});
    all.push_back({"POP3 session: LIST of 200", [full] { full->talk("LIST\r\n"); }});
    std::string retr;
    for (int i = 1; i <= 200; ++i) retr += fmt::format("RETR {}\r\n", i);
    all.push_back({"POP3 session: RETR of 200, 4 KB each", [full, retr] { full->talk(retr); }, 200 * 4096});
    auto lmtp = std::make_shared<LmtpWorld>();
    auto message = std::make_shared<const std::string>(make_message(4096, 1));
    all.push_back(
        {"LMTP session: 20 deliveries, 4 KB each", [lmtp, message] { lmtp->deliver(*message, 20); }, 20 * 4096});
}

}  // namespace

std::vector<Workload> make_workloads() {
    log::configure(log::Level::warning, log::Format::text, "");  // as in bench/compare
    std::vector<Workload> all;
    add_syntax(all);
    add_bytes(all);
    add_log(all);
    add_sessions(all);
    return all;
}

std::vector<Workload> make_disk_workloads() {
    std::vector<Workload> all;
    add_engine(all);
    return all;
}

}  // namespace poplar::bench
