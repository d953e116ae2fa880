// poplar dkim
#include "api/dkim.h"

#include <fmt/format.h>

#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

template <class Request>
void show_keys(const Request&, const api::DkimKeys& all) {
    Table table({{"DOMAIN"}, {"SELECTOR"}, {"ALGORITHM"}, {"CREATED"}, {"SIGNS FROM"}});
    for (const auto& key : all.keys) table.add({key.domain, key.selector, key.algorithm, key.created, key.signs_from});
    fmt::print("{}", table.text());
}

template <class Request>
void show_made(const Request& asked, const api::DkimKeys& all) {
    show_keys(asked, all);
    fmt::print("Publish their records: poplar dkim dns {}\n", asked.domain);
}

/// A line of a zone file: strings of at most 255 octets (RFC 1035 s3.3).
void show_records(const api::ShowDkimRecords&, const api::DnsRecords& all) {
    constexpr std::size_t kLongest = 255;
    for (const auto& record : all.records) {
        fmt::print("{}. IN TXT (", record.name);
        for (std::size_t at = 0; at < record.value.size(); at += kLongest)
            fmt::print(" \"{}\"", record.value.substr(at, kLongest));
        fmt::print(" )\n");
    }
}

}  // namespace

void add_dkim_commands(CLI::App& app, Cli& cli) {
    auto* dkim = app.add_subcommand("dkim", "Keys that sign mail of your domains");
    dkim->require_subcommand(1);
    add_command<api::AddDkim>(dkim, cli, "add", show_made<api::AddDkim>);
    add_command<api::ListDkim>(dkim, cli, "list", show_keys<api::ListDkim>);
    add_command<api::ShowDkimRecords>(dkim, cli, "dns", show_records);
    add_command<api::RotateDkim>(dkim, cli, "rotate", show_made<api::RotateDkim>);
    add_command<api::RemoveDkim>(dkim, cli, "remove", [](const api::RemoveDkim&, const api::DkimRemoval& removal) {
        fmt::print("removed {} keys of {}\n", removal.keys, removal.domain);
    });
}

}  // namespace poplar::cli
