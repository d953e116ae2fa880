#include "server/cli.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <system_error>

#include "base/printable.h"
#include "base/version.h"
#include "http/target.h"
#include "server/admin_api.h"

namespace poplar::server {

namespace {

// Columns on a terminal, near enough: characters, not octets.
std::size_t width(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (c & 0xc0) != 0x80;
    return count;
}

std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\r') c = ' ';
    while (text.ends_with(' ')) text.pop_back();
    return text;
}

}  // namespace

int complain(std::string_view message, int exit_code) {
    fmt::print(stderr, "poplar: {}\n", with_hidden_shown(message));
    return exit_code;
}

int complain(const CallError& error) { return complain(error.message, error.exit_code); }

std::string route(std::initializer_list<std::string_view> segments) {
    std::string path = "/v1";
    for (auto segment : segments) path.append("/").append(http::percent_encode(segment));
    return path;
}

void Table::add(std::vector<std::string> row) {
    for (auto& cell : row) cell = with_hidden_shown(cell);
    rows_.push_back(std::move(row));
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (const auto& column : columns_) widths.push_back(width(column.title));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    std::string out;
    auto line = [&](auto cell) {
        std::string built;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            std::string_view content = cell(i);
            std::string pad(widths[i] - width(content), ' ');
            if (i > 0) built += "  ";
            built += columns_[i].align == Align::right ? pad + std::string(content) : std::string(content) + pad;
        }
        built.erase(built.find_last_not_of(' ') + 1);
        out += built + "\n";
    };
    line([&](std::size_t i) { return std::string_view(columns_[i].title); });
    for (const auto& row : rows_) line([&](std::size_t i) { return std::string_view(row[i]); });
    return out;
}

std::string Cli::config_path() const { return config_file.empty() ? std::string(kDefaultConfigFile) : config_file; }

std::optional<Config> Cli::load() const {
    auto config = load_config(config_path());
    if (config) return std::move(*config);
    for (const auto& line : config.error().lines) complain(line);
    return std::nullopt;
}

std::optional<AdminClient> Cli::client() const {
    if (!socket.empty()) return std::optional<AdminClient>(std::in_place, socket);
    // Without --config a machine may well have none, or none that this user may read: the default socket serves.
    if (config_file.empty() && access(config_path().c_str(), R_OK) != 0)
        return std::optional<AdminClient>(std::in_place, Config().admin_socket);
    auto config = load();
    if (!config) return std::nullopt;
    return std::optional<AdminClient>(std::in_place, config->admin_socket);
}

void Cli::print_json(const Json& value) const {
    const auto text = dump(value, 2);
    for (std::string_view left = text; !left.empty();) {
        const auto line = left.substr(0, left.find('\n'));
        fmt::print("{}\n", with_hidden_shown(line));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
    }
}

int Cli::call(std::string_view method, std::string_view target, const Json& body,
              const std::function<void(const Json&)>& show) const {
    auto server = client();
    if (!server) return kExitConfig;
    auto reply = server->call(method, target, body);
    if (!reply) return complain(reply.error());
    if (json)
        print_json(*reply);
    else
        show(*reply);
    return 0;
}

// A descriptor from 0 to 2 that is closed would be given to a socket or a file of the store, and what is meant for the
// terminal would be written there.
void open_standard_files() {
    for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::dup(fd))
        if (fd > STDERR_FILENO) {
            ::close(fd);
            return;
        }
}

int run(int argc, const char* const* argv) {
    open_standard_files();
    CLI::App app("Poplar, a POP-first mail server", "poplar");
    Cli cli;
    app.fallthrough();  // common options may stand before or after the subcommand
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    app.add_option("-c,--config", cli.config_file, fmt::format("Configuration file (default: {})", kDefaultConfigFile))
        ->type_name("FILE");
    app.add_option("-s,--socket", cli.socket, "Admin socket of the server (default: as the configuration has it)")
        ->type_name("PATH");
    app.add_flag("--json", cli.json, "Print JSON instead of text for people");
    app.set_version_flag("--version", fmt::format("poplar {}", version()), "Print the version and exit");
    constexpr std::string_view kExitCodes =
        "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 69 no server answers, 78 the configuration is\nwrong.";
    // Subcommands take over the footer that stands when they are added.
    app.footer(fmt::format(
        "Common options, here or before the subcommand: -c,--config FILE; -s,--socket PATH; --json.\n{}", kExitCodes));
    add_server_commands(app, cli);
    add_directory_commands(app, cli);
    add_user_commands(app, cli);
    add_mail_commands(app, cli);
    app.footer(fmt::format("\"poplar SUBCOMMAND --help\" tells more about each.\n{}", kExitCodes));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        return complain(one_line(error.what()) + " (--help tells more)", 2);
    }
    if (!cli.action) return complain("nothing to do (--help tells more)", 2);
    // A list cut short by a full disk must not pass for the whole.
    try {
        int exit_code = cli.action();
        if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
    } catch (const std::system_error& error) {  // fmt::print throws it, but so do threads
        if (!std::ferror(stdout)) return complain(error.what());
    }
    return complain("standard output can't be written");
}

}  // namespace poplar::server
