#include "directory/outside/pooled.h"

#include "base/one_shot.h"

namespace poplar::directory::outside {

namespace {

/// The answer, or the deadline before it: the first that comes is sent.
class Race {
public:
    explicit Race(OneShot<Answer>::Sender sender) : sender_(std::move(sender)) {}

    void settle(Result<Answer> answer) {
        std::optional<OneShot<Answer>::Sender> sender;
        {
            std::lock_guard hold(mutex_);
            sender.swap(sender_);
        }
        if (sender) sender->send(std::move(answer));
    }

private:
    std::mutex mutex_;
    std::optional<OneShot<Answer>::Sender> sender_;
};

/// Settles the race of a question that the pool has dropped.
class Ticket {
public:
    explicit Ticket(std::shared_ptr<Race> race) : race_(std::move(race)) {}
    Ticket(Ticket&&) = default;
    ~Ticket() {
        if (race_) race_->settle(fail(Errc::busy, "too many questions wait"));
    }
    void settle(Result<Answer> answer) const { race_->settle(std::move(answer)); }

private:
    std::shared_ptr<Race> race_;
};

}  // namespace

Pooled::Pooled(Connect connect, std::size_t connections, std::size_t waiting)
    : connect_(std::move(connect)), pool_(connections, waiting) {}

Result<Answer> Pooled::ask_now(const Question& question) {
    std::unique_ptr<Connection> connection;
    {
        std::lock_guard hold(mutex_);
        if (!idle_.empty()) {
            connection = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    if (!connection) connection = connect_();
    auto answer = connection->ask(question);
    std::lock_guard hold(mutex_);
    idle_.push_back(std::move(connection));
    return answer;
}

Task<Result<Answer>> Pooled::ask(Question question) {
    OneShot<Answer> result;
    auto race = std::make_shared<Race>(result.sender());
    SteadyTimer timer(co_await asio::this_coro::executor, question.deadline);
    timer.async_wait([race](boost::system::error_code error) {
        if (!error) race->settle(fail(Errc::timed_out, "no answer in time"));
    });
    const auto share = question.share;
    auto work = [this, ticket = Ticket(race), question = std::move(question)] {
        if (SteadyClock::now() >= question.deadline) return;  // its asker has gone
        try {
            ticket.settle(ask_now(question));
        } catch (const std::exception& e) {
            ticket.settle(fail(Errc::io, e.what()));
        }
    };
    pool_.post(share, std::move(work));
    auto answer = co_await result.receive();
    timer.cancel();
    co_return answer;
}

}  // namespace poplar::directory::outside
