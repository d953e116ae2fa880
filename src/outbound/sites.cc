// Connections to destinations: how many, which job goes over which, and when a destination counts as dead.
//
// A destination begins with two connections and earns more by what it takes, so that a silent one holds few. All that
// have not taken anything yet may hold half of the connections together: those that work are never without one.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "delivery/signing.h"
#include "outbound/conversion.h"
#include "outbound/runner.h"
#include "outbound/site.h"

namespace poplar::outbound {

namespace {

constexpr auto kValues = asio::as_tuple(use_awaitable);

constexpr std::size_t kMostJobs = 1000;      // of a site; the queue keeps the others
constexpr std::uint32_t kMostBroken = 3;     // connections; then the destination is left alone for a while
constexpr std::size_t kMostDomains = 20;     // of a site that are known by name
constexpr std::size_t kMostIdleSites = 500;  // that are remembered without a job

/// The message's octets as the queue has them.
class QueuedBody final : public smtp::client::Body {
public:
    explicit QueuedBody(std::unique_ptr<engine::BodyReader> reader) : reader_(std::move(reader)) {}
    Task<Result<std::string_view>> next() override { return reader_->next(); }

private:
    std::unique_ptr<engine::BodyReader> reader_;
};

smtp::client::Envelope envelope_for(const Job& job, const Connected& connected, std::span<const std::size_t> who) {
    smtp::client::Envelope envelope;
    const auto& message = job.message;
    envelope.sender = message.sender;
    envelope.octets = message.octets;
    envelope.eight_bit = message.eight_bit;
    envelope.utf8 = message.utf8;
    // RFC 8689 s2: it is said only where the host has proved its name.
    envelope.require_tls = message.tls == queue::TlsWish::required && connected.proven;
    envelope.ret = message.ret;
    envelope.envelope_id = message.envelope_id;
    for (auto i : who) {
        const auto& one = job.part.recipients[i];
        envelope.recipients.push_back({one.address, one.notify, one.orcpt});
    }
    return envelope;
}

Reached reached_by(const smtp::client::Reply& reply, const Connected& connected, bool relayed) {
    Reached reached;
    reached.how = reply.positive()    ? Reached::How::delivered
                  : reply.permanent() ? Reached::How::failed
                                      : Reached::How::later;
    reached.reply = reply.shown();
    reached.status = reply.status;
    reached.host = connected.host;
    reached.tls = connected.tls;
    if (!connected.tls.empty() && !connected.because.empty()) {
        reached.reply += fmt::format(" [{} by {}]", connected.tls, connected.because);
        reached.tls += fmt::format(" ({})", connected.because);
    }
    reached.relayed = relayed;
    return reached;
}

}  // namespace

void Runner::bring(const Destination& destination, Job job) {
    if (stopped_) return;
    if (sites_.size() > kMostIdleSites)
        std::erase_if(sites_, [](const auto& one) {
            return one.second->open == 0 && one.second->jobs.empty() && one.second->dead_until < SteadyClock::now();
        });
    auto& site = sites_[destination.key];
    if (!site) site = std::make_shared<Site>(destination);
    auto& domains = site->destination.domains;
    for (const auto& domain : destination.domains)
        if (domains.size() < kMostDomains && std::ranges::find(domains, domain) == domains.end())
            domains.push_back(domain);
    if (site->dead_until > SteadyClock::now()) return spawn(refuse(std::move(job), site->why));
    if (site->jobs.size() >= kMostJobs) return leave_to_queue();
    site->jobs.push_back(std::move(job));
    open_more(site);
}

void Runner::open_more(const std::shared_ptr<Site>& site) {
    if (stopped_ || site->jobs.empty() || site->wake_one()) return;
    auto most = site->destination.route.connections;
    if (most == 0) most = options_.connections_per_destination;
    if (site->open >= std::min<std::size_t>(site->limit, most)) return;
    const bool room = connections_ < options_.connections &&
                      (site->proven || unproven_ < std::max<std::size_t>(1, options_.connections / 2));
    if (!room) {
        if (!std::exchange(site->queued, true)) waiting_sites_.push_back(site);
        return;
    }
    const bool unproven = !site->proven;
    ++site->open, ++connections_, unproven_ += unproven;
    spawn(serve(site, unproven));
}

/// One connection, from its making to its end, with its place among those that may be open.
Task<> Runner::serve(std::shared_ptr<Site> site, bool unproven) {
    std::unique_ptr<Connected> connected;
    std::exception_ptr failure;
    try {
        co_await use_connection(site, connected);
    } catch (...) {
        failure = std::current_exception();
    }
    if (connected) --site->standing;
    connected.reset();
    --site->open, --connections_, unproven_ -= unproven;
    while (!waiting_sites_.empty() && connections_ < options_.connections) {
        auto next = std::move(waiting_sites_.front());
        waiting_sites_.pop_front();
        next->queued = false;
        const auto before = connections_;
        open_more(next);
        if (connections_ != before || next->queued) break;
    }
    open_more(site);
    if (failure) std::rethrow_exception(failure);
}

/// `connected` is null when none stands; where it is not at the end, it counts among those that stand.
Task<> Runner::use_connection(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected) {
    std::uint32_t messages = 0;
    while (!stopped_) {
        if (site->jobs.empty()) {
            if (!connected) break;
            co_await wait_for_job(site);
            if (site->jobs.empty()) break;
            continue;
        }
        if (!connected) {
            const bool made = co_await connect(site, connected);
            if (!made || stopped_) break;
            messages = 0;
            continue;  // another connection may have taken the job meanwhile
        }
        auto job = std::move(site->jobs.front());
        site->jobs.pop_front();
        const bool good = co_await serve_job(site, connected, std::move(job), messages > 0);
        if (good && ++messages < options_.messages_per_connection) continue;
        if (good) co_await connected->session->quit();
        connected.reset();
        --site->standing;
        if (good || site->broken < kMostBroken) continue;
        refuse_all(*site, {false, "4.4.2", "connections to the destination keep breaking"});
        break;
    }
    if (connected) co_await connected->session->quit();
}

Task<> Runner::wait_for_job(std::shared_ptr<Site> site) {
    SteadyTimer timer(executor_, SteadyClock::now() + options_.reuse);
    site->idle.push_back(&timer);
    co_await timer.async_wait(kValues);
    std::erase(site->idle, &timer);
}

/// False: this connection is not to be. If no other one stands, the destination is dead.
Task<bool> Runner::connect(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected) {
    auto made = co_await connector_.connect(site->destination);
    if (made) {
        connected = std::make_unique<Connected>(std::move(*made));
        ++site->standing;
        co_return true;
    }
    if (site->standing > 0) {
        site->limit = std::max<std::size_t>(1, site->standing);
    } else if (!stopped_) {
        refuse_all(*site, made.error());
    }
    co_return false;
}

/// The destination is dead. What it has proved is forgotten, and one connection finds out whether it lives again: a
/// silent one must not hold what a living one had earned.
void Runner::refuse_all(Site& site, const NoWay& why) {
    site.dead_until = SteadyClock::now() + options_.dead_host;
    site.why = why;
    site.broken = 0;
    site.limit = 1;
    site.proven = false;
    log::info("outbound.unreachable",
              {{"destination", site.destination.key}, {"status", why.status}, {"reason", why.text}});
    while (!site.jobs.empty()) {
        auto job = std::move(site.jobs.front());
        site.jobs.pop_front();
        spawn(refuse(std::move(job), why));
    }
}

/// A message as one host gets it.
struct Runner::Content {
    std::shared_ptr<const Conversion> conversion;  ///< null unless the host takes 7-bit text only
    std::unique_ptr<smtp::client::Body> body;
    std::optional<Reached> failed;  ///< in place of a body
};

/// `content` as it was made for recipients before, on the same connection.
Task<Runner::Content> Runner::content_for(const Job& job, const Connected& connected, Content content) {
    const auto& extensions = connected.session->extensions();
    const auto& message = job.message;
    const bool converts = message.eight_bit && !message.utf8 && !extensions.eight_bit && !extensions.utf8;
    std::optional<Error> error;
    if (converts && !content.conversion) {
        const auto* keys = delivery_.signing_keys();
        auto made = co_await convert(queue_, message, keys ? &keys->ring() : nullptr, now());
        if (made)
            content.conversion = std::make_shared<const Conversion>(std::move(*made));
        else
            error = made.error();
    }
    if (converts && content.conversion && !content.conversion->plan.obstacle.empty()) {
        content.failed.emplace();
        content.failed->how = Reached::How::failed;
        content.failed->status = "5.6.3";
        content.failed->host = connected.host;
        content.failed->reply = fmt::format("554 5.6.3 the next server takes no 8-bit text (8BITMIME), and {}",
                                            content.conversion->plan.obstacle);
        co_return content;
    }
    if (!error) {
        auto reader = co_await queue_.open(message);
        if (!reader)
            error = reader.error();
        else if (converts)
            content.body = converted_body(std::move(*reader), content.conversion);
        else
            content.body = std::make_unique<QueuedBody>(std::move(*reader));
    }
    if (!error) co_return content;
    const bool lost = error->code() == Errc::corrupt || error->code() == Errc::not_found;
    log::error("outbound.unreadable", {{"id", message.id}, {"reason", error->detail()}});
    content.failed.emplace();
    content.failed->how = lost ? Reached::How::failed : Reached::How::later;
    content.failed->status = lost ? "5.3.0" : "4.3.0";
    content.failed->reply = "the message can't be read from this server's storage";
    co_return content;
}

/// Returns whether the connection is still good. `used`: it has served before.
Task<bool> Runner::serve_job(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected, Job job, bool used) {
    auto& session = *connected->session;
    std::vector<std::size_t> who;
    for (std::size_t i = 0; i < job.part.recipients.size(); ++i)
        if (job.part.recipients[i].state == queue::Recipient::State::waiting) who.push_back(i);
    std::vector<Reached> reached(job.part.recipients.size());
    std::size_t most = std::min(options_.recipients_per_message,
                                session.extensions().recipients.value_or(options_.recipients_per_message));
    std::optional<Error> broken;
    bool delivered = false, answered = false;
    Content content;
    for (std::size_t at = 0; at < who.size() && !broken;) {
        const std::vector<std::size_t> some(who.begin() + static_cast<std::ptrdiff_t>(at),
                                            who.begin() + static_cast<std::ptrdiff_t>(std::min(at + most, who.size())));
        at += some.size();
        content = co_await content_for(job, *connected, std::move(content));
        if (content.failed) {
            for (auto i : some) reached[i] = *content.failed;
            content.failed.reset();
            continue;
        }
        auto envelope = envelope_for(job, *connected, some);
        if (content.conversion) {
            envelope.eight_bit = false;
            envelope.octets = content.conversion->octets;
        }
        auto outcome = co_await session.send(envelope, *content.body);
        broken = outcome.broken;
        bool taken = false;
        for (std::size_t n = 0; n < some.size(); ++n) {
            auto& one = reached[some[n]];
            if (const auto& reply = outcome.replies[n]) {
                one = reached_by(*reply, *connected, outcome.relayed);
                taken |= one.how == Reached::How::delivered;
                answered |= reply->code != 421;
            } else if (broken) {
                one.reply = broken->detail();
                one.status = "4.4.2";
                one.host = connected->host;
            }
        }
        delivered |= taken;
        if (!taken || outcome.surplus.empty()) continue;
        for (auto n : outcome.surplus) who.push_back(some[n]);
        most = std::max<std::size_t>(1, some.size() - outcome.surplus.size());
    }
    // Servers close connections that were idle, or have served so many messages: that says nothing of this message.
    if (broken && used && !answered && !job.again && !stopped_) {
        job.again = true;
        site->jobs.push_front(std::move(job));
        co_return false;
    }
    for (auto i : who)  // those whose turn did not come
        if (broken && reached[i].reply.empty()) reached[i].reply = broken->detail(), reached[i].status = "4.4.2";
    if (delivered) {
        site->proven = true;
        ++site->limit;
        open_more(site);
    }
    if (broken) {
        site->limit = std::max<std::size_t>(1, site->limit / 2);
        ++site->broken;
    }
    if (answered) site->broken = 0;
    spawn(settle(std::move(job), std::move(reached)));  // the connection does not wait for the disk
    co_return !broken;
}

}  // namespace poplar::outbound
