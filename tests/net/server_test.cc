// Listening sockets, and a server on them: sessions, limits, TLS, memory of idle connections, and the end.
#include "net/server.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <thread>

#include "net/ticket_keys.h"
#include "tests/support/net_client.h"
#include "tests/support/run.h"
#include "tests/support/test_certificate.h"

namespace {

using namespace poplar;
using namespace poplar::net;
using namespace std::chrono_literals;
using test::NetClient;

TEST(ParseAddress, AcceptsEveryDocumentedForm) {
    struct Case {
        std::string_view spec, text;
    };
    for (auto [spec, text] : {Case{"127.0.0.1:24", "127.0.0.1:24"},
                              {"[::]:110", "[::]:110"},
                              {"*:25", "[::]:25"},
                              {"[::1]:0", "[::1]:0"},
                              {"localhost:1110", "127.0.0.1:1110"},
                              {"0.0.0.0:65535", "0.0.0.0:65535"},
                              {"unix:/run/p.sock", "unix:/run/p.sock"}}) {
        auto address = parse_address(spec);
        ASSERT_TRUE(address) << address.error().detail();
        EXPECT_EQ(address->text(), text);
    }
}

TEST(ParseAddress, RefusesEverythingElse) {
    for (std::string_view spec : {"", "110", ":110", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                                  "127.0.0.1:-1", "127.0.0.1:1 ", "::1:110", "[127.0.0.1]:110", "[::1]", "[::1:110",
                                  "mail.example.org:110", "unix:", "unix:relative", "[*]:110", "256.0.0.1:110"}) {
        auto address = parse_address(spec);
        ASSERT_FALSE(address) << spec;
        EXPECT_EQ(address.error().code(), Errc::invalid);
    }
}

TEST(ListenOn, SaysWhenAPortIsInUseAlthoughPortsAreShared) {
    auto first = listen_on(parse_address("127.0.0.1:0").value(), {.workers = 2});
    ASSERT_TRUE(first) << first.error().detail();
    EXPECT_EQ(first->sockets.size(), 2u);
    ASSERT_NE(first->address.port, 0);
    auto second = listen_on(first->address, {.workers = 2});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Errc::busy);
    EXPECT_EQ(second.error().detail(), first->address.text() + ": address already in use");
}

TEST(ListenOn, NamesAnAddressThatIsNotOurs) {
    auto listener = listen_on(parse_address("192.0.2.1:2525").value(), {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().detail(), "192.0.2.1:2525: this machine has no such address");
}

TEST(ListenOn, TheAnyAddressTakesIpv4Too) {
    auto listener = listen_on(parse_address("*:0").value(), {});
    ASSERT_TRUE(listener) << listener.error().detail();
    EXPECT_TRUE(NetClient::connect(listener->address.port).connected());
}

TEST(ListenOn, ReplacesALocalSocketNobodyListensOnAndKeepsOneInUse) {
    auto path = std::filesystem::temp_directory_path() / ("poplar-net-test-" + std::to_string(::getpid()) + ".sock");
    auto address = parse_address("unix:" + path.string()).value();
    {
        auto killed = listen_on(address, {});
        ASSERT_TRUE(killed) << killed.error().detail();
        auto second = listen_on(address, {});
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Errc::busy);
    }
    ASSERT_TRUE(std::filesystem::exists(path));
    auto again = listen_on(address, {.workers = 3, .local_mode = 0660});
    ASSERT_TRUE(again) << again.error().detail();
    EXPECT_EQ(again->sockets.size(), 3u);
    struct stat made{};
    ASSERT_EQ(::stat(path.c_str(), &made), 0);
    EXPECT_EQ(made.st_mode & 0777, 0660u);
    std::filesystem::remove(path);

    std::FILE* file = std::fopen(path.c_str(), "w");
    std::fclose(file);
    EXPECT_FALSE(listen_on(address, {})) << "a file that is not a socket was taken away";
    std::filesystem::remove(path);
}

