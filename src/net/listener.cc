// Addresses to listen on, as text and as bound sockets.
#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "base/asio.h"

namespace poplar::net {

namespace {

constexpr std::string_view kLocalPrefix = "unix:";
constexpr std::string_view kForms = "expected host:port with a numeric address, [IPv6]:port, *:port or unix:/path";

std::unexpected<Error> refuse(const Address& address, int error) {
    switch (error) {
        case EADDRINUSE: return fail(Errc::busy, address.text() + ": address already in use");
        case EACCES:
        case EPERM:
            return fail(Errc::denied, address.text() + (address.family == Address::Family::local
                                                            ? ": permission denied"
                                                            : ": permission denied (ports below 1024 need root or "
                                                              "CAP_NET_BIND_SERVICE)"));
        case EADDRNOTAVAIL: return fail(Errc::io, address.text() + ": this machine has no such address");
        default: return fail(Errc::io, address.text() + ": " + std::system_category().message(error));
    }
}

void set_option(int socket, int level, int name, int value) { setsockopt(socket, level, name, &value, sizeof value); }

FileDescriptor duplicate(int fd) { return FileDescriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

Result<Listener> share(Address address, FileDescriptor socket, std::size_t workers) {
    Listener listener{std::move(address), {}};
    for (std::size_t i = 1; i < workers; ++i) {
        listener.sockets.push_back(duplicate(socket.get()));
        if (!listener.sockets.back()) return refuse(listener.address, errno);
    }
    listener.sockets.push_back(std::move(socket));
    return listener;
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const Address& address) {
    boost::system::error_code ignored;
    auto ip = asio::ip::make_address(address.host, ignored);  // parse_address has checked it
    asio::ip::tcp::endpoint endpoint(ip, address.port);
    SocketAddress out;
    out.size = static_cast<socklen_t>(endpoint.size());
    std::memcpy(&out.storage, endpoint.data(), endpoint.size());
    return out;
}

enum class SharePort { no, yes };

/// Returns a bound socket, not listening yet, or 0 - errno in the second.
std::pair<FileDescriptor, int> bind_tcp(const Address& address, SharePort share_port) {
    auto to = socket_address(address);
    FileDescriptor socket(::socket(to.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return {FileDescriptor(), errno};
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);  // connections of an earlier run may linger
    if (share_port == SharePort::yes) set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family == Address::Family::ipv6)
        set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.host == "::" ? 0 : 1);
    set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // inherited by what it accepts
    if (::bind(socket.get(), to.get(), to.size) != 0) return {FileDescriptor(), errno};
    return {std::move(socket), 0};
}

std::uint16_t bound_port(int socket) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &size);
    if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6&>(storage).sin6_port);
    return ntohs(reinterpret_cast<sockaddr_in&>(storage).sin_port);
}

Result<Listener> listen_tcp(Address address, const BindOptions& options) {
    // A port that another program shares (SO_REUSEPORT) could be bound beside it: ask first without sharing.
    if (address.port != 0) {
        auto [probe, error] = bind_tcp(address, SharePort::no);
        if (error) return refuse(address, error);
        if (::listen(probe.get(), 1) != 0) return refuse(address, errno);
    }
    Listener listener{address, {}};
    for (std::size_t i = 0; i < options.workers; ++i) {
        auto [socket, error] = bind_tcp(listener.address, SharePort::yes);
        if (error) return refuse(address, error);
        if (::listen(socket.get(), options.backlog) != 0) return refuse(address, errno);
        if (listener.address.port == 0) listener.address.port = bound_port(socket.get());
        listener.sockets.push_back(std::move(socket));
    }
    return listener;
}

bool somebody_listens(const sockaddr_un& at) {
    FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 || errno != ECONNREFUSED;
}

