// A whole POP3 session: any octets in, the real session and stores over an engine in memory. Every line has exactly one
// reply, in order, before the next is read; its form is that of RFC 1939 s3 and RFC 2449 s3, s4; what a message holds
// goes out by RETR and TOP alone, and whole; how the octets are cut changes nothing; nothing but QUIT deletes.
#include <fmt/format.h>

#include "base/log.h"
#include "fuzz/check.h"
#include "mail/wire_form.h"
#include "pop3/command.h"
#include "pop3/session.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::pop3 {
namespace {

constexpr std::string_view kSecret = "CANARY";  // in every message, in no reply
const std::vector<std::string> kMessages = {
    "Subject: CANARY\r\n\r\n..\r\nCANARY\r\n",
    "Subject: CANARY\r\n",
    "Subject: CANARY\r\n\r\n" + std::string(700, 'x') + "\r\n...\r\n\r\n",
};
constexpr std::size_t kStuffed[] = {1, 0, 1};

/// Whether lines follow the first one of a "+OK" to this command.
struct HasLines {
    bool operator()(const List& list) const { return !list.message; }
    bool operator()(const Uidl& uidl) const { return !uidl.message; }
    bool operator()(const Retr&) const { return true; }
    bool operator()(const Top&) const { return true; }
    bool operator()(const Capa&) const { return true; }
    bool operator()(const Lang& lang) const { return lang.range.empty(); }
    bool operator()(const Auth& auth) const { return auth.mechanism.empty(); }
    template <class Other>
    bool operator()(const Other&) const {
        return false;
    }
};

/// Checks each reply when the next line is asked for.
class Judge {
public:
    explicit Judge(std::string& transcript) : transcript_(transcript) {}
    void write(std::string_view bytes) {
        reply_ += bytes;
        transcript_ += bytes;
    }
    void asks_for_a_line() {
        check();
        reply_.clear();
        asked_ = true;
    }
    void gets(std::string_view line) { line_ = line, too_long_ = asked_ = false; }
    void gets_too_long_a_line() { line_ = std::string(), too_long_ = true, asked_ = false; }
    /// The session is over. A read that failed may be answered, in one line.
    void ends() {
        if (asked_)
            CHECK(reply_.empty() || (reply_.starts_with("-ERR ") && reply_.find("\r\n") == reply_.size() - 2));
        else
            check();
    }

private:
    void check() {
        auto end = reply_.find("\r\n");
        CHECK(end != reply_.npos && end + 2 <= 512);
        std::string_view first = std::string_view(reply_).substr(0, end + 2);
        std::string_view rest = std::string_view(reply_).substr(end + 2);
        CHECK(first.find_first_of(std::string_view("\0\r\n", 3)) == end);
        CHECK(!first.contains(kSecret));
        bool in_exchange = std::exchange(challenged_, false);
        if (first.starts_with("+ ")) {
            challenged_ = true;
            CHECK(rest.empty() && line_ && !too_long_);
            return;
        }
        bool ok = first.starts_with("+OK ");
        CHECK(ok || first.starts_with("-ERR "));
        if (!ok || !line_ || too_long_ || in_exchange) {
            CHECK(rest.empty() && !(ok && too_long_));
            return;
        }
        auto command = parse_command(*line_);
        CHECK(command);
        if (!std::visit(HasLines{}, *command)) {
            CHECK(rest.empty());
            return;
        }
        // The line that is "." alone is the last one, and no other.
        CHECK(rest.ends_with(".\r\n") && (rest.size() == 3 || rest.substr(rest.size() - 5).starts_with("\r\n")));
        auto lines = rest.substr(0, rest.size() - 3);
        CHECK(!lines.starts_with(".\r\n") && !lines.contains("\r\n.\r\n"));
        if (auto* retr = std::get_if<Retr>(&*command))
            CHECK(lines == kMessages.at(retr->message - 1));
        else if (auto* top = std::get_if<Top>(&*command))
            CHECK(kMessages.at(top->message - 1).starts_with(lines));
        else
            CHECK(!lines.contains(kSecret));
    }

    std::string& transcript_;
    std::string reply_;
    std::optional<std::string> line_;  // what the reply is to; none: the greeting
    bool too_long_ = false, asked_ = false, challenged_ = false;
};

/// Octets come in pieces; after the last one reads fail.
class Fed final : public net::Connection {
public:
    Fed(std::vector<std::string_view> pieces, Errc end, std::string& transcript, bool& encrypted)
        : pieces_(std::move(pieces)), end_(end), judge_(transcript), encrypted_(encrypted) {}

