// The whole program: common options, subcommands, exit codes.
#include "cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "base/printable.h"
#include "cli/import_mail.h"

namespace poplar::cli {

namespace {

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

std::string Cli::config_path() const { return config_file.empty() ? host.default_config_file : config_file; }

std::optional<Client> Cli::client() const {
    if (!socket.empty()) return std::optional<Client>(std::in_place, socket);
    // Without --config the default file may be missing, or not for this user to read. Then the default socket is taken.
    if (config_file.empty() && access(config_path().c_str(), R_OK) != 0)
        return std::optional<Client>(std::in_place, host.default_socket);
    auto configured = host.admin_socket(config_path());
    if (!configured) return std::nullopt;
    return std::optional<Client>(std::in_place, *configured);
}

void Cli::print_json(const api::Json& value) const {
    const auto text = api::dump(value, 2);
    for (std::string_view left = text; !left.empty();) {
        const auto line = left.substr(0, left.find('\n'));
        fmt::print("{}\n", with_hidden_shown(line));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
    }
}

namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return out;
}

// "password_hash" is --password-hash.
std::string option_name(std::string_view member) {
    std::string name = "--" + std::string(member);
    std::ranges::replace(name, '_', '-');
    return name;
}

}  // namespace

void add_options(CLI::App* command, Cli& cli, const api::Operation& operation, void* request) {
    using api::Member;
    for (const auto& member : operation.request.members) {
        if (member.option == Member::Option::none) continue;
        const bool in_path = place_of(operation, member) == api::Place::path;
        const bool positional = in_path || member.option == Member::Option::positional;
        const auto label = member.label.empty() ? upper(member.name) : std::string(member.label);
        const auto name = positional ? label : option_name(member.name);
        auto take = [&cli, &member, request, name](std::string_view text) {
            auto done = member.type->read_text(text, member.make(request), member);
            if (!done && cli.wrong.empty()) cli.wrong = fmt::format("{} {}", name, done.error().detail());
        };
        const std::string words(member.words);
        using Form = api::Type::Form;
        if (member.type->form() == Form::flag) {
            command->add_flag_function(name, [take](std::int64_t) { take("yes"); }, words);
        } else if (member.type->form() == Form::list) {
            auto take_all = [take](const std::vector<std::string>& all) {
                for (const auto& one : all) take(one);
            };
            auto* option = command->add_option_function<std::vector<std::string>>(name, take_all, words);
            option->required(positional);
            if (!positional) option->delimiter(',');
        } else {
            const bool required = positional && !member.optional;
            auto* option = command->add_option_function<std::string>(name, take, words)->required(required);
            if (!positional) option->type_name(label);
        }
    }
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

int run(int argc, const char* const* argv, Host host) {
    open_standard_files();
    CLI::App app("Poplar, a POP-first mail server", "poplar");
    Cli cli;
    cli.host = std::move(host);
    app.fallthrough();  // common options may stand before or after the subcommand
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    app.add_option("-c,--config", cli.config_file,
                   fmt::format("Configuration file (default: {})", cli.host.default_config_file))
        ->type_name("FILE");
    app.add_option("-s,--socket", cli.socket, "Admin socket of the server (default: as the configuration has it)")
        ->type_name("PATH");
    app.add_flag("--json", cli.json, "Print JSON instead of text for people");
    app.set_version_flag("--version", fmt::format("poplar {}", cli.host.version), "Print the version and exit");
    constexpr std::string_view kExitCodes =
        "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 69 no server answers, 78 the configuration is\nwrong.";
    // Subcommands take over the footer that stands when they are added.
    app.footer(fmt::format(
        "Common options, here or before the subcommand: -c,--config FILE; -s,--socket PATH; --json.\n{}", kExitCodes));
    cli.host.add_commands(app, cli);
    add_server_commands(app, cli);
    add_directory_commands(app, cli);
    add_user_commands(app, cli);
    add_device_commands(app, cli);
    add_quota_commands(app, cli);
    add_encryption_commands(app, cli);
    add_activity_commands(app, cli);
    add_second_factor_commands(app, cli);
    add_queue_commands(app, cli);
    add_dkim_commands(app, cli);
    auto* mail = add_mail_commands(app, cli);
    add_mailbox_commands(app, *mail, cli);
    add_import_mail_command(app, cli);
    add_migrate_command(app, cli);
    add_export_command(app, cli);
    add_sieve_commands(app, cli);
    app.footer(fmt::format("\"poplar SUBCOMMAND --help\" tells more about each.\n{}", kExitCodes));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        return complain(one_line(error.what()) + " (--help tells more)", 2);
    }
    if (!cli.action) return complain("nothing to do (--help tells more)", 2);
    if (!cli.wrong.empty()) return complain(cli.wrong);
    // A list cut short by a full disk must not pass for the whole.
    try {
        int exit_code = cli.action();
        if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
    } catch (const std::system_error& error) {  // fmt::print throws it, but so do threads
        if (!std::ferror(stdout)) return complain(error.what());
    }
    return complain("standard output can't be written");
}

}  // namespace poplar::cli
