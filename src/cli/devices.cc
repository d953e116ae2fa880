// poplar device
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/devices.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

void show_added(const api::AddDevice& asked, const api::Device& device) {
    fmt::print("added {} ({}) of {}\n", device.name, device.id, asked.address);
    fmt::print("password: {}\n", device.password.value_or(""));
    fmt::print("It is shown this once. Type it with or without the hyphens, in either case.\n");
}

void show_devices(const api::ListDevices&, const api::DeviceList& list) {
    Table table({{"ID"},
                 {"NAME"},
                 {"CREATED"},
                 {"LAST USED"},
                 {"FROM"},
                 {"PROTOCOL"},
                 {"FETCHED", Table::Align::right},
                 {"DELETED", Table::Align::right},
                 {"MAY"}});
    for (const auto& device : list.devices) {
        auto may = fmt::format("{}", fmt::join(device.protocols, ", "));
        if (device.read_only) may += "; read only";
        if (device.view == "shared") may += "; shares the maildrop";
        if (device.mailboxes != std::vector<std::string>{"INBOX"})
            may += fmt::format("; sees {}", fmt::join(device.mailboxes, ", "));
        if (!device.from.empty()) may += fmt::format("; from {}", fmt::join(device.from, ", "));
        if (device.expires) may += fmt::format("; until {}", *device.expires);
        table.add({device.id, device.name, device.created, device.last_used.value_or("never"), device.last_from,
                   device.last_protocol, std::to_string(device.fetched), std::to_string(device.deleted), may});
    }
    fmt::print("{}", table.text());
}

void show_set(const api::SetDevice&, const api::Device& device) {
    fmt::print("changed {} ({})\n", device.name, device.id);
}

void show_revoked(const api::RevokeDevice&, const api::DeviceRevocation& revoked) {
    fmt::print("revoked {} ({}); sessions ended: {}\n", revoked.name, revoked.id, revoked.sessions_ended);
}

}  // namespace

void add_device_commands(CLI::App& app, Cli& cli) {
    auto* device = app.add_subcommand("device", "Devices: a password for each client, which can be taken back alone");
    device->require_subcommand(1);
    add_command<api::AddDevice>(device, cli, "add", show_added);
    add_command<api::ListDevices>(device, cli, "list", show_devices);
    add_command<api::SetDevice>(device, cli, "set", show_set);
    add_command<api::RevokeDevice>(device, cli, "revoke", show_revoked);
}

}  // namespace poplar::cli
