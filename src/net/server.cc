// Accept loops and sessions on the workers' threads, and their end when the server stops.
#include "net/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <iterator>
#include <system_error>

#include "base/log.h"
#include "base/steady.h"
#include "base/turn.h"

namespace poplar::net {

namespace {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
using ConnectionList = boost::intrusive::list<StreamConnection, boost::intrusive::constant_time_size<false>>;

constexpr int kAcceptBurst = 64;  // then the sessions of the thread get their turn
constexpr std::chrono::milliseconds kPauseWithoutResources{200};
constexpr std::chrono::milliseconds kIdlePoll{5};
constexpr std::chrono::seconds kLogInterval{10};

/// Lets something that strangers can cause at will into the log only now and then.
class Seldom {
public:
    /// Whether to log now; `held_back` is then how many were not logged since.
    bool now(std::uint64_t& held_back) {
        auto time = SteadyClock::now().time_since_epoch().count();
        auto next = next_.load();
        auto later = time + std::chrono::duration_cast<SteadyClock::duration>(kLogInterval).count();
        if (time < next || !next_.compare_exchange_strong(next, later)) {
            ++held_back_;
            return false;
        }
        held_back = held_back_.exchange(0);
        return true;
    }

private:
    std::atomic<std::int64_t> next_{0};
    std::atomic<std::uint64_t> held_back_{0};
};

void log_exception(std::string_view event, std::string_view service, std::string_view peer,
                   std::exception_ptr failure) {
    if (!failure) return;
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        log::error(event, {{"service", service}, {"peer", peer}, {"what", std::string_view(e.what())}});
    }
}

/// A Service with the number of its protocol (net/places.h).
struct Offer : Service {
    std::size_t number;
};

/// The part of one worker; only its thread touches it.
struct Station {
    ConnectionList connections;
    std::vector<Descriptor*> acceptors;
    bool closed = false, draining = false, cut = false;
};

}  // namespace

/// Held by every session and accept loop, so it outlives them.
struct Server::Shared {
    Shared(Workers& w, ServerLimits l) : workers(w), limits(l), places(l), handshakes(l), stations(w.size()) {
        connection_options.handshakes = &handshakes;
    }

    Workers& workers;
    const ServerLimits limits;
    Places places;
    Handshakes handshakes;
    ConnectionOptions connection_options = limits.connection;
    std::vector<Station> stations;

    std::atomic<std::size_t> accepting = 0;  // accept loops that have not ended
    std::atomic<bool> stopping = false;
    std::atomic<std::uint64_t> accepted = 0, refused_total = 0, refused_peer = 0;
    Seldom refusals, exhaustion, passers_by;

    std::mutex mutex;  // for what follows
    std::vector<std::string> local_paths;

    template <class Action>
    void on_each_station(std::shared_ptr<Shared> self, Action action) {
        for (std::size_t i = 0; i < stations.size(); ++i)
            asio::post(workers.executor(i), [self, i, action] { action(self->stations[i]); });
    }

    static Task<> accept_loop(std::shared_ptr<Shared> self, std::size_t worker, std::shared_ptr<const Offer> service,
                              FileDescriptor socket);
    static Task<> session(std::shared_ptr<Shared> self, std::shared_ptr<const Offer> service,
                          std::unique_ptr<StreamConnection> connection, Places::Place place);
    void note_refusal(const Service& service, const Peer& peer, Places::Limit limit);
    void refuse(const Service& service, int socket, const Peer& peer, Places::Limit limit);
    Task<bool> meet_client(const Service& service, StreamConnection& connection, Places::Place& place);
    void welcome(std::shared_ptr<Shared> self, std::size_t worker, const std::shared_ptr<const Offer>& service,
                 FileDescriptor socket, Peer peer);
};

void Server::Shared::note_refusal(const Service& service, const Peer& peer, Places::Limit limit) {
    const bool whole = limit == Places::Limit::connections || limit == Places::Limit::reserved;
    ++(whole ? refused_total : refused_peer);
    if (std::uint64_t held_back = 0; refusals.now(held_back))
        log::warning("net.refused", {{"service", service.name},
                                     {"peer", peer.address},
                                     {"limit", to_string(limit)},
                                     {"live", places.taken()},
                                     {"not_logged", held_back}});
}

