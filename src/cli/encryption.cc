// poplar encryption
#include "api/encryption.h"

#include <fmt/format.h>

#include "cli/password_input.h"
#include "cli/program.h"

namespace poplar::cli {

namespace {

constexpr std::string_view kStates[] = {
    "off",
    "begins with the next login by the account's own password",
    "new mail is encrypted; what was there before is being encrypted",
    "on",
    "new mail is in clear; what is encrypted is being decrypted",
};

void show(const api::Encryption& now) {
    fmt::print("address        {}\n", now.address);
    fmt::print("encryption     {}\n", kStates[static_cast<std::size_t>(now.state)]);
    if (now.passwords + now.devices + now.waiting != 0) {
        fmt::print("opened by      {} passwords, {} devices\n", now.passwords, now.devices);
        if (now.waiting != 0) fmt::print("waiting        {} for a login that opens the mail\n", now.waiting);
        fmt::print("recovery code  {}\n", now.recovery_code_made ? "there is one" : "none");
    }
    if (now.unreadable != 0) fmt::print("unreadable     {} messages; they stay as they are\n", now.unreadable);
    if (now.recovery_code)
        fmt::print(
            "\nThe recovery code opens the mail if the password is lost. It is shown this once; write it down:\n"
            "  {}\n",
            *now.recovery_code);
}

/// A command that may get the account's password.
template <class Request>
void add_with_password(CLI::App* family, Cli& cli, const char* name, bool needed) {
    auto request = std::make_shared<Request>();
    auto from_stdin = std::make_shared<bool>(false);
    auto* command = family->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    auto* option = command->add_flag("--password-stdin", *from_stdin,
                                     "Read the account's password from the first line of standard input");
    if (needed) option->required();
    command->callback([&cli, request, from_stdin] {
        cli.action = [&cli, request, from_stdin] {
            if (*from_stdin) {
                auto password = password_from_stdin();
                if (!password) return complain(password.error().detail());
                request->password = std::move(*password);
            }
            return cli.call<Request>(*request, show);
        };
    });
}

}  // namespace

void add_encryption_commands(CLI::App& app, Cli& cli) {
    auto* encryption = app.add_subcommand("encryption", "Mail that is encrypted at rest");
    encryption->require_subcommand(1);
    add_with_password<api::EnableEncryption>(encryption, cli, "enable", false);
    add_command<api::ShowEncryption>(encryption, cli, "status",
                                     [](const api::ShowEncryption&, const api::Encryption& now) { show(now); });
    add_with_password<api::DisableEncryption>(encryption, cli, "disable", false);
    add_with_password<api::MakeRecoveryCode>(encryption, cli, "recovery-code", true);
}

}  // namespace poplar::cli
