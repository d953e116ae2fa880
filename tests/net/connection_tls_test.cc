// A Connection with TLS: the upgrade, its records however they are cut, and its end.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

#include "net/handshakes.h"
#include "net/tls.h"
#include "tests/net/connection_world.h"
#include "tests/support/moved_time.h"
#include "tests/support/test_certificate.h"

namespace poplar::net {
namespace {

TEST_F(ConnectionTest, RepliesOverTlsComeWholeHoweverFastThePeerTakesThem) {
    shake(*context_of(test::TestCertificate()));
    std::string text, sent;
    for (int i = 0; text.size() < 50'000; ++i) text += std::to_string(i) + "\r\n";
    const std::string_view pieces[] = {"+OK\r\n", text, ".\r\n"};
    std::string received;
    std::thread reader([&] { received = client_->read_all(); });
    auto write = [](Connection& to, std::span<const std::string_view> reply) -> Task<> {
        for (int i = 0; i < 200; ++i)
            if (!to.try_write_all(reply)) EXPECT_TRUE(co_await to.write_all(reply));
        co_await to.close();
    };
    run(write(*server_, pieces));
    reader.join();
    for (int i = 0; i < 200; ++i) sent += "+OK\r\n" + text + ".\r\n";
    EXPECT_TRUE(received == sent) << received.size() << " octets of " << sent.size();
}

TEST_F(ConnectionTest, WaitsForAPeerThatHasAgreedToPartOnlyIfItSaidSomethingMore) {
    struct Case {
        bool tls;
        std::string more;
    };
    test::TestCertificate certificate;
    for (const auto& [tls, more] : {Case{false, ""}, {false, "NOOP\r\n"}, {true, ""}, {true, "NOOP\r\n"}}) {
        SCOPED_TRACE(fmt::format("{}, \"{}\"", tls ? "TLS" : "plain", more));
        connect();
        if (tls) shake(*context_of(certificate));
        greet();
        auto record = [&](std::string_view text) { return tls ? client_->records(text) : std::string(text); };
        client_->send_octets(record("QUIT\r\n") + (more.empty() ? "" : record(more)));
        EXPECT_EQ(line(), "QUIT");
        EXPECT_TRUE(run(server_->write("+OK bye\r\n")));
        bool closed = false;
        auto on_end = [&](std::exception_ptr) { closed = true; };
        asio::co_spawn(context_, server_->close(Parting::agreed), on_end);
        context_.restart();
        context_.poll();
        EXPECT_EQ(closed, more.empty());
        EXPECT_EQ(client_->read_all(), "+OK bye\r\n");
        if (tls) EXPECT_TRUE(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN) << "a goodbye";
        while (!closed) context_.run_one();
    }
}

// The peer's goodbye in TLS comes at once behind QUIT, and the peer reads late: closing meanwhile would send a reset.
TEST_F(ConnectionTest, APeerThatSaysGoodbyeEarlyGetsAllReplies) {
    std::string message;
    for (int i = 0; message.size() < 60'000; ++i) message += std::to_string(i) + "\r\n";
    for (int receive_buffer : {8'192, 200'000}) {
        SCOPED_TRACE(receive_buffer);
        connect_by_tcp(receive_buffer);
        shake(*context_of(test::TestCertificate()));
        greet();
        client_->send("RETR 1\r\nQUIT\r\n");
        EXPECT_EQ(line(), "RETR 1");
        const std::string_view reply[] = {"+OK\r\n", message, ".\r\n"};
        EXPECT_TRUE(run(server_->write_all(reply)));
        EXPECT_EQ(line(), "QUIT");
        SSL_shutdown(client_->tls());
        EXPECT_TRUE(run(server_->write("+OK bye\r\n")));
        std::string got;
        std::thread reader([&] {
            std::this_thread::sleep_for(50ms);
            got = client_->read_all();
        });
        run(server_->close(Parting::agreed));
        reader.join();
        EXPECT_TRUE(got == "+OK\r\n" + message + ".\r\n+OK bye\r\n") << got.size() << " octets";
    }
}

TEST_F(ConnectionTest, SaysGoodbyeInTlsEvenIfNobodySaidAnything) {
    shake(*context_of(test::TestCertificate()));
    run(server_->close());
    EXPECT_EQ(client_->read_all(), "");
    EXPECT_TRUE(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN);
}

TEST_F(ConnectionTest, BindsToItsTlsConnectionAsTheClientDoes) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    EXPECT_EQ(server_->channel_binding("tls-exporter"), "") << "plain";
    EXPECT_EQ(server_->channel_binding("tls-server-end-point"), "");
    std::string exported(32, '\0'), end_point(32, '\0');
    std::thread peer([&] {
        client_->start_tls();
        // RFC 9266 s2, and RFC 5929 s4.1 with the certificate's own hash, SHA-256.
        constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
        auto octets = [](std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); };
        SSL_export_keying_material(client_->tls(), octets(exported), 32, kLabel.data(), kLabel.size(), nullptr, 0, 0);
        X509_digest(SSL_get0_peer_certificate(client_->tls()), EVP_sha256(), octets(end_point), nullptr);
    });
    EXPECT_TRUE(run(server_->start_tls(*context, 5s)));
    peer.join();
    EXPECT_NE(exported, std::string(32, '\0'));
    EXPECT_EQ(server_->channel_binding("tls-exporter"), exported);
    EXPECT_EQ(server_->channel_binding("tls-server-end-point"), end_point);
    EXPECT_EQ(server_->channel_binding("tls-unique"), "") << "TLS 1.3 has none";
    EXPECT_TRUE(server_->tls()->certificate_addresses.empty());
}

TEST_F(ConnectionTest, SpeaksTlsAfterTheUpgrade) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    EXPECT_EQ(server_->tls(), nullptr);
    std::string echoed, ended;
    bool shaken = false;
    std::thread peer([&] {
        shaken = client_->start_tls();
        client_->send("hello over TLS\r\n");
        echoed = client_->read_line();
        ended = client_->read_all();
    });
    auto upgraded = run(server_->start_tls(*context, 5s));
    EXPECT_TRUE(upgraded) << upgraded.error().detail();
    EXPECT_EQ(line(), "hello over TLS");
    EXPECT_TRUE(run(server_->write("and back\r\n")));
    EXPECT_TRUE(run(server_->write(std::string(300'000, 'x'))));
    run(server_->close());
    peer.join();
    EXPECT_TRUE(shaken);
    EXPECT_EQ(echoed, "and back");
    EXPECT_TRUE(ended == std::string(300'000, 'x'));
    ASSERT_NE(server_->tls(), nullptr);
    EXPECT_EQ(server_->tls()->version, "TLSv1.3");
    EXPECT_FALSE(server_->tls()->cipher.empty());
}

// Half a header, half a record, a record and half of the next: each piece is received before the next is sent.
TEST_F(ConnectionTest, ReadsAllOfTlsWhereverItsRecordsAreCut) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    shake(*context);
    const std::string words[] = {"LIST 1\r\n", "NO", "OP\r\n"};
    for (std::size_t cut = 1;; ++cut) {
        std::string octets, text;
        for (const auto& word : words) {
            octets += client_->records(word);
            text += word;
        }
        if (cut >= octets.size()) break;
        client_->send_octets(std::string_view(octets).substr(0, cut));
        when_idle([&] { client_->send_octets(std::string_view(octets).substr(cut)); });
        ASSERT_EQ(run(octets_of(*server_, text.size())), text) << "cut at " << cut << " of " << octets.size();
    }
}

// Lines and blocks by turns: they wait with different room for what comes.
TEST_F(ConnectionTest, ReadsAllOfTlsHoweverMuchComesAtOnce) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    shake(*context);
    std::minstd_rand random(1);
    for (int round = 0; round < 40; ++round) {
        std::string octets, text;
        while (octets.size() < 50'000) {
            std::string word(1 + random() % (random() % 8 == 0 ? 16'384 : 300), static_cast<char>('a' + random() % 26));
            octets += client_->records(word);
            text += word;
        }
        octets += client_->records("\r\n");
        std::vector<std::string> pieces;
        for (std::string_view rest = octets; !rest.empty();) {
            auto some = std::min<std::size_t>(rest.size(), 1 + random() % (random() % 2 == 0 ? 700 : 20'000));
            pieces.emplace_back(rest.substr(0, some));
            rest.remove_prefix(some);
        }
        send_when_idle(std::move(pieces));
        if (round % 2 == 0)
            ASSERT_TRUE(line(text.size() + 2) == text) << "round " << round;
        else
            ASSERT_TRUE(run(octets_of(*server_, text.size() + 2)) == text + "\r\n") << "round " << round;
    }
}

// CVE-2011-0411: what was injected before the handshake must not be obeyed after it. RFC 2595 s4.
TEST_F(ConnectionTest, DiscardsPlaintextReceivedBeforeTheHandshake) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    client_->send("STLS\r\nDELE 1\r\nDELE 2\r\n");
    EXPECT_EQ(line(), "STLS");
    std::thread peer([&] {
        EXPECT_TRUE(client_->start_tls());
        client_->send("CAPA\r\n");
    });
    EXPECT_TRUE(run(server_->start_tls(*context, 5s)));
    EXPECT_EQ(line(), "CAPA");
    peer.join();
}

TEST_F(ConnectionTest, AHandshakeHasADeadlineAndAFailedOneEndsTheConnection) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    when_idle([this] { test::pass_time(context_, 30s); });
    auto shaken = run(server_->start_tls(*context, 30s));
    ASSERT_FALSE(shaken);
    EXPECT_EQ(shaken.error().code(), Errc::timed_out);
    EXPECT_EQ(line(), "<closed>");
}

TEST_F(ConnectionTest, AHandshakeWaitsForItsTurnAndIsRefusedIfThatIsFar) {
    test::TestCertificate certificate;
    const auto context = context_of(certificate);
    Handshakes handshakes({.handshakes_per_peer = 1, .handshakes_per_network = 100});
    auto come = [&] {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        server_ = make_connection(context_.get_executor(), FileDescriptor(ends[0]), Peer{"192.0.2.1", 1, false},
                                  {.handshakes = &handshakes});
        client_.emplace(FileDescriptor(ends[1]));
    };
    for (int i = 0; i < 7; ++i) (void)handshakes.begin({"192.0.2.1", 1, false});
    come();
    auto shake_hands = [](Connection& connection, const TlsContext& tls) -> Task<> {
        EXPECT_TRUE(co_await connection.start_tls(tls, 60s));
    };
    std::thread peer([&] { EXPECT_TRUE(client_->start_tls()); });
    EXPECT_EQ(
        test::seconds_of(context_, shake_hands(*server_, *context), [] { std::this_thread::sleep_for(5ms); }) >= 3,
        true);
    peer.join();

    for (int i = 0; i < 20; ++i) (void)handshakes.begin({"192.0.2.1", 1, false});
    come();
    auto refused = run(server_->start_tls(*context, 60s));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::busy);
    EXPECT_EQ(line(), "<closed>");
}

TEST_F(ConnectionTest, GarbageInsteadOfAHandshakeIsClosed) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    client_->send("EHLO this is not TLS\r\n");
    auto shaken = run(server_->start_tls(*context, 5s));
    ASSERT_FALSE(shaken);
    EXPECT_EQ(shaken.error().code(), Errc::closed);
}

TEST(TlsContext, NamesTheFileThatIsWrong) {
    test::TestCertificate one, other;
    struct Case {
        TlsOptions options;
        TlsFault::Option wrong;
        std::string why;
    };
    using enum TlsFault::Option;
    const auto chain = one.certificate(), key = one.private_key();
    for (const auto& [options, wrong, why] :
         {Case{{"/nowhere/c.pem", key}, certificate, "/nowhere/c.pem: No such file or directory"},
          Case{{chain, "/nowhere/k.pem"}, private_key, "/nowhere/k.pem: No such file or directory"},
          Case{{chain, other.private_key()}, private_key, other.private_key() + ": does not belong to the certificate"},
          Case{{key, key}, certificate, key + ": holds no PEM block of this kind"},
          Case{{chain, chain}, private_key, chain + ": holds no PEM block of this kind"},
          Case{{chain, key, key}, client_ca, key + ": holds no PEM block of this kind"},
          Case{{chain, key, "", "NOSUCH"}, ciphers, "\"NOSUCH\": no cipher match"}}) {
        auto loaded = TlsContext::load(options);
        ASSERT_FALSE(loaded);
        EXPECT_EQ(loaded.error().option, wrong) << why;
        EXPECT_EQ(loaded.error().why, why);
    }
    auto good = TlsContext::load({one.certificate(), one.private_key()});
    ASSERT_TRUE(good);
    EXPECT_TRUE((*good)->not_after().ends_with("Z")) << (*good)->not_after();
}

}  // namespace
}  // namespace poplar::net
