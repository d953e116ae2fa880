#include "cli/remote_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace poplar::cli {

namespace {

constexpr std::size_t kNamed = 20;  // of each kind that a person is shown; JSON has all

void print_some(std::string_view what, const std::vector<std::string>& all) {
    for (std::size_t i = 0; i < std::min(all.size(), kNamed); ++i)
        fmt::print("{}: {}\n", what, with_hidden_shown(all[i]));
    if (all.size() > kNamed) fmt::print("... and {} more; --json names all\n", all.size() - kNamed);
}

}  // namespace

Result<moving::RemoteOptions> RemoteWords::parse() const {
    moving::RemoteOptions options;
    options.unnamed = unnamed();
    std::optional<moving::Encryption> wanted;
    if (tls) wanted = moving::Encryption::tls;
    if (no_tls) wanted = moving::Encryption::none;
    const auto certificate = insecure ? moving::Certificate::any : moving::Certificate::checked;
    const auto read = [&](const std::string& text, const moving::StandardPorts& ports,
                          std::optional<moving::Endpoint>& endpoint) -> Result<> {
        if (text.empty()) return {};
        auto parsed = moving::parse_endpoint(text, wanted, certificate, ports);
        if (!parsed) return pass_on(parsed);
        endpoint = std::move(*parsed);
        return {};
    };
    if (auto done = read(pop3, moving::kPop3Ports, options.pop3); !done) return pass_on(done);
    if (auto done = read(imap, moving::kImapPorts, options.imap); !done) return pass_on(done);
    return options;
}

std::optional<MirroredSource> RemoteWords::mirrored(const std::string& user) const {
    if (!mirror) return std::nullopt;
    return MirroredSource{user, !pop3.empty(), !imap.empty()};
}

void add_remote_options(CLI::App* sub, RemoteWords& words) {
    sub->add_option("--pop3", words.pop3, "A POP3 server: unique-ids and order of INBOX; HOST or HOST:PORT")
        ->type_name("HOST");
    sub->add_option("--imap", words.imap, "An IMAP server: flags, dates and the other mailboxes; HOST or HOST:PORT")
        ->type_name("HOST");
    auto* tls = sub->add_flag("--tls", words.tls,
                              "TLS from the first octet, at whatever port; without this, STLS or STARTTLS at a port "
                              "that is not the one for it");
    auto* no_tls = sub->add_flag("--no-tls", words.no_tls, "No TLS: the password goes over the wire in the clear");
    sub->add_flag("--insecure", words.insecure, "TLS with whatever certificate the server shows")->excludes(no_tls);
    tls->excludes(no_tls);
    sub->add_flag("--mirror", words.mirror, "Delete here what came from there and is gone there");
    sub->add_flag("--final", words.final,
                  "Bring messages of INBOX that have no unique-id there yet, too; else they wait for one");
}

std::string summary(const ImportReport& report) {
    auto text = fmt::format("{} messages: {} stored, {} there already, {} deleted here and not brought back",
                            report.messages, report.stored, report.there, report.deleted);
    if (report.removed > 0) text += fmt::format(", {} gone there and deleted here", report.removed);
    if (!report.held.empty()) text += ", some held back until they have a unique-id there";
    return text +
           fmt::format("; unique-ids of those stored: {} kept, {} new", report.kept, report.stored - report.kept);
}

void print_details(const ImportReport& report) {
    print_some("not kept", report.not_kept);
    print_some("held back", report.held);
    print_some("gone meanwhile", report.gone);
    print_some("refused", report.refused);
}

void print_comparison(const ImportComparison& found) {
    fmt::print("{} messages, {} of INBOX; {} would be stored\n", found.messages, found.inbox, found.fresh);
    if (found.would_remove > 0) fmt::print("{} are gone there and would be deleted here\n", found.would_remove);
    fmt::print("already here: {} identical unique-ids, {} identical sizes, {} in the same order\n", found.ids,
               found.sizes, found.in_order);
    if (found.without > 0) fmt::print("{} of INBOX have no unique-id that can be kept\n", found.without);
    fmt::print("{}\n", found.outlook());
    print_some("of another size", found.differing);
    print_some("held back", found.held);
    print_some("not kept", found.not_kept);
}

}  // namespace poplar::cli
