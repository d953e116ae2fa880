#include "bench/load/null.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "bench/load/listen.h"

namespace poplar::bench {

namespace {

/// One thread: its loop, its file, its listening sockets.
struct NullThread {
    Loop loop;
    std::optional<Sink> sink;
    std::vector<std::unique_ptr<Acceptor>> acceptors;
};

/// Listens on the addresses for one thread; replaces port 0 by what the system chose, for the threads after it.
void listen_all(NullThread& thread, std::vector<std::string>& addresses, const std::function<void(int)>& take) {
    for (std::string& address : addresses) {
        auto endpoint = Endpoint::parse(address);
        if (!endpoint) throw std::runtime_error(endpoint.error().detail());
        auto listening = listen_on(*endpoint);
        if (!listening) throw std::runtime_error(fmt::format("{}: {}", address, listening.error().detail()));
        address = address_of(*listening);
        thread.acceptors.push_back(std::make_unique<Acceptor>(thread.loop, std::move(*listening), take));
    }
}

}  // namespace

int run_null(const NullOptions& options) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    CannedMaildrop maildrop(options.messages, options.size);
    SslContext tls = server_tls(options.certificate, options.key);
    auto pop3 = options.pop3, pop3s = options.pop3s, lmtp = options.lmtp;
    std::vector<std::unique_ptr<NullThread>> all;
    for (unsigned i = 0; i < options.threads; ++i) {
        NullThread& thread = *all.emplace_back(std::make_unique<NullThread>());
        auto serve = [&thread, &maildrop, &tls](Implicit implicit) {
            return [&thread, &maildrop, &tls, implicit](int accepted) {
                serve_pop3(thread.loop, accepted, maildrop, tls.get(), implicit);
            };
        };
        listen_all(thread, pop3, serve(Implicit::no));
        listen_all(thread, pop3s, serve(Implicit::yes));
        if (lmtp.empty()) continue;
        thread.sink.emplace(i == 0 ? options.sink : fmt::format("{}.{}", options.sink, i));
        listen_all(thread, lmtp, [&thread](int accepted) { serve_lmtp(thread.loop, accepted, *thread.sink); });
    }
    std::vector<std::thread> threads;
    for (auto& thread : all)
        threads.emplace_back([&thread = *thread] {
            if (thread.sink)
                thread.loop.run([&thread] { thread.sink->sync(); });
            else
                thread.loop.run();
        });
    nlohmann::json ready = {{"ready", true}, {"pid", getpid()}, {"pop3", pop3}, {"pop3s", pop3s}, {"lmtp", lmtp}};
    fmt::print("{}\n", ready.dump());
    std::fflush(stdout);

    int signal = 0;
    sigwait(&ends, &signal);
    for (auto& thread : all) thread->loop.stop();
    for (auto& thread : threads) thread.join();
    return 0;
}

}  // namespace poplar::bench
