// poplar migrate: many accounts from another server, several at a time.
#include <fmt/format.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/printable.h"
#include "cli/import_mail.h"
#include "cli/password_input.h"
#include "cli/remote_options.h"
#include "moving/account_list.h"

namespace poplar::cli {

namespace {

using moving::MovingAccount;

constexpr std::size_t kMostAtOnce = 64;

struct MigrateOptions {
    std::string list, master_user, master_password_file;
    RemoteWords remote;
    std::size_t parallel = 4;
    bool dry_run = false;
};

class Migration {
public:
    Migration(const Cli& cli, const MigrateOptions& options, moving::RemoteOptions remote,
              std::vector<MovingAccount> accounts)
        : cli_(cli), options_(options), remote_(std::move(remote)), accounts_(std::move(accounts)) {}

    int run() {
        const auto count = std::min(options_.parallel, accounts_.size());
        for (std::size_t i = 0; i < count; ++i) {
            // A Client does not move: it is made where it stays.
            clients_.emplace_back(new std::optional<Client>(cli_.client()));
            if (!*clients_.back()) return kExitConfig;
        }
        std::vector<std::jthread> threads;
        for (auto& client : clients_)
            threads.emplace_back([this, &client] {
                for (auto n = next_++; n < accounts_.size(); n = next_++) move(**client, accounts_[n]);
            });
        threads.clear();
        if (cli_.json)
            cli_.print_json({{"accounts", std::move(results_)}, {"failed", failed_}});
        else
            fmt::print("{} accounts: {} done, {} not\n", accounts_.size(), accounts_.size() - failed_, failed_);
        return failed_ == 0 ? 0 : 1;
    }

private:
    void move(Client& client, const MovingAccount& account) {
        auto options = remote_;
        options.credentials.user = account.user;
        if (options.credentials.master.empty()) options.credentials.password = account.password;
        moving::RemoteSource source(std::move(options));
        MailImport import(client, account.address, [](std::size_t, std::size_t) {});
        try {
            bring(import, source, account);
        } catch (const std::bad_alloc&) {  // of one server, which must not end the moves of the others
            tell(account, import,
                 std::unexpected(CallError{.message = "no memory for what the other server sends", .code = "io"}));
        }
    }

    void bring(MailImport& import, moving::RemoteSource& source, const MovingAccount& account) {
        auto done = import.list(source);
        const auto mirrored = options_.remote.mirrored(account.user);
        if (done && options_.dry_run) {
            auto compared = import.compare(source, mirrored ? &*mirrored : nullptr);
            if (compared) {
                tell(account, import, *compared);
                return;
            }
            done = std::unexpected(std::move(compared.error()));
        } else if (done) {
            done = import.run(source);
            if (done && mirrored) done = import.mirror(*mirrored);
        }
        tell(account, import, done);
    }

    void tell(const MovingAccount& account, const MailImport& import, const ImportComparison& compared) {
        std::scoped_lock lock(mutex_);
        if (cli_.json) {
            add(account, import, compared.json());
            return;
        }
        fmt::print("{}: ", with_hidden_shown(account.address));
        print_comparison(compared);
    }

    void tell(const MovingAccount& account, const MailImport& import, const CallResult<>& done) {
        std::scoped_lock lock(mutex_);
        const auto& report = import.report();
        if (!done || !report.clean()) ++failed_;
        if (cli_.json) {
            auto json = report.json();
            if (!done) json["error"] = done.error().message;
            add(account, import, std::move(json));
            return;
        }
        if (!done) complain(fmt::format("{}: {}", account.address, done.error().message));
        if (!done && report.messages == 0) return;
        fmt::print("{}: {}\n", with_hidden_shown(account.address), summary(report));
        print_details(report);
        std::fflush(stdout);
    }

    void add(const MovingAccount& account, const MailImport& import, api::Json json) {
        json["address"] = account.address;
        json["notes"] = import.listing().notes;
        results_.push_back(std::move(json));
    }

    const Cli& cli_;
    const MigrateOptions& options_;
    const moving::RemoteOptions remote_;
    const std::vector<MovingAccount> accounts_;
    std::vector<std::unique_ptr<std::optional<Client>>> clients_;
    std::atomic<std::size_t> next_ = 0;
    std::mutex mutex_;
    api::Json results_ = api::Json::array();
    std::size_t failed_ = 0;
};

int migrate(const Cli& cli, const MigrateOptions& options) {
    if (!options.remote.any()) return complain("--pop3 or --imap has to say where the mail is", 2);
    auto remote = options.remote.parse();
    if (!remote) return complain(remote.error().detail(), 2);
    if (!options.master_user.empty()) {
        auto password = password_from_file(options.master_password_file);
        if (!password) return complain(password.error().detail(), 2);
        remote->credentials.master = options.master_user;
        remote->credentials.password = std::move(*password);
    }
    std::ifstream file(options.list, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return complain(fmt::format("{}: can't be read", options.list));
    auto accounts = moving::parse_account_list(
        text.view(), options.master_user.empty() ? moving::Passwords::in_list : moving::Passwords::none);
    if (!accounts) return complain(fmt::format("{}: {}", options.list, accounts.error().detail()));
    return Migration(cli, options, std::move(*remote), std::move(*accounts)).run();
}

}  // namespace

void add_migrate_command(CLI::App& app, Cli& cli) {
    auto o = std::make_shared<MigrateOptions>();
    auto* sub = app.add_subcommand("migrate",
                                   "Bring the mail of many accounts along from another server; repeating it brings "
                                   "only what is new");
    sub->add_option("--list", o->list,
                    "Lines like jane@example.org,jane,password: the account, its name and password "
                    "there")
        ->required()
        ->type_name("FILE");
    add_remote_options(sub, o->remote);
    sub->add_option("--parallel", o->parallel, "How many accounts at a time (default: 4)")
        ->type_name("N")
        ->check(CLI::Range(std::size_t(1), kMostAtOnce));
    auto* user = sub->add_option("--master-user", o->master_user,
                                 "Who may log in there for all others (SASL PLAIN); the list needs no passwords then")
                     ->type_name("NAME");
    auto* file = sub->add_option("--master-password-file", o->master_password_file,
                                 "A file with the password of that user in its first line")
                     ->type_name("FILE");
    user->needs(file);
    file->needs(user);
    sub->add_flag("--dry-run", o->dry_run, "Store nothing; say how unique-ids, sizes and order here compare");
    sub->callback([&cli, o] { cli.action = [&cli, o] { return migrate(cli, *o); }; });
}

}  // namespace poplar::cli
