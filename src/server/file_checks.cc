#include "server/file_checks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "process/privileges.h"

namespace poplar::server {

namespace {

std::string mode_text(const struct stat& found) { return fmt::format("mode {:04o}", found.st_mode & 07777); }

void check_data_dir(const Config& config, std::optional<uid_t> server, Findings& findings) {
    struct stat found{};
    const auto& folder = config.data_dir;
    if (::stat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return;
    auto error = [&](std::string what) { findings.errors.push_back(config.error_at("data_dir", what)); };
    if (found.st_mode & S_IWOTH)
        error(fmt::format("everybody on this machine can write in {} ({}): chmod 700 {}", folder, mode_text(found),
                          folder));
    else if (found.st_mode & S_IWGRP)
        findings.warnings.push_back(config.error_at(
            "data_dir", fmt::format("a group can write in {} ({}): chmod 700 {}", folder, mode_text(found), folder)));
    if (!server || found.st_uid == *server) return;
    const auto owner = process::user_name(found.st_uid), ours = process::user_name(*server);
    // Files of two owners in one store: sooner or later one of them is locked out.
    error(*server == 0
              ? fmt::format("{} belongs to {}, and the server would run as root: set user, or chown -R root {}", folder,
                            owner, folder)
              : fmt::format("{} belongs to {}, and the server runs as {}: chown -R {} {}", folder, owner, ours, ours,
                            folder));
}

void check_secret(const Config& config, std::string_view key, const std::string& file, std::optional<uid_t> server,
                  Findings& findings) {
    struct stat found{};
    if (file.empty() || ::stat(file.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return;
    auto warn = [&](const std::string& what) { findings.warnings.push_back(config.error_at(key, what)); };
    if (found.st_mode & (S_IROTH | S_IWOTH))
        warn(fmt::format("everybody on this machine can {} {} ({}): chmod o= {}",
                         found.st_mode & S_IWOTH ? "write to" : "read", file, mode_text(found), file));
    if (server && found.st_uid != 0 && found.st_uid != *server)
        warn(fmt::format("{} belongs to {}, neither to root nor to {}", file, process::user_name(found.st_uid),
                         process::user_name(*server)));
}

}  // namespace

Findings check_files(const Config& config, std::optional<uid_t> server) {
    Findings findings;
    check_data_dir(config, server, findings);
    check_secret(config, "tls.private_key", config.tls.private_key, server, findings);
    check_secret(config, "oauth.introspection_secret_file", config.sasl.tokens.introspection_secret_file, server,
                 findings);
    for (const auto& one : config.directories)
        check_secret(config, "directory", one.bind_password_file, server, findings);
    return findings;
}

}  // namespace poplar::server