Result<Listener> listen_local(const Address& address, const BindOptions& options) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    if (address.path.size() >= sizeof at.sun_path)
        return fail(Errc::invalid, address.text() + ": a socket's path is at most 107 octets long");
    std::memcpy(at.sun_path, address.path.data(), address.path.size());

    struct stat found{};
    if (::lstat(at.sun_path, &found) == 0) {
        if (!S_ISSOCK(found.st_mode))
            return fail(Errc::busy, address.text() + ": there is a file that is not a socket");
        if (somebody_listens(at)) return refuse(address, EADDRINUSE);
        ::unlink(at.sun_path);  // left behind by a process that was killed
    }
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return refuse(address, errno);
    // A chmod afterwards could be led to another file.
    const auto before = ::umask(0777 & ~options.local_mode);
    const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at);
    const auto why = errno;
    ::umask(before);
    if (bound != 0) return refuse(address, why);
    if (::listen(socket.get(), options.backlog) != 0) {
        auto error = errno;
        ::unlink(at.sun_path);
        return refuse(address, error);
    }
    return share(address, std::move(socket), options.workers);
}

bool has_no_ipv6() {
    FileDescriptor probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe) return true;
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    return ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0;
}

}  // namespace

std::string Address::text() const {
    switch (family) {
        case Family::local: return fmt::format("{}{}", kLocalPrefix, path);
        case Family::ipv6: return fmt::format("[{}]:{}", host, port);
        case Family::ipv4: break;
    }
    return fmt::format("{}:{}", host, port);
}

Result<Address> parse_address(std::string_view spec) {
    auto refused = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("\"{}\": {}", spec, why)); };
    Address address;
    if (spec.starts_with(kLocalPrefix)) {
        address.family = Address::Family::local;
        address.path = spec.substr(kLocalPrefix.size());
        if (!address.path.starts_with('/')) return refused("the path of a local socket must begin with /");
        if (address.path.find('\0') != std::string::npos) return refused("the path holds a NUL");
        return address;
    }
    auto colon = spec.rfind(':');
    if (colon == std::string_view::npos) return refused(kForms);
    auto host = spec.substr(0, colon), port = spec.substr(colon + 1);
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size())
        return refused("the port must be a number up to 65535");

    bool bracketed = host.size() >= 2 && host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (host == "*" && !bracketed) {
        address.host = "::";
    } else if (host == "localhost" && !bracketed) {
        address.host = "127.0.0.1";
    } else {
        boost::system::error_code bad;
        auto ip = asio::ip::make_address(std::string(host), bad);
        if (bad || ip.is_v6() != bracketed) return refused(kForms);
        address.host = ip.to_string();
    }
    if (address.host.find(':') != std::string::npos) address.family = Address::Family::ipv6;
    return address;
}

Result<Listener> listen_on(const Address& address, const BindOptions& options) {
    if (address.family == Address::Family::local) return listen_local(address, options);
    if (address.host == "::" && has_no_ipv6()) {
        auto fallback = address;
        fallback.family = Address::Family::ipv4;
        fallback.host = "0.0.0.0";
        return listen_tcp(std::move(fallback), options);
    }
    return listen_tcp(address, options);
}

Result<std::vector<Listener>> listen_on_all(const std::vector<Address>& addresses, const BindOptions& options) {
    std::vector<Listener> listeners;
    for (const auto& address : addresses) {
        auto listener = listen_on(address, options);
        if (!listener) {
            for (const auto& made : listeners)
                if (made.address.family == Address::Family::local) ::unlink(made.address.path.c_str());
            return pass_on(listener);
        }
        listeners.push_back(std::move(*listener));
    }
    return listeners;
}

Result<Listener> adopt_listener(int fd, std::size_t workers) {
    FileDescriptor socket(fd);
    int listening = 0, type = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return fail(Errc::invalid, fmt::format("inherited descriptor {}: not a listening stream socket", fd));

    sockaddr_storage storage{};
    size = sizeof storage;
    getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
    Address address;
    if (storage.ss_family == AF_UNIX) {
        address.family = Address::Family::local;
        address.path = reinterpret_cast<sockaddr_un&>(storage).sun_path;
    } else {
        asio::ip::tcp::endpoint endpoint;
        endpoint.resize(size);
        std::memcpy(endpoint.data(), &storage, size);
        address.family = endpoint.address().is_v6() ? Address::Family::ipv6 : Address::Family::ipv4;
        address.host = endpoint.address().to_string();
        address.port = endpoint.port();
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    auto listener = share(std::move(address), std::move(socket), workers);
    if (listener) listener->inherited = true;
    return listener;
}

}  // namespace poplar::net
