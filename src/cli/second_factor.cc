// poplar totp, poplar approve
#include <fmt/format.h>
#include <qrencode.h>

#include <memory>

#include "api/second_factor.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

/// The text as a QR code (ISO/IEC 18004) for a terminal, two rows of modules in a line of text; "" if it is too long
/// for one. Drawn light on dark and dark on light alike: the quiet zone around it is drawn, too.
std::string qr_code(const std::string& text) {
    constexpr int kQuiet = 2;  // modules; the standard says 4, and every reader is content with 2
    const std::unique_ptr<QRcode, void (*)(QRcode*)> code(QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_L),
                                                          QRcode_free);
    if (!code) return {};
    const int width = code->width;
    auto is_dark = [&](int row, int column) {
        if (row < 0 || column < 0 || row >= width || column >= width) return false;
        return (code->data[row * width + column] & 1) != 0;
    };
    std::string out;
    for (int row = -kQuiet; row < width + kQuiet; row += 2) {
        out += "\x1b[30;47m";  // black on white
        for (int column = -kQuiet; column < width + kQuiet; ++column) {
            const bool upper = is_dark(row, column), lower = is_dark(row + 1, column);
            out += upper ? (lower ? "\u2588" : "\u2580") : (lower ? "\u2584" : " ");
        }
        out += "\x1b[0m\n";
    }
    return out;
}

void show_codes(const std::vector<std::string>& codes) {
    fmt::print("Recovery codes, each good once in place of a code. Keep them on paper; they are shown this once:\n");
    for (std::size_t at = 0; at < codes.size(); ++at)
        fmt::print("{}{}", codes[at], at % 5 == 4 || at + 1 == codes.size() ? "\n" : "  ");
}

void show_enrolled(const api::EnrollTotp& asked, const api::Enrollment& made) {
    fmt::print("{}\n{}secret: {}\n", made.uri, qr_code(made.uri), made.secret);
    show_codes(made.recovery_codes);
    fmt::print("It counts once a code was right: poplar totp confirm {} CODE\n", asked.address);
}

void show_confirmed(const api::ConfirmTotp&, const api::TotpConfirmation& confirmed) {
    fmt::print("confirmed the authenticator of {}\n", confirmed.address);
    if (confirmed.second_factor == api::SecondFactor::none)
        fmt::print("No login asks for a code yet: poplar user set {} --second-factor optional\n", confirmed.address);
}

void show_sites(const api::ListSites&, const api::SiteList& list) {
    constexpr std::array kWords{"password alone", "accepted", "denied", "waits"};
    Table table({{"ID"}, {"NETWORK"}, {"IS"}, {"FROM"}, {"PROTOCOL"}, {"SINCE"}, {"UNTIL"}});
    for (const auto& site : list.sites)
        table.add({std::to_string(site.id), site.network, kWords[static_cast<std::size_t>(site.kind)], site.peer,
                   site.protocol, site.since, site.until});
    fmt::print("{}", table.text());
}

int learn(const Cli& cli, api::LearnSites asked) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    api::LearnedSites all;
    for (;;) {
        auto some = server->call(asked);
        if (!some) return complain(some.error());
        all.accounts += some->accounts;
        all.sites += some->sites;
        if (some->next.empty()) break;
        asked.after = some->next;
    }
    if (cli.json)
        cli.print_json(api::to_json(all));
    else
        fmt::print("accepted {} networks of {} accounts\n", all.sites, all.accounts);
    return 0;
}

void add_learn_command(CLI::App* approve, Cli& cli) {
    auto asked = std::make_shared<api::LearnSites>();
    auto* command = approve->add_subcommand("learn", std::string(api::LearnSites::operation().request.words));
    add_options(command, cli, api::LearnSites::operation(), asked.get());
    command->callback([&cli, asked] { cli.action = [&cli, asked] { return learn(cli, *asked); }; });
}

}  // namespace

void add_second_factor_commands(CLI::App& app, Cli& cli) {
    auto* totp = app.add_subcommand("totp", "Authenticators: codes behind the password, as a second factor");
    totp->require_subcommand(1);
    add_command<api::EnrollTotp>(totp, cli, "enroll", show_enrolled);
    add_command<api::ConfirmTotp>(totp, cli, "confirm", show_confirmed);
    add_command<api::RemoveTotp>(totp, cli, "remove", [](const api::RemoveTotp&, const api::TotpRemoval& removed) {
        fmt::print("removed the authenticator of {}; sessions ended: {}\n", removed.address, removed.sessions_ended);
    });
    add_command<api::MakeRecoveryCodes>(
        totp, cli, "codes",
        [](const api::MakeRecoveryCodes&, const api::RecoveryCodes& made) { show_codes(made.recovery_codes); });
    auto* approve = app.add_subcommand("approve", "Networks that an account is logged in from, as a second factor");
    approve->require_subcommand(1);
    add_command<api::ListSites>(approve, cli, "list", show_sites);
    add_command<api::AcceptSite>(approve, cli, "accept", [](const api::AcceptSite&, const api::Site& site) {
        fmt::print("accepted {} until {}, and longer while it is used\n", site.network, site.until);
    });
    add_learn_command(approve, cli);
    add_command<api::DenySite>(approve, cli, "deny", [](const api::DenySite&, const api::SiteDenial& site) {
        fmt::print("denied {} until {}; sessions ended: {}\n", site.network, site.until, site.sessions_ended);
    });
}

}  // namespace poplar::cli
