// poplar encryption
#include "api/encryption.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/password_input.h"
#include "cli/program.h"
#include "encryption/key_text.h"

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
    if (now.escrow) fmt::print("escrow         the operator's key opens it, too\n");
    if (now.state != api::EncryptionState::off && now.sealed && now.in_clear)
        fmt::print("messages       {} encrypted, {} in clear\n", *now.sealed, *now.in_clear);
    if (now.since) fmt::print("since          {}; backups made before have its mail in clear\n", *now.since);
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

void show_domain(const api::DomainEncryption& now) {
    fmt::print("{}: {} accounts, {} encrypted, {} begin with the next login by the account's own password\n", now.name,
               now.accounts, now.encrypted, now.wanted);
}

void add_enable(CLI::App* family, Cli& cli) {
    struct Wanted {
        api::EnableEncryption account;
        api::EnableDomainEncryption domain;
        bool from_stdin = false;
    };
    auto wanted = std::make_shared<Wanted>();
    auto* command = family->add_subcommand("enable", std::string(api::EnableEncryption::operation().request.words));
    auto* address =
        command->add_option("ADDRESS", wanted->account.address, "The account, for example jane@example.org");
    auto* password = command->add_flag("--password-stdin", wanted->from_stdin,
                                       "Read the account's password from the first line of standard input");
    command->add_option("--domain", wanted->domain.name, "All accounts that the domain has now, in place of one")
        ->excludes(address)
        ->excludes(password);
    command->callback([&cli, wanted] {
        cli.action = [&cli, wanted] {
            if (!wanted->domain.name.empty()) return cli.call<api::EnableDomainEncryption>(wanted->domain, show_domain);
            if (wanted->account.address.empty()) return complain("say whose: ADDRESS or --domain");
            if (wanted->from_stdin) {
                auto read = password_from_stdin();
                if (!read) return complain(read.error().detail());
                wanted->account.password = std::move(*read);
            }
            return cli.call<api::EnableEncryption>(wanted->account, show);
        };
    });
}

// The secret half is for a safe, and never comes to the server until it is needed.
int make_escrow_key(const std::string& path) {
    const auto pair = encryption::KeyPair::make();
    const auto text = encryption::key_text(pair.secret.view()) + "\n";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return complain(fmt::format("{}: {}", path, std::strerror(errno)));
    const bool written =
        ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
    ::close(file);
    if (!written) return complain(fmt::format("{}: it can't be written", path));
    fmt::print(
        "The secret half is in {}: take it to where the server is not. Configuration:\n\n"
        "  [encryption]\n  escrow = \"{}\"\n",
        path, encryption::key_text(encryption::view(pair.public_key)));
    return 0;
}

void add_escrow_key(CLI::App* family, Cli& cli) {
    auto path = std::make_shared<std::string>();
    auto* command = family->add_subcommand("escrow-key", "Make a key pair of the operator's, which opens all accounts");
    command->add_option("FILE", *path, "Gets the secret half; must not be there")->required();
    command->callback([&cli, path] { cli.action = [path] { return make_escrow_key(*path); }; });
}

}  // namespace

void add_encryption_commands(CLI::App& app, Cli& cli) {
    auto* encryption = app.add_subcommand("encryption", "Mail that is encrypted at rest");
    encryption->require_subcommand(1);
    add_enable(encryption, cli);
    add_command<api::ShowEncryption>(encryption, cli, "status",
                                     [](const api::ShowEncryption&, const api::Encryption& now) { show(now); });
    add_with_password<api::DisableEncryption>(encryption, cli, "disable", false);
    add_with_password<api::MakeRecoveryCode>(encryption, cli, "recovery-code", true);
    add_escrow_key(encryption, cli);
}

}  // namespace poplar::cli
