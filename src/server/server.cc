// The start: what needs root's rights first, then the store, then all parts.
#include "server/server.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "cli/exit_codes.h"
#include "directory/outside/pam.h"
#include "process/privileges.h"
#include "process/systemd.h"
#include "server/bind.h"
#include "server/environment.h"
#include "server/running_server.h"

namespace poplar::server {

namespace {

int complain_lines(const std::vector<std::string>& lines, int exit_code) {
    for (const auto& line : lines) fmt::print(stderr, "poplar: {}\n", line);
    return exit_code;
}

// A message of up to 2 MB is in memory while it is sent. malloc would give that memory back to the kernel after each
// one, and the kernel would clear it again for the next: a tenth of what 1 MB over TLS costs. So an arena keeps up to 8
// MB.
void keep_freed_memory() {
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

}  // namespace

int serve(Config config) {
    std::vector<std::string> sockets;  // files to remove if the start fails
    std::optional<process::Identity> identity;
    auto refuse = [&](const Error& error, int exit_code) {
        remove_sockets(sockets, identity);
        return complain_lines({error.detail()}, exit_code);
    };
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);  // until the server is ready: a reload asked for too early must not end it
    umask(0077);                   // no other user may read mail
    keep_freed_memory();
    // First of all: the PAM process shall know no secret and have no socket.
    auto pam = directory::outside::start_pam(config.directories);
    if (!pam) return refuse(pam.error(), 1);
    auto prepared = prepare_directories(config);
    if (!prepared) return refuse(prepared.error(), cli::kExitConfig);
    for (std::size_t i = 0; i < pam->size(); ++i) (*prepared)[i].pam = std::move((*pam)[i]);
    auto tls = load_tls(config);
    if (!tls) return refuse(tls.error(), cli::kExitConfig);
    auto tokens = load_tokens(config);
    if (!tokens) return refuse(tokens.error(), cli::kExitConfig);
    auto abroad = load_abroad(config);
    if (!abroad) return refuse(abroad.error(), cli::kExitConfig);
    auto wanted = wanted_identity(config);
    if (!wanted) return refuse(wanted.error(), cli::kExitConfig);
    identity = std::move(*wanted);
    auto findings = check_files(config, identity ? identity->uid : geteuid());
    if (!findings.errors.empty()) return complain_lines(findings.errors, cli::kExitConfig);
    process::raise_file_limit();
    std::size_t workers = config.workers != 0 ? config.workers : std::max(1u, std::thread::hardware_concurrency());

    auto listeners = bind_all(config, workers, identity);
    if (!listeners) return refuse(listeners.error(), cli::kExitConfig);
    for (const auto& bound : *listeners)
        if (!bound.listener.inherited && !bound.listener.address.path.empty())
            sockets.push_back(bound.listener.address.path);
    auto admin = bind_admin_socket(config, identity);
    if (!admin) return refuse(admin.error(), cli::kExitConfig);
    sockets.push_back(config.admin_socket);
    if (auto made = prepare_data_dir(config, identity); !made) return refuse(made.error(), cli::kExitConfig);
    prepare_log_file(config, identity);
    if (geteuid() == 0 && identity)
        if (auto dropped = process::drop_privileges(*identity); !dropped) return refuse(dropped.error(), 1);
    process::forbid_new_privileges();  // before the log has a thread
    // Only now, without root's rights, because a user who may write in the log's folder could put a link there.
    if (auto opened = open_log(config); !opened) return refuse(opened.error(), cli::kExitConfig);
    if (geteuid() == 0) log::warning("server.running_as_root", {{"advice", "set user in the configuration"}});
    log_warnings(findings.warnings);
    if (tls) log_warnings(tls_warnings(config, *tls));

    process::systemd::status("Opening the store");
    auto engine = engine::local::LocalEngine::open(config.engine);
    if (!engine) {
        auto foreign = process::foreign_entry(config.data_dir, geteuid());
        auto what = fmt::format("{}{}{}", engine.error().detail(), foreign.empty() ? "" : "; ", foreign);
        return refuse(Error(engine.error().code(), config.error_at("data_dir", what)), 1);
    }
    for (const auto& damage : (*engine)->status().damage)
        log::error("store.damaged", {{"file", damage.file}, {"offset", damage.offset}, {"what", damage.what}});
    auto outside = make_parts(config, *prepared);  // threads begin here, with the rights that the server keeps
    if (!outside) return refuse(outside.error(), cli::kExitConfig);
    Server server(std::move(config), std::move(*engine), std::move(*tls), std::move(*tokens), std::move(*outside),
                  workers, std::move(*abroad));
    server.start(std::move(*listeners), std::move(*admin));
    server.run();
    return 0;
}

}  // namespace poplar::server
