// Sockets and folders, made with the rights the server starts with.
#include "server/bind.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "process/systemd.h"
#include "server/services.h"

namespace poplar::server {

namespace {

// "pop3, pop3s, ..., submissions or lmtp"
std::string names_of_listeners() {
    std::string names;
    const auto rows = listener_rows();
    for (std::size_t i = 0; i < rows.size(); ++i)
        names += fmt::format("{}{}", i == 0 ? "" : i + 1 == rows.size() ? " or " : ", ", rows[i].name);
    return names;
}

// If `identity` could put a link on the way to `path`, root must not act there. Takes identity's rights then, as long
// as the result lives.
std::optional<process::ActingAs> act_for(const std::optional<process::Identity>& identity, const std::string& path) {
    if (geteuid() != 0 || !identity || identity->uid == 0 || !process::may_redirect(*identity, path))
        return std::nullopt;
    return std::optional<process::ActingAs>(std::in_place, *identity);
}

// Goes by the name, which is safe: act_for() has made sure that only root can change what it leads to, or else has
// taken identity's rights, and the file is identity's already.
void give_to(const std::string& path, const std::optional<process::Identity>& identity) {
    if (geteuid() == 0 && identity && ::lchown(path.c_str(), identity->uid, identity->gid) != 0) {
        // A later error tells that the path can't be used.
    }
}

std::string parent_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

// mkdir with this very mode, whatever the umask is.
bool make_folder(const std::string& path, mode_t mode) {
    const auto before = ::umask(0);
    const bool made = ::mkdir(path.c_str(), mode) == 0;
    ::umask(before);
    return made;
}

// Makes the folder of a local socket, because /run is empty after each boot. It stays root's, so that the next start
// can trust it.
void make_socket_folder(const std::string& path) { make_folder(parent_of(path), 0755); }

}  // namespace

Result<std::vector<BoundListener>> bind_all(const Config& config, std::size_t workers,
                                            const std::optional<process::Identity>& identity) {
    std::vector<BoundListener> bound;
    std::vector<std::size_t> given;
    const auto rows = listener_rows();
    auto sockets = process::systemd::sockets();
    if (!sockets) return pass_on(sockets);
    for (const auto& socket : *sockets) {
        auto row = std::ranges::find(rows, std::string_view(socket.name), &ListenerRow::name);
        if (row == rows.end())
            return fail(Errc::invalid,
                        fmt::format("a socket from systemd has the name \"{}\": FileDescriptorName= must be "
                                    "{}",
                                    socket.name, names_of_listeners()));
        if (row->tls && !config.tls.configured())
            return fail(
                Errc::invalid,
                fmt::format("a socket from systemd for {} needs a certificate: add a [tls] section", row->name));
        const auto index = static_cast<std::size_t>(row - rows.begin());
        auto listener = net::adopt_listener(socket.fd, workers);
        if (!listener)
            return fail(Errc::invalid,
                        fmt::format("socket \"{}\" from systemd: {}", socket.name, listener.error().detail()));
        bound.push_back({index, std::move(*listener)});
        given.push_back(index);
    }
    auto bind = [&](std::size_t row, const std::string& key, const std::string& text,
                    std::optional<std::size_t> own) -> Result<> {
        auto address = net::parse_address(text);
        if (!address) return fail(Errc::invalid, config.error_at(key, address.error().detail()));
        bool local = address->family == net::Address::Family::local;
        auto acting = local ? act_for(identity, address->path) : std::nullopt;
        if (local) make_socket_folder(address->path);
        auto listener = net::listen_on(*address, {.workers = workers});
        if (!listener) return fail(Errc::invalid, config.error_at(key, listener.error().detail()));
        if (local) give_to(address->path, identity);
        bound.push_back({row, std::move(*listener), own});
        return {};
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (std::ranges::find(given, i) != given.end()) continue;
        for (const auto& text : config.listen.at(std::string(rows[i].name)))
            if (auto done = bind(i, fmt::format("listen.{}", rows[i].name), text, std::nullopt); !done)
                return pass_on(done);
    }
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const auto& wanted = config.listeners[i];
        const auto row = std::ranges::find(rows, wanted.protocol, &ListenerRow::name) - rows.begin();
        auto done = bind(static_cast<std::size_t>(row), "listener", wanted.address, i);
        if (!done) return pass_on(done);
    }
    return bound;
}

Result<net::Listener> bind_admin_socket(const Config& config, const std::optional<process::Identity>& identity) {
    auto address = net::parse_address("unix:" + config.admin_socket);
    if (!address) return fail(Errc::invalid, config.error_at("admin_socket", address.error().detail()));
    auto acting = act_for(identity, address->path);
    make_socket_folder(address->path);
    auto listener = net::listen_on(*address, {.workers = 1, .local_mode = 0600});
    if (!listener) return fail(Errc::invalid, config.error_at("admin_socket", listener.error().detail()));
    give_to(address->path, identity);
    return listener;
}

Result<> prepare_data_dir(const Config& config, const std::optional<process::Identity>& identity) {
    struct stat found{};
    auto wrong = [&](std::string_view what) { return fail(Errc::invalid, config.error_at("data_dir", what)); };
    auto acting = act_for(identity, config.data_dir);
    if (::stat(config.data_dir.c_str(), &found) == 0)
        return S_ISDIR(found.st_mode) ? Result<>() : wrong(fmt::format("{} is not a folder", config.data_dir));
    if (errno == ENOENT && make_folder(config.data_dir, 0700)) {
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

void prepare_log_file(const Config& config, const std::optional<process::Identity>& identity) {
    const auto& file = config.log.file;
    if (file.empty()) return;
    auto acting = act_for(identity, file);
    if (make_folder(parent_of(file), 0755)) give_to(parent_of(file), identity);
    if (geteuid() != 0 || !identity) return;
    // In a folder such as /var/log only root can make the file. Anything but a plain file, such as /dev/null, keeps its
    // owner.
    net::FileDescriptor log(
        ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
    struct stat found{};
    if (log && ::fstat(log.get(), &found) == 0 && S_ISREG(found.st_mode) &&
        ::fchown(log.get(), identity->uid, identity->gid) != 0) {
        // The server will say that it can't open the file.
    }
}

void remove_sockets(const std::vector<std::string>& paths, const std::optional<process::Identity>& identity) {
    for (const auto& path : paths) {
        auto acting = act_for(identity, path);
        ::unlink(path.c_str());
    }
}

}  // namespace poplar::server