// A name in a folder of somebody else may be another file by the time of a chmod.
TEST(ListenOn, GivesALocalSocketItsModeWithoutNamingItAgain) {
    auto folder = std::filesystem::temp_directory_path() / ("poplar-net-test-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    FileDescriptor changes(::inotify_init1(IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(changes.get(), folder.c_str(), IN_ATTRIB), 0);
    for (mode_t mode : {0600u, 0660u, 0666u}) {
        auto path = folder / std::to_string(mode);
        auto listener = listen_on(parse_address("unix:" + path.string()).value(), {.local_mode = mode});
        ASSERT_TRUE(listener) << listener.error().detail();
        struct stat made{};
        ASSERT_EQ(::stat(path.c_str(), &made), 0);
        EXPECT_EQ(made.st_mode & 0777, mode);
    }
    char event[4096];
    EXPECT_EQ(::read(changes.get(), event, sizeof event), -1) << "a socket's attributes were changed by its name";
    std::filesystem::remove_all(folder);
}

TEST(AdoptListener, TakesAListeningSocketAndNothingElse) {
    auto bound = listen_on(parse_address("127.0.0.1:0").value(), {});
    ASSERT_TRUE(bound);
    auto port = bound->address.port;
    auto adopted = adopt_listener(bound->sockets[0].release(), 2);
    ASSERT_TRUE(adopted) << adopted.error().detail();
    EXPECT_EQ(adopted->address.text(), "127.0.0.1:" + std::to_string(port));
    EXPECT_EQ(adopted->sockets.size(), 2u);
    EXPECT_TRUE(adopted->inherited);
    EXPECT_FALSE(adopt_listener(::socket(AF_INET, SOCK_STREAM, 0), 1));
}

/// Answers each line with itself; says goodbye when the server stops.
Task<> echo(std::unique_ptr<Connection> connection) {
    (void)co_await connection->write("ready\r\n");
    for (;;) {
        auto line = co_await connection->read_line(100, 60s);
        if (!line && line.error().code() == Errc::cancelled) (void)co_await connection->write("stopping\r\n");
        if (!line) break;
        if (*line == "throw") throw std::runtime_error("a bug");
        auto reply = std::string(*line) + "\r\n";
        (void)co_await connection->write(reply);
    }
    co_await connection->close();
}

class ServerTest : public testing::Test {
protected:
    void start(ServerLimits limits, Service service = {"echo", "busy\r\n", echo, {}}) {
        auto listener = listen_on(parse_address("127.0.0.1:0").value(), {.workers = workers_.size()});
        ASSERT_TRUE(listener) << listener.error().detail();
        port_ = listener->address.port;
        server_.emplace(workers_, limits);
        server_->add(std::move(*listener), std::move(service));
        workers_.start();
    }
    bool idle(std::chrono::milliseconds patience = 5s) { return test::run(server_->idle(patience)); }
    ~ServerTest() override {
        if (!server_) return;
        server_->stop_accepting();
        server_->close_all();
        EXPECT_TRUE(idle());
        workers_.stop();
    }

    Workers workers_{2};
    std::optional<Server> server_;
    std::uint16_t port_ = 0;
};

TEST_F(ServerTest, ServesManyAtOnce) {
    start({});
    std::vector<NetClient> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(NetClient::connect(port_));
    for (auto& client : clients) EXPECT_EQ(client.read_line(), "ready");
    EXPECT_EQ(server_->live(), 50u);
    for (auto& client : clients) client.send("hello\r\n");
    for (auto& client : clients) EXPECT_EQ(client.read_line(), "hello");
    clients.clear();
    EXPECT_TRUE(idle());
    EXPECT_EQ(server_->counters().accepted, 50u);
}

TEST_F(ServerTest, RefusesInTheProtocolsWordsOverTheTotalLimit) {
    ServerLimits limits;
    limits.connections = 2;
    start(limits);
    std::optional<NetClient> first(NetClient::connect(port_)), second(NetClient::connect(port_));
    EXPECT_EQ(first->read_line(), "ready");
    EXPECT_EQ(second->read_line(), "ready");
    EXPECT_EQ(NetClient::connect(port_).read_all(), "busy\r\n");
    EXPECT_EQ(server_->counters().refused_total, 1u);
    first.reset();
    second.reset();
    EXPECT_TRUE(idle());
    EXPECT_EQ(NetClient::connect(port_).read_line(), "ready");
}

TEST_F(ServerTest, LimitsConnectionsOfAPeer) {
    ServerLimits limits;
    limits.connections_per_peer = 1;
    limits.limit_loopback_peers = true;
    start(limits);
    auto first = NetClient::connect(port_);
    EXPECT_EQ(first.read_line(), "ready");
    EXPECT_EQ(NetClient::connect(port_).read_all(), "busy\r\n");
    EXPECT_EQ(server_->counters().refused_peer, 1u);
}

TEST_F(ServerTest, DoesNotLimitLoopbackPeersUnlessTold) {
    ServerLimits limits;
    limits.connections_per_peer = 1;
    start(limits);
    auto first = NetClient::connect(port_), second = NetClient::connect(port_);
    EXPECT_EQ(first.read_line(), "ready");
    EXPECT_EQ(second.read_line(), "ready");
}

TEST_F(ServerTest, AnExceptionEndsOnlyItsSession) {
    start({});
    auto bad = NetClient::connect(port_), good = NetClient::connect(port_);
    EXPECT_EQ(bad.read_line(), "ready");
    bad.send("throw\r\n");
    EXPECT_EQ(bad.read_all(), "");
    good.send("fine\r\n");
    EXPECT_EQ(good.read_line(), "ready");
    EXPECT_EQ(good.read_line(), "fine");
}

// A session's own facts are seen, and it can be ended, from any thread.
TEST_F(ServerTest, ListsItsSessionsAndEndsOne) {
    static std::atomic<int> number;
    number = 0;
    auto named = [](std::unique_ptr<Connection> connection) -> Task<> {
        auto& facts = connection->session();
        facts.id = "s" + std::to_string(++number);
        facts.account = facts.id == "s2" ? "fred@example.org" : "";
        facts.end = [&peer = *connection] { peer.abort(); };
        return echo(std::move(connection));
    };
    start({}, {"echo", "busy\r\n", named, {}});
    auto first = NetClient::connect(port_);
    EXPECT_EQ(first.read_line(), "ready");
    auto second = NetClient::connect(port_);
    EXPECT_EQ(second.read_line(), "ready");
    auto third = NetClient::connect(port_);
    EXPECT_EQ(third.read_line(), "ready");
    auto all = test::run(server_->sessions("", 10));
    ASSERT_EQ(all.some.size(), 3u);
    EXPECT_FALSE(all.more);
    EXPECT_EQ(all.some[0].id, "s1") << "the oldest first";
    EXPECT_EQ(all.some[0].service, "echo");
    EXPECT_EQ(all.some[0].peer, "127.0.0.1");
    EXPECT_TRUE(test::run(server_->sessions("", 2)).more);
    auto freds = test::run(server_->sessions("fred@example.org", 10));
    ASSERT_EQ(freds.some.size(), 1u);
    EXPECT_EQ(freds.some[0].id, "s2");
    EXPECT_FALSE(test::run(server_->end_session("s9")));
    EXPECT_FALSE(test::run(server_->end_session("")));
    auto ended = test::run(server_->end_session("s2"));
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->account, "fred@example.org");
    EXPECT_EQ(second.read_all(), "");
    first.send("still here\r\n");
    EXPECT_EQ(first.read_line(), "still here");
}