// Waits for nothing, because there may be many of them.
void Server::Shared::refuse(const Service& service, int socket, const Peer& peer, Places::Limit limit) {
    note_refusal(service, peer, limit);
    if (!service.tls)
        (void)::send(socket, service.busy_reply.data(), service.busy_reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// False: there is nobody to talk to.
Task<bool> Server::Shared::meet_client(const Service& service, StreamConnection& connection, Places::Place& place) {
    auto header = co_await connection.read_proxy_header(limits.proxy_header);
    if (!header) {
        if (header.error().code() != Errc::cancelled)
            connection.log(
                log::Level::warning, "net.proxy_header_refused",
                {{"service", service.name}, {"peer", connection.peer().address}, {"reason", header.error().detail()}});
        co_return false;
    }
    auto peer = connection.peer();
    if (header->source == ProxyHeader::Source::client) {
        // Only what is loopback for the proxy and for us is this machine.
        header->client.loopback = header->client.loopback && peer.loopback;
        peer = std::move(header->client);
    } else if (header->source == ProxyHeader::Source::unknown) {
        peer.loopback = false;
    }
    const auto proxy = connection.peer().address;
    connection.set_peer(peer);
    // For the log alone: what the proxy checked is no proof to us.
    if (const auto& tls = header->tls)
        connection.log(log::Level::info, "net.proxy_tls",
                       {{"service", service.name},
                        {"peer", peer.address},
                        {"proxy", proxy},
                        {"tls", tls->version.empty() ? "yes" : tls->version},
                        {"cipher", tls->cipher},
                        {"certificate", tls->certificate ? "yes" : "no"}});
    auto limit = place.count_for(peer);
    if (!limit) co_return true;
    note_refusal(service, peer, *limit);
    if (!service.tls) (void)co_await connection.write(service.busy_reply);
    co_await connection.close();
    co_return false;
}

Task<> Server::Shared::session(std::shared_ptr<Shared> self, std::shared_ptr<const Offer> service,
                               std::unique_ptr<StreamConnection> connection, Places::Place place) {
    turn::begin();
    if (service->proxies.contains(connection->peer().address) &&
        !co_await self->meet_client(*service, *connection, place))
        co_return;
    if (service->tls) {
        auto context = service->tls();
        if (!context) co_return;
        auto shaken = co_await connection->start_tls(*context, self->limits.tls_handshake);
        if (!shaken) {
            connection->log(log::Level::info, "net.tls_failed",
                            {{"service", service->name},
                             {"peer", connection->peer().address},
                             {"reason", shaken.error().detail()}});
            co_return;
        }
    }
    co_await service->session(std::move(connection));
}

void Server::Shared::welcome(std::shared_ptr<Shared> self, std::size_t worker,
                             const std::shared_ptr<const Offer>& service, FileDescriptor socket, Peer peer) {
    if (service->proxies_only && !service->proxies.contains(peer.address)) {
        if (std::uint64_t held_back = 0; passers_by.now(held_back))
            log::warning("net.not_a_proxy",
                         {{"service", service->name}, {"peer", peer.address}, {"not_logged", held_back}});
        return;
    }
    auto place = places.enter(service->number, socket.get());
    if (!place) return refuse(*service, socket.get(), peer, place.error());
    // A proxy's connection counts for its client, once that is known.
    if (!service->proxies.contains(peer.address))
        if (auto limit = place->count_for(peer)) return refuse(*service, socket.get(), peer, *limit);
    ++accepted;
    auto executor = workers.executor(worker);
    auto connection = make_connection(executor, std::move(socket), peer, connection_options);
    connection->session().service = service->name;
    auto& station = stations[worker];
    station.connections.push_back(*connection);
    if (station.draining) connection->stop_reading();
    if (station.cut) connection->abort();
    auto ended = [service, address = peer.address](std::exception_ptr failure) {
        log_exception("net.session_exception", service->name, address, failure);
    };
    asio::co_spawn(executor, session(std::move(self), service, std::move(connection), std::move(*place)),
                   std::move(ended));
}

Task<> Server::Shared::accept_loop(std::shared_ptr<Shared> self, std::size_t worker,
                                   std::shared_ptr<const Offer> service, FileDescriptor socket) {
    struct Departure {
        Shared& shared;
        ~Departure() { --shared.accepting; }
    } departure{*self};
    auto& station = self->stations[worker];
    if (station.closed) co_return;
    Descriptor acceptor(self->workers.executor(worker), socket.release());
    station.acceptors.push_back(&acceptor);
    SteadyTimer pause(self->workers.executor(worker));
    while (acceptor.is_open()) {
        auto [error] = co_await acceptor.async_wait(Descriptor::wait_read, asio::as_tuple(use_awaitable));
        for (int i = 0; i < kAcceptBurst && !error && acceptor.is_open(); ++i) {
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            FileDescriptor accepted(::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&from), &size,
                                              SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (accepted) {
                self->welcome(self, worker, service, std::move(accepted), peer_at(from));
                continue;
            }
            int code = errno;
            if (code == EAGAIN || code == EWOULDBLOCK) break;
            if (code == ECONNABORTED || code == EINTR || code == EPROTO || code == EPERM)
                continue;  // that peer is gone
            // Out of descriptors or memory. The connection stays in the queue: accepting again at once would spin.
            if (std::uint64_t held_back = 0; self->exhaustion.now(held_back))
                log::error("net.accept_failed",
                           {{"service", service->name}, {"reason", std::system_category().message(code)}});
            pause.expires_after(kPauseWithoutResources);
            co_await pause.async_wait(asio::as_tuple(use_awaitable));
            break;
        }
    }
    std::erase(station.acceptors, &acceptor);
}

Server::Server(Workers& workers, ServerLimits limits) : shared_(std::make_shared<Shared>(workers, limits)) {}

Server::~Server() = default;

void Server::add(Listener listener, Service service) {
    auto number = shared_->places.protocol(service.protocol.empty() ? service.name : service.protocol);
    auto shared_service = std::make_shared<const Offer>(std::move(service), number);
    if (listener.address.family == Address::Family::local && !listener.inherited) {
        std::lock_guard guard(shared_->mutex);
        shared_->local_paths.push_back(listener.address.path);
    }
    for (std::size_t i = 0; i < listener.sockets.size() && i < shared_->workers.size(); ++i) {
        auto ended = [shared_service](std::exception_ptr failure) {
            log_exception("net.accept_exception", shared_service->name, "", failure);
        };
        ++shared_->accepting;
        asio::co_spawn(shared_->workers.executor(i),
                       Shared::accept_loop(shared_, i, shared_service, std::move(listener.sockets[i])),
                       std::move(ended));
    }
}

void Server::stop_accepting() {
    shared_->stopping = true;
    std::vector<std::string> paths;
    {
        std::lock_guard guard(shared_->mutex);
        paths.swap(shared_->local_paths);
    }
    for (const auto& path : paths) ::unlink(path.c_str());
    shared_->on_each_station(shared_, [](Station& station) {
        station.closed = true;
        boost::system::error_code ignored;
        for (auto* acceptor : station.acceptors) acceptor->close(ignored);
    });
}

void Server::drain() {
    shared_->on_each_station(shared_, [](Station& station) {
        station.draining = true;
        for (auto& connection : station.connections) connection.stop_reading();
    });
}

void Server::close_all() {
    shared_->on_each_station(shared_, [](Station& station) {
        station.cut = true;
        for (auto& connection : station.connections) connection.abort();
    });
}

std::size_t Server::live() const { return shared_->places.taken(); }

Task<bool> Server::idle(std::chrono::milliseconds patience) {
    auto shared = shared_;
    auto deadline = SteadyClock::now() + patience;
    SteadyTimer timer(co_await asio::this_coro::executor);
    // An accept loop that has not heard of the end yet may still begin a session.
    while ((shared->stopping && shared->accepting != 0) || shared->places.taken() != 0) {
        if (SteadyClock::now() >= deadline) co_return false;
        timer.expires_after(kIdlePoll);
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
    }
    co_return true;
}

namespace {

Server::OpenSession described(const Connection& connection) {
    const auto& facts = connection.session();
    return {.service = std::string(facts.service),
            .id = facts.id,
            .account = facts.account,
            .device = facts.device,
            .peer = connection.peer().address,
            .since = facts.since,
            .heard = facts.heard,
            .tls = connection.tls() != nullptr,
            .sending = connection.sending()};
}

// Both run on the worker of the station.

Task<Server::OpenSessions> look_through(Station& station, std::string account, std::size_t limit) {
    Server::OpenSessions found;
    for (const auto& connection : station.connections) {
        if (!account.empty() && connection.session().account != account) continue;
        found.more = found.some.size() == limit;
        if (found.more) break;
        found.some.push_back(described(connection));
    }
    co_return found;
}

Task<std::optional<Server::OpenSession>> end_in(Station& station, std::string id) {
    for (auto& connection : station.connections) {
        const auto& facts = connection.session();
        if (facts.id != id || !facts.end) continue;
        auto was = described(connection);
        facts.end();
        co_return was;
    }
    co_return std::nullopt;
}

}  // namespace

Task<Server::OpenSessions> Server::sessions(std::string account, std::size_t limit) {
    OpenSessions all;
    for (std::size_t i = 0; i < shared_->stations.size() && !all.more; ++i) {
        auto look = look_through(shared_->stations[i], account, limit - all.some.size());
        auto part = co_await asio::co_spawn(shared_->workers.executor(i), std::move(look), use_awaitable);
        std::ranges::move(part.some, std::back_inserter(all.some));
        all.more = part.more;
    }
    std::ranges::sort(all.some, {}, &OpenSession::since);
    co_return all;
}

Task<std::optional<Server::OpenSession>> Server::end_session(std::string id) {
    if (id.empty()) co_return std::nullopt;
    for (std::size_t i = 0; i < shared_->stations.size(); ++i) {
        auto ended =
            co_await asio::co_spawn(shared_->workers.executor(i), end_in(shared_->stations[i], id), use_awaitable);
        if (ended) co_return ended;
    }
    co_return std::nullopt;
}

Server::Counters Server::counters() const { return {shared_->accepted, shared_->refused_total, shared_->refused_peer}; }

}  // namespace poplar::net
