// poplar quota
#include "api/quota.h"

#include <fmt/format.h>

#include "base/units.h"
#include "cli/program.h"

namespace poplar::cli {

namespace {

/// "1.2 MB of 10 MB (12 %)".
std::string used_of(std::uint64_t used, std::uint64_t limit, std::string (*text)(std::uint64_t)) {
    if (limit == 0) return text(used) + ", no limit";
    return fmt::format("{} of {} ({:.0f} %)", text(used), text(limit),
                       static_cast<double>(used) * 100 / static_cast<double>(limit));
}

std::string number(std::uint64_t count) { return std::to_string(count); }

template <class Limit>
std::string limit_text(const api::Nullable<Limit>& limit, std::string (*text)(std::uint64_t)) {
    return !limit ? "not set" : limit->count == 0 ? "none" : text(limit->count);
}

void show(const api::Quota& quota) {
    fmt::print("name        {}\n", quota.name);
    if (quota.most_bytes) {
        fmt::print("bytes       {}\n", used_of(quota.used_bytes, *quota.most_bytes, human_size));
        fmt::print("messages    {}\n", used_of(quota.used_messages, quota.most_messages.value_or(0), number));
        fmt::print("own limits  {}; {} messages\n", limit_text(quota.bytes, human_size),
                   limit_text(quota.messages, number));
        return;
    }
    auto total = [](const auto& limit) { return limit && *limit ? (*limit)->count : 0; };
    fmt::print("all bytes   {}\n", used_of(quota.used_bytes, total(quota.total_bytes), human_size));
    fmt::print("all msgs    {}\n", used_of(quota.used_messages, total(quota.total_messages), number));
    fmt::print("an account  {}; {} messages\n", limit_text(quota.bytes, human_size),
               limit_text(quota.messages, number));
}

void show_recount(const api::RecountQuota&, const api::Recount& recount) {
    fmt::print("{}: {} messages, {}, in {} accounts\n", recount.name, recount.used_messages,
               human_size(recount.used_bytes), recount.accounts);
    for (const auto& address : recount.corrected) fmt::print("corrected {}\n", address);
}

}  // namespace

void add_quota_commands(CLI::App& app, Cli& cli) {
    auto* quota = app.add_subcommand("quota", "How much mail accounts and domains may hold");
    quota->require_subcommand(1);
    add_command<api::SetQuota>(quota, cli, "set", [](const api::SetQuota&, const api::Quota& now) { show(now); });
    add_command<api::ShowQuota>(quota, cli, "show", [](const api::ShowQuota&, const api::Quota& now) { show(now); });
    add_command<api::RecountQuota>(quota, cli, "recount", show_recount);
}

}  // namespace poplar::cli