TEST_F(ServerTest, LetsOnlyProxiesInWhereItIsTold) {
    Service service{"echo", "busy\r\n", echo, {}};
    service.proxies = *Networks::parse(std::vector<std::string>{"192.0.2.0/24"});
    service.proxies_only = true;
    start({}, std::move(service));
    auto stranger = NetClient::connect(port_);
    EXPECT_EQ(stranger.read_all(), "") << "not a word";
    EXPECT_EQ(server_->counters().accepted, 0u);
}

TEST_F(ServerTest, DrainingLetsSessionsSayGoodbye) {
    start({});
    auto first = NetClient::connect(port_), second = NetClient::connect(port_);
    EXPECT_EQ(first.read_line(), "ready");
    EXPECT_EQ(second.read_line(), "ready");
    server_->stop_accepting();
    EXPECT_FALSE(idle(50ms));
    server_->drain();
    EXPECT_EQ(first.read_all(), "stopping\r\n");
    EXPECT_EQ(second.read_all(), "stopping\r\n");
    EXPECT_TRUE(idle());
    EXPECT_FALSE(NetClient::connect(port_).connected());
}

TEST_F(ServerTest, BeginsWithTheHandshakeOnAnImplicitTlsPort) {
    test::TestCertificate certificate;
    CurrentTls current;
    current.set(TlsContext::load({certificate.certificate(), certificate.private_key()}).value());
    start({}, {"echos", "busy\r\n", echo, [&] { return current.get(); }});
    auto client = NetClient::connect(port_);
    ASSERT_TRUE(client.start_tls());
    EXPECT_EQ(client.read_line(), "ready");
    auto plain = NetClient::connect(port_);
    plain.send("this is not a handshake\r\n");
    EXPECT_EQ(plain.read_line().find("ready"), std::string::npos);
}