    Task<Result<std::string_view>> read_line(std::size_t limit, Seconds, net::LineEnd end) override {
        judge_.asks_for_a_line();
        input_.erase(0, std::exchange(used_, 0));
        std::optional<net::LineBounds> bounds;
        while (!(bounds = net::find_line(input_, end))) {
            if (next_ == pieces_.size()) co_return fail(end_, "end of the input");
            input_ += pieces_[next_++];
        }
        used_ = bounds->whole;
        if (used_ > limit) {
            judge_.gets_too_long_a_line();
            co_return fail(Errc::too_large, "line too long");
        }
        auto line = std::string_view(input_).substr(0, bounds->text);
        judge_.gets(line);
        co_return line;
    }
    Task<Result<std::string_view>> read_some(Seconds, std::span<char>) override {
        co_return fail(Errc::invalid, "POP3 has lines");
    }
    // A line that is taken without being asked for.
    void consume(std::size_t octets) override {
        judge_.asks_for_a_line();
        auto line = at_hand().substr(0, octets);
        used_ += octets;
        line.remove_suffix(line.ends_with("\r\n") ? 2 : 1);
        judge_.gets(line);
    }
    std::string_view at_hand() const override { return std::string_view(input_).substr(used_); }
    Task<Result<>> write(std::string_view bytes) override {
        judge_.write(bytes);
        co_return Result<>();
    }
    bool try_write_all(std::span<const std::string_view> pieces) override {
        for (auto piece : pieces) judge_.write(piece);
        return true;
    }
    Task<Result<>> flush() override { co_return Result<>(); }
    Task<Result<>> start_tls(const net::TlsContext&, Seconds) override {
        CHECK(!encrypted_);
        input_.clear();
        used_ = 0;
        encrypted_ = true;
        co_return Result<>();
    }
    const net::TlsInfo* tls() const override { return encrypted_ ? &tls_ : nullptr; }
    const net::Peer& peer() const override { return peer_; }
    void set_peer(net::Peer peer) override { peer_ = std::move(peer); }
    std::string local_address() const override { return "192.0.2.1"; }
    Task<> close(net::Parting) override {
        judge_.ends();
        co_return;
    }
    void stop_reading() override {}
    void abort() override {}

private:
    std::vector<std::string_view> pieces_;
    Errc end_;
    Judge judge_;
    bool& encrypted_;
    std::size_t next_ = 0, used_ = 0;
    std::string input_;
    net::TlsInfo tls_{"TLSv1.3", "TLS_AES_128_GCM_SHA256", false};
    net::Peer peer_{"192.0.2.7", 40000, false};
};

/// The accounts that may log in: the same for all inputs.
struct People {
    test::MemoryEngine engine;
    directory::Directory directory{engine, system_clock(), {}};
    auth::Authenticator authenticator{directory, options()};
    auth::Sasl sasl{authenticator, system_clock(), {}, nullptr};
    directory::AccountId fred;

    People() {
        log::configure(log::Level::error, log::Format::text, "");
        CHECK(test::run(directory.add_domain("a.test")));
        fred = test::run(directory.add_account("f@a.test", "{PLAIN}p"))->id;
    }
    static auth::Options options() {
        auth::Options options;
        options.failure_delay = std::chrono::milliseconds(0);
        options.failures_per_account = options.failures_per_peer = options.failures_per_pair = 0;
        return options;
    }
};

struct Session {
    std::string transcript;
    bool encrypted = false;
    std::size_t left = 0;  // messages

    Session(People& people, Options options, std::vector<std::string_view> pieces, Errc end) {
        test::MemoryEngine engine;
        mailstore::MailStore store(engine, system_clock(), {});
        for (std::size_t i = 0; i < kMessages.size(); ++i) {
            auto writer = engine.write_body();
            CHECK(test::run(writer->write(kMessages[i])));
            auto staged = *test::run(writer->finish());
            mailstore::NewMessage message{"", {staged, kMessages[i].size() - kStuffed[i]}, fmt::format("id{}", i)};
            CHECK(test::run(store.append(people.fred, std::move(message))));
        }
        auth::OpenSessions open_sessions;
        auth::DeviceUses device_uses(people.directory, system_clock());
        LoginDelays delays;
        Announced announced(options.policy);
        activity::Ledger ledger(engine, system_clock(), {});
        session::LoginServices logins{people.authenticator, people.sasl, open_sessions,
                                      device_uses,          ledger,      session::AllowPlaintext::always};
        Services services{logins, store, delays, announced};
        auto connection = std::make_unique<Fed>(std::move(pieces), end, transcript, encrypted);
        test::run(serve(std::move(connection), services, options, "fuzz"));
        CHECK(open_sessions.count() == 0);
        CHECK(test::run(store.open_maildrop(people.fred)));  // free again
        CHECK(test::run(store.check(people.fred)));
        left = test::run(store.totals(people.fred))->messages;
    }
};

void check(fuzz::Input input) {
    static auto& people = *new People;
    static const std::max_align_t nothing{};
    std::uint32_t seed = input.number();
    auto flags = input.number();
    Options options;
    options.bad_commands = 1 + flags % 32;
    if (flags & 32) options.policy.expire_days = 0;
    if (flags & 64)
        options.tls = [] {
            return std::shared_ptr<const net::TlsContext>(std::shared_ptr<const void>(),
                                                          reinterpret_cast<const net::TlsContext*>(&nothing));
        };
    std::string octets = flags & 128 ? "USER f@a.test\r\nPASS p\r\n" : "";
    octets += input.rest();
    const Errc end = seed % 3 == 0 ? Errc::closed : seed % 3 == 1 ? Errc::timed_out : Errc::cancelled;

    Session whole(people, options, {octets}, end);
    Session cut(people, options, fuzz::cut(octets, seed), end);
    // Octets behind STLS are discarded, and where the input is cut says how many those are.
    if (!whole.encrypted && !cut.encrypted) CHECK(whole.transcript == cut.transcript && whole.left == cut.left);
    auto last = whole.transcript.rfind("\r\n", whole.transcript.size() - 3);
    bool quit = whole.transcript.substr(last == std::string::npos ? 0 : last + 2).starts_with("+OK ");
    CHECK(quit || whole.left == kMessages.size());
}

}  // namespace
}  // namespace poplar::pop3

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 20'000) return 0;
    poplar::pop3::check(poplar::fuzz::Input(data, size));
    return 0;
}
