#include "server/offline.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"
#include "process/privileges.h"
#include "server/settings.h"

namespace poplar::server {

std::optional<Config> load_or_complain(const std::string& file) {
    auto config = load_config(file);
    if (config) return std::move(*config);
    for (const auto& line : config.error().lines) cli::complain(line);
    return std::nullopt;
}

Result<> become_owner(const Config& config) {
    umask(0077);
    auto owner = process::owner_to_become(config.data_dir, config.user);
    if (!owner) return pass_on(owner);
    if (!*owner) return {};
    if (auto became = process::drop_privileges(**owner); !became) return pass_on(became);
    fmt::print(stderr, "poplar: going on as {}, in place of root, as the server does\n", (*owner)->user);
    return {};
}

Result<std::uint64_t> repair_all(engine::Engine& engine, const Config& config) {
    directory::Directory directory(engine, system_clock(), config.directory);
    mailstore::MailStore store(engine, system_clock(), config.mailstore);
    auto repair = [](directory::Directory& accounts, mailstore::MailStore& mail) -> Task<Result<std::uint64_t>> {
        constexpr std::size_t kPage = 1000;
        auto kept = co_await mail.repair(directory::kPostmasterMailbox);
        if (!kept) co_return pass_on(kept);
        std::uint64_t repaired = *kept;
        std::string after;
        for (;;) {
            auto page = co_await accounts.accounts("", after, kPage);
            if (!page) co_return pass_on(page);
            for (const auto& account : *page) {
                auto changed = co_await mail.repair(account.id);
                if (!changed) co_return pass_on(changed);
                repaired += *changed;
                after = account.address;
            }
            if (page->size() < kPage) co_return repaired;
        }
    };
    asio::io_context context(1);
    Result<std::uint64_t> repaired;
    asio::co_spawn(context, repair(directory, store), [&](std::exception_ptr failure, Result<std::uint64_t> result) {
        if (failure) std::rethrow_exception(failure);
        repaired = std::move(result);
    });
    context.run();
    return repaired;
}

int complain_of_store(const Config& config, const Error& error) {
    auto foreign = process::foreign_entry(config.data_dir, geteuid());
    return cli::complain(
        fmt::format("{}: {}{}{}", config.data_dir, error.detail(), foreign.empty() ? "" : "; ", foreign));
}

}  // namespace poplar::server