/// Tells whether the TLS session was continued.
Task<> tell_resumption(std::unique_ptr<Connection> connection) {
    (void)co_await connection->write(connection->tls()->resumed ? "resumed\r\n" : "new\r\n");
    co_await connection->close();
}

TEST_F(ServerTest, ContinuesTlsSessionsByTicketsAcrossConnections) {
    test::TestCertificate certificate;
    CurrentTls current;
    current.set(TlsContext::load({certificate.certificate(), certificate.private_key()}).value());
    start({}, {"tell", "busy\r\n", tell_resumption, [&] { return current.get(); }});
    auto first = NetClient::connect(port_);
    ASSERT_TRUE(first.start_tls());
    EXPECT_EQ(first.read_all(), "new\r\n");
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(first.tls_session(), SSL_SESSION_free);
    auto second = NetClient::connect(port_);
    ASSERT_TRUE(second.start_tls(session.get()));
    EXPECT_EQ(second.read_all(), "resumed\r\n");
}

TEST_F(ServerTest, TicketsOutliveAReloadButNotTheirKeysNorWhatDecidedOnCertificates) {
    test::TestCertificate certificate, other;
    auto load = [&](std::string client_ca, const char* ciphers = kStrictCiphers) {
        return TlsContext::load({certificate.certificate(), certificate.private_key(), std::move(client_ca), ciphers})
            .value();
    };
    CurrentTls current;
    current.set(load(""));
    start({}, {"tell", "busy\r\n", tell_resumption, [&] { return current.get(); }});
    using Ticket = std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)>;
    std::deque<NetClient> clients;  // a session is given up with its connection
    auto visit = [&](std::string expected, const Ticket& ticket) {
        auto& client = clients.emplace_back(NetClient::connect(port_));
        EXPECT_TRUE(client.start_tls(ticket.get()));
        EXPECT_EQ(client.read_all(), expected + "\r\n");
        return Ticket(client.tls_session(), SSL_SESSION_free);
    };
    auto ticket = visit("new", Ticket(nullptr, SSL_SESSION_free));
    current.set(load(""));
    auto renewed = visit("resumed", ticket);
    SteadyClock::move(TicketKeys::kUsed);
    EXPECT_TRUE(visit("resumed", renewed));
    SteadyClock::move(TicketKeys::kAccepted);
    visit("new", renewed);

    current.set(load(certificate.certificate()));
    ticket = visit("new", Ticket(nullptr, SSL_SESSION_free));
    current.set(load(certificate.certificate()));
    ticket = visit("resumed", ticket);
    current.set(load(other.certificate()));
    ticket = visit("new", ticket);
    current.set(load(other.certificate(), kOpportunisticCiphers));
    visit("new", ticket);
}

