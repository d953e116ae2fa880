// The operations that connections repeat: poll, drain, deliver, or a mixture of them.
#include <cstdint>

#include "bench/load/mail_session.h"
#include "bench/load/pop3_session.h"
#include "bench/load/run.h"

namespace poplar::bench {

namespace {

constexpr std::size_t kLineBuffer = 4096, kListBuffer = 65'536, kMessageBuffer = 262'144;

/// Gives a connection its accounts: no two connections ever share one, since a maildrop is for one at a time.
class AccountsOf {
public:
    AccountsOf(const Options& options, unsigned index)
        : first_(index), step_(options.connections), count_(options.accounts.count), now_(index) {}
    std::uint64_t next() {
        auto account = now_;
        now_ += step_;
        if (now_ >= count_) now_ = first_;
        return account;
    }

private:
    std::uint64_t first_, step_, count_, now_;
};

/// With a rate: lets a connection begin its operations at even distances, each connection between the others'.
class Pace {
public:
    Pace(const Worker& worker, unsigned index) : paced_(worker.options.rate > 0) {
        if (!paced_) return;
        auto gap = std::chrono::duration<double>(1 / worker.options.rate);
        step_ = std::chrono::duration_cast<Clock::duration>(gap * worker.options.connections);
        next_ = worker.run.begun + std::chrono::duration_cast<Clock::duration>(gap * index);
    }
    bool paced() const { return paced_; }
    Clock::time_point next() { return std::exchange(next_, next_ + step_); }

private:
    bool paced_;
    Clock::duration step_{};
    Clock::time_point next_{};
};

Task<Result<>> poll_once(Pop3Session& session, Worker& worker, std::uint64_t account) {
    auto begun = Clock::now();
    if (auto done = co_await session.log_in(account); !done) co_return pass_on(done);
    if (auto done = co_await session.command("STAT\r\n"); !done) co_return pass_on(done);
    for (auto [wanted, command] :
         {std::pair{worker.options.uidl, "UIDL\r\n"}, std::pair{worker.options.list, "LIST\r\n"}}) {
        if (!wanted) continue;
        if (auto done = co_await session.command(command); !done) co_return pass_on(done);
        if (auto done = co_await session.list(); !done) co_return pass_on(done);
    }
    if (auto done = co_await session.quit(); !done) co_return pass_on(done);
    worker.finished(begun, 0);
    worker.session_ended(begun);
    co_return Result<>{};
}

Task<Result<>> drain_once(Pop3Session& session, Worker& worker, std::uint64_t account) {
    auto begun = Clock::now();
    if (auto done = co_await session.log_in(account); !done) co_return pass_on(done);
    if (auto done = co_await session.command("UIDL\r\n"); !done) co_return pass_on(done);
    auto count = co_await session.list();
    if (!count) co_return pass_on(count);
    if (auto done = co_await session.fetch(*count, worker.options.window, worker.options.remove); !done)
        co_return pass_on(done);
    if (auto done = co_await session.quit(); !done) co_return pass_on(done);
    worker.session_ended(begun);
    co_return Result<>{};
}

Task<Result<>> deliver_once(MailSession& session, Worker& worker) {
    if (!session.open())
        if (auto done = co_await session.connect(); !done) co_return pass_on(done);
    co_return co_await session.deliver(worker.run.next_message.fetch_add(1, std::memory_order_relaxed));
}

/// After a failure: nothing is repeated at once, lest a server that is gone costs us a processor.
auto breathe(Worker& worker) { return worker.loop.sleep_until(Clock::now() + std::chrono::milliseconds(20)); }

}  // namespace

Detached poll(Worker& worker, unsigned index) {
    Channel channel(worker.loop, worker.options.uidl || worker.options.list ? kListBuffer : kLineBuffer,
                    std::chrono::seconds(worker.options.timeout));
    Pop3Session session(worker, channel);
    AccountsOf accounts(worker.options, index);
    Pace pace(worker, index);
    while (worker.next()) {
        if (pace.paced()) co_await worker.loop.sleep_until(pace.next());
        auto done = co_await poll_once(session, worker, accounts.next());
        if (done) continue;
        worker.failed(done.error());
        channel.close();
        co_await breathe(worker);
    }
    worker.one_less();
}

Detached drain(Worker& worker, unsigned index) {
    Channel channel(worker.loop, kMessageBuffer, std::chrono::seconds(worker.options.timeout));
    Pop3Session session(worker, channel);
    AccountsOf accounts(worker.options, index);
    Pace pace(worker, index);
    while (worker.next()) {
        if (pace.paced()) co_await worker.loop.sleep_until(pace.next());
        auto done = co_await drain_once(session, worker, accounts.next());
        if (done) continue;
        worker.failed(done.error());
        channel.close();
        co_await breathe(worker);
    }
    worker.one_less();
}

Detached deliver(Worker& worker, unsigned index) {
    Channel channel(worker.loop, kLineBuffer, std::chrono::seconds(worker.options.timeout));
    MailSession session(worker, channel);
    Pace pace(worker, index);
    while (worker.next()) {
        if (pace.paced()) co_await worker.loop.sleep_until(pace.next());
        auto done = co_await deliver_once(session, worker);
        if (done) continue;
        worker.failed(done.error());
        channel.close();
        co_await breathe(worker);
    }
    if (session.open()) co_await session.quit();
    worker.one_less();
}

Detached mixed(Worker& worker, unsigned index) {
    const Options& options = worker.options;
    auto patience = std::chrono::seconds(options.timeout);
    Channel pop3(worker.loop, kMessageBuffer, patience), mail(worker.loop, kLineBuffer, patience);
    Pop3Session reader(worker, pop3);
    MailSession sender(worker, mail);
    AccountsOf accounts(options, index);
    Pace pace(worker, index);
    // The same proportions in any hundred operations, in an order without pattern: steps of a full-period generator.
    unsigned total = options.poll_share + options.drain_share + options.deliver_share;
    std::uint64_t random = index * 0x9E3779B97F4A7C15ULL + 1;
    while (worker.next()) {
        if (pace.paced()) co_await worker.loop.sleep_until(pace.next());
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        auto choice = static_cast<unsigned>((random >> 33) % total);
        Result<> done;
        if (choice < options.poll_share)
            done = co_await poll_once(reader, worker, accounts.next());
        else if (choice < options.poll_share + options.drain_share)
            done = co_await drain_once(reader, worker, accounts.next());
        else
            done = co_await deliver_once(sender, worker);
        if (done) continue;
        worker.failed(done.error());
        pop3.close();
        if (!sender.open()) mail.close();
        co_await breathe(worker);
    }
    if (sender.open()) co_await sender.quit();
    worker.one_less();
}

}  // namespace poplar::bench
