#include "server/bind.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "server/systemd.h"

namespace poplar::server {

namespace {

const Addresses& addresses_of(const Config& config, Protocol protocol) {
    switch (protocol) {
        case Protocol::pop3: return config.listen.pop3;
        case Protocol::pop3s: return config.listen.pop3s;
        case Protocol::smtp: return config.listen.smtp;
        case Protocol::lmtp: break;
    }
    return config.listen.lmtp;
}

void give_to(const std::string& path, const std::optional<Identity>& identity) {
    if (identity && ::lchown(path.c_str(), identity->uid, identity->gid) != 0) {
        // Nothing is lost that a later error won't tell: the path can't be used then.
    }
}

// The folder of a local socket (/run/poplar is gone after each boot) or of the log file.
void make_parent(const std::string& path, const std::optional<Identity>& identity) {
    auto parent = std::filesystem::path(path).parent_path().string();
    if (::mkdir(parent.c_str(), 0755) == 0) {
        ::chmod(parent.c_str(), 0755);  // whatever the umask is
        give_to(parent, identity);
    }
}

// "[::]:110" and "127.0.0.1:110" side by side look right, but the first is both.
std::string why_refused(const Error& error, const net::Address& address, const std::vector<BoundListener>& bound) {
    if (error.code() == Errc::busy && address.port != 0)
        for (const auto& [protocol, listener] : bound)
            if (listener.address.port == address.port)
                return fmt::format("{}: listen.{} has {}", error.detail(), name_of(protocol), listener.address.text());
    return error.detail();
}

}  // namespace

std::string_view name_of(Protocol protocol) {
    switch (protocol) {
        case Protocol::pop3: return "pop3";
        case Protocol::pop3s: return "pop3s";
        case Protocol::smtp: return "smtp";
        case Protocol::lmtp: break;
    }
    return "lmtp";
}

Result<std::vector<BoundListener>> bind_all(const Config& config, std::size_t workers,
                                            const std::optional<Identity>& identity) {
    std::vector<BoundListener> bound;
    std::vector<Protocol> given;
    auto sockets = systemd::sockets();
    if (!sockets) return pass_on(sockets);
    for (const auto& socket : *sockets) {
        auto protocol = std::ranges::find(kProtocols, std::string_view(socket.name), name_of);
        if (protocol == kProtocols.end())
            return fail(Errc::invalid,
                        fmt::format("a socket from systemd has the name \"{}\": FileDescriptorName= must be "
                                    "pop3, pop3s, smtp or lmtp",
                                    socket.name));
        if (*protocol == Protocol::pop3s && !config.tls.configured())
            return fail(Errc::invalid, "a socket from systemd for pop3s needs a certificate: add a [tls] section");
        auto listener = net::adopt_listener(socket.fd, workers);
        if (!listener)
            return fail(Errc::invalid,
                        fmt::format("socket \"{}\" from systemd: {}", socket.name, listener.error().detail()));
        bound.push_back({*protocol, std::move(*listener)});
        given.push_back(*protocol);
    }
    for (auto protocol : kProtocols) {
        if (std::ranges::find(given, protocol) != given.end()) continue;
        auto key = fmt::format("listen.{}", name_of(protocol));
        for (const auto& text : addresses_of(config, protocol)) {
            auto address = net::parse_address(text);
            if (!address) return fail(Errc::invalid, config.error_at(key, address.error().detail()));
            bool local = address->family == net::Address::Family::local;
            if (local) make_parent(address->path, identity);
            auto listener = net::listen_on(*address, {.workers = workers});
            if (!listener)
                return fail(Errc::invalid, config.error_at(key, why_refused(listener.error(), *address, bound)));
            if (local) give_to(address->path, identity);
            bound.push_back({protocol, std::move(*listener)});
        }
    }
    return bound;
}

Result<net::Listener> bind_admin_socket(const Config& config, const std::optional<Identity>& identity) {
    auto address = net::parse_address("unix:" + config.admin_socket);
    if (!address) return fail(Errc::invalid, config.error_at("admin_socket", address.error().detail()));
    make_parent(address->path, identity);
    auto listener = net::listen_on(*address, {.workers = 1, .local_mode = 0600});
    if (!listener) return fail(Errc::invalid, config.error_at("admin_socket", listener.error().detail()));
    give_to(address->path, identity);
    return listener;
}

Result<> prepare_data_dir(const Config& config, const std::optional<Identity>& identity) {
    struct stat found{};
    const char* path = config.data_dir.c_str();
    auto wrong = [&](std::string_view what) { return fail(Errc::invalid, config.error_at("data_dir", what)); };
    if (::stat(path, &found) == 0)
        return S_ISDIR(found.st_mode) ? Result<>() : wrong(fmt::format("{} is not a folder", config.data_dir));
    if (errno == ENOENT && ::mkdir(path, 0700) == 0) {
        give_to(config.data_dir, identity);
        // Its name must survive a loss of power, and `identity` may not be able to open the folder above.
        auto above = config.data_dir + "/..";
        net::FileDescriptor parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!parent || ::fsync(parent.get()) != 0)
            return wrong(fmt::format("{} can't be synced: {}", above, std::strerror(errno)));
        return {};
    }
    return wrong(fmt::format("can't make {}: {}", config.data_dir, std::strerror(errno)));
}

void make_log_folder(const Config& config, const std::optional<Identity>& identity) {
    if (!config.log.file.empty()) make_parent(config.log.file, identity);
}

void hand_over_log_file(const Config& config, const std::optional<Identity>& identity) {
    struct stat found{};
    // A device such as /dev/null stays whose it is.
    if (::lstat(config.log.file.c_str(), &found) == 0 && S_ISREG(found.st_mode)) give_to(config.log.file, identity);
}

}  // namespace poplar::server
