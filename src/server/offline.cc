#include "server/offline.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "process/privileges.h"
#include "server/settings.h"

namespace poplar::server {

std::optional<Config> load_or_complain(const std::string& file) {
    auto config = load_config(file);
    if (config) return std::move(*config);
    for (const auto& line : config.error().lines) cli::complain(line);
    return std::nullopt;
}

Result<> become_owner(const Config& config) {
    umask(0077);
    auto owner = process::owner_to_become(config.data_dir, config.user);
    if (!owner) return pass_on(owner);
    if (!*owner) return {};
    if (auto became = process::drop_privileges(**owner); !became) return pass_on(became);
    fmt::print(stderr, "poplar: going on as {}, in place of root, as the server does\n", (*owner)->user);
    return {};
}

int complain_of_store(const Config& config, const Error& error) {
    auto foreign = process::foreign_entry(config.data_dir, geteuid());
    return cli::complain(
        fmt::format("{}: {}{}{}", config.data_dir, error.detail(), foreign.empty() ? "" : "; ", foreign));
}

}  // namespace poplar::server