TEST_F(ServerTest, LeavesDescriptorsForTheStore) {
    rlimit old{};
    getrlimit(RLIMIT_NOFILE, &old);
    rlimit few{200, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    start({});
    std::vector<NetClient> clients;
    std::string said = "ready";
    while (said == "ready" && clients.size() < 90) {
        clients.push_back(NetClient::connect(port_));
        said = clients.back().read_line();
    }
    EXPECT_EQ(said, "busy");
    EXPECT_GT(clients.size(), 20u);
    std::vector<FileDescriptor> files;
    for (int i = 0; i < 80; ++i) files.emplace_back(::dup(0));
    EXPECT_TRUE(files.back()) << "the store can still open files";
    setrlimit(RLIMIT_NOFILE, &old);
}

TEST_F(ServerTest, WaitsForDescriptorsInsteadOfSpinningOrDying) {
    start({});
    auto before = NetClient::connect(port_);
    EXPECT_EQ(before.read_line(), "ready");
    NetClient waiting{FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    rlimit old{};
    getrlimit(RLIMIT_NOFILE, &old);
    rlimit none{static_cast<rlim_t>(waiting.fd()), old.rlim_max};  // no free descriptor below it
    std::vector<FileDescriptor> gaps;
    while (true) {
        FileDescriptor gap(::dup(waiting.fd()));
        if (gap.get() > waiting.fd()) break;
        gaps.push_back(std::move(gap));
    }
    setrlimit(RLIMIT_NOFILE, &none);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(waiting.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    timespec start_cpu{}, end_cpu{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start_cpu);
    before.send("still served\r\n");
    EXPECT_EQ(before.read_line(), "still served");
    std::this_thread::sleep_for(300ms);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end_cpu);
    auto used = (end_cpu.tv_sec - start_cpu.tv_sec) * 1000 + (end_cpu.tv_nsec - start_cpu.tv_nsec) / 1'000'000;
    EXPECT_LT(used, 150) << "milliseconds of processor time while waiting";
    setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_EQ(waiting.read_line(), "ready");
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POPLAR_OTHER_ALLOCATOR
#endif
#endif
#ifndef POPLAR_OTHER_ALLOCATOR
/// Octets of heap that a connection and its session hold while the peer says nothing.
class IdleMemory : public ServerTest {
protected:
    template <class Prepare>
    std::size_t per_connection(Prepare prepare) {
        constexpr std::size_t kConnections = 200;
        std::vector<NetClient> clients;
        clients.reserve(2 * kConnections);
        auto more = [&] {
            for (std::size_t i = 0; i < kConnections; ++i) {
                clients.push_back(NetClient::connect(port_));
                prepare(clients.back());
                // Buffers that were large once must be small again.
                clients.back().send(std::string(90, 'x') + "\r\n");
                EXPECT_EQ(clients.back().read_line(), "ready");
                EXPECT_EQ(clients.back().read_line(), std::string(90, 'x'));
                clients.back().leave_tls();
            }
            return mallinfo2().uordblks;
        };
        auto before = more();
        return (more() - before) / kConnections;
    }
};

TEST_F(IdleMemory, OfAPlainConnectionIsWellUnder8Kb) {
    start({});
    auto octets = per_connection([](NetClient&) {});
    RecordProperty("octets", static_cast<int>(octets));
    EXPECT_LT(octets, 6'000u);
}

TEST_F(IdleMemory, OfATlsConnectionIsNear30Kb) {
    test::TestCertificate certificate;
    CurrentTls current;
    current.set(TlsContext::load({certificate.certificate(), certificate.private_key()}).value());
    start({}, {"echos", "busy\r\n", echo, [&] { return current.get(); }});
    auto octets = per_connection([](NetClient& client) { EXPECT_TRUE(client.start_tls()); });
    RecordProperty("octets", static_cast<int>(octets));
    EXPECT_LT(octets, 36'000u);
}
#endif

TEST(Server, RemovesALocalSocketsFileWhenItStops) {
    auto path = std::filesystem::temp_directory_path() / ("poplar-server-test-" + std::to_string(::getpid()) + ".sock");
    Workers workers(2);
    Server server(workers, {});
    auto listener = listen_on(parse_address("unix:" + path.string()).value(), {.workers = 2});
    ASSERT_TRUE(listener) << listener.error().detail();
    server.add(std::move(*listener), {"echo", "busy\r\n", echo, {}});
    workers.start();
    {
        auto client = NetClient::connect_local(path.string());
        EXPECT_EQ(client.read_line(), "ready");
    }
    server.stop_accepting();
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(test::run(server.idle(5s)));
    workers.stop();
}

}  // namespace
