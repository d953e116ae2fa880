#pragma once
// Options of the commands that fetch mail from another server.
#include <optional>
#include <string>

#include "cli/mail_import.h"
#include "cli/program.h"
#include "moving/remote.h"

namespace poplar::cli {

struct RemoteWords {
    std::string pop3, imap;
    bool tls = false, no_tls = false, insecure = false, mirror = false, final = false;

    bool any() const { return !pop3.empty() || !imap.empty(); }
    moving::Unnamed unnamed() const { return final ? moving::Unnamed::bring : moving::Unnamed::hold_back; }
    /// Without credentials. Errors: invalid.
    Result<moving::RemoteOptions> parse() const;
    std::optional<MirroredSource> mirrored(const std::string& user) const;
};

void add_remote_options(CLI::App* sub, RemoteWords& words);

/// Tell people what was done, in a line or two, and then name the messages that they have to know of.
std::string summary(const ImportReport& report);
void print_details(const ImportReport& report);
void print_comparison(const ImportComparison& comparison);

}  // namespace poplar::cli
