#include "bench/load/listen.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace poplar::bench {

Result<net::FileDescriptor> listen_on(const Endpoint& endpoint) {
    net::FileDescriptor made(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int on = 1;
    setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (endpoint.address.ss_family != AF_UNIX) setsockopt(made.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length) != 0 ||
        ::listen(made.get(), 4096) != 0)
        return fail(Errc::io, fmt::format("listen: {}", std::strerror(errno)));
    return made;
}

std::string address_of(const net::FileDescriptor& listening) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &length);
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return fmt::format("{}:{}", text, ntohs(v4.sin_port));
    }
    if (address.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
    }
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un&>(address).sun_path);
}

Acceptor::Acceptor(Loop& loop, net::FileDescriptor listening, std::function<void(int)> take)
    : listening_(std::move(listening)), take_(std::move(take)) {
    if (auto watched = loop.watch(listening_.get(), *this); !watched)
        throw std::runtime_error(watched.error().detail());
}

void Acceptor::on_events(std::uint32_t) {
    // Until nothing is left: with edges, what stays in the queue is not announced again.
    for (;;) {
        int accepted = ::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) return;
        take_(accepted);
    }
}

}  // namespace poplar::bench
