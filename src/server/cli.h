#pragma once
// The command line: `poplar SUBCOMMAND ...`. Each family of commands has its file, cli_*.cc.
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "server/admin_client.h"
#include "server/config.h"

namespace poplar::server {

/// Runs the program and returns its exit code: 0, 1 (refused or failed), 2 (usage), 69 (no server answers), 78 (the
/// configuration is wrong).
int run(int argc, const char* const* argv);

/// What every command may use.
struct Cli {
    std::string config_file, socket;
    bool json = false;
    std::function<int()> action;  ///< the chosen command

    std::string config_path() const;
    /// Reads the configuration; on failure prints its errors and returns nothing: exit with kExitConfig.
    std::optional<Config> load() const;
    /// The admin socket: --socket, else from the configuration, else the default. On failure as load().
    std::optional<AdminClient> client() const;
    /// Makes a call and prints what it answers: as JSON, or by `show`.
    int call(std::string_view method, std::string_view target, const nlohmann::json& body,
             const std::function<void(const nlohmann::json&)>& show) const;
    void print_json(const nlohmann::json& json) const;
};

void add_server_commands(CLI::App& app, Cli& cli);     ///< serve, check-config, rebuild, verify, status, version
void add_directory_commands(CLI::App& app, Cli& cli);  ///< domain, alias
void add_user_commands(CLI::App& app, Cli& cli);       ///< user
void add_import_command(CLI::App& user, Cli& cli);     ///< user import
void add_mail_commands(CLI::App& app, Cli& cli);       ///< mail, deliver

/// "poplar: message" on stderr; returns 1.
int complain(std::string_view message, int exit_code = 1);
int complain(const CallError& error);

/// Columns as wide as they need be; numbers to the right.
class Table {
public:
    enum class Align { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    /// Cells may hold what strangers wrote.
    void add(std::vector<std::string> row);
    bool empty() const { return rows_.empty(); }
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// "v1/accounts/ADDRESS..." with the segments percent-encoded.
std::string route(std::initializer_list<std::string_view> segments);

}  // namespace poplar::server
