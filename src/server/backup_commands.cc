// poplar backup, poplar restore. The running server makes a backup; these commands read one by themselves, because that
// is wanted most when there is no server.
#include "server/backup_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>

#include "api/backup.h"
#include "api/json.h"
#include "base/printable.h"
#include "base/units.h"
#include "engine/local/backup_folder.h"
#include "engine/local/local_engine.h"
#include "server/bind.h"
#include "server/offline.h"
#include "server/restore_account.h"

namespace poplar::server {

namespace {

namespace fs = std::filesystem;
namespace local = engine::local;
using cli::Cli;
using cli::complain;
using local::Disk;

struct BackupOptions {
    std::string folder;
    bool list = false, verify = false;
    std::optional<std::uint64_t> keep;
};

struct RestoreOptions {
    std::string folder, at, account, mailbox, message;
    bool list = false, dry_run = false, force = false;
};

// A line on the terminal that is written over; nothing where nobody looks.
class ProgressLine {
public:
    explicit ProgressLine(const Cli& cli) : shown_(!cli.json && isatty(STDERR_FILENO)) {}
    ~ProgressLine() { clear(); }
    void show(std::uint64_t files, std::uint64_t octets) {
        if (!shown_) return;
        fmt::print(stderr, "\r{:<79}", fmt::format("{} files, {}", files, human_size(octets)));
        std::fflush(stderr);
        used_ = true;
    }
    void clear() {
        if (used_) fmt::print(stderr, "\r{:<79}\r", "");
        used_ = false;
    }

private:
    const bool shown_;
    bool used_ = false;
};

std::string absolute(const std::string& folder) { return fs::absolute(folder).lexically_normal().string(); }

int list(const Cli& cli, const std::string& folder) {
    auto listed = local::list_backups(Disk::system(), folder);
    if (!listed) return complain(listed.error().detail());
    auto json = api::Json::array();
    bool sound = true;
    for (const auto& one : *listed) {
        sound = sound && one.manifest;
        if (cli.json && one.manifest)
            json.push_back(
                {{"name", one.name}, {"files", one.manifest->files.size()}, {"octets", one.manifest->octets()}});
        else if (cli.json)
            json.push_back({{"name", one.name}, {"error", one.wrong}});
        else if (one.manifest)
            fmt::print("{}  {:>9}  {} files\n", one.name, human_size(one.manifest->octets()),
                       one.manifest->files.size());
        else
            fmt::print("{}  can't be used: {}\n", one.name, one.wrong);
    }
    if (cli.json) cli.print_json({{"backups", std::move(json)}});
    if (!cli.json && listed->empty()) fmt::print("no backups\n");
    return sound ? 0 : 1;
}

int verify(const Cli& cli, const std::string& folder) {
    auto listed = local::list_backups(Disk::system(), folder);
    if (!listed) return complain(listed.error().detail());
    if (listed->empty()) return complain(fmt::format("there is no backup in {}", folder));
    auto damage = api::Json::array();
    auto found = [&](const std::string& name, const std::string& file, const std::string& what) {
        damage.push_back({{"backup", name}, {"file", file}, {"what", what}});
        if (!cli.json) fmt::print("damaged: {}: {}: {}\n", name, with_hidden_shown(file), what);
    };
    ProgressLine line(cli);
    std::uint64_t octets = 0;
    for (const auto& one : *listed) {
        if (!one.manifest) {
            found(one.name, local::kBackupManifest, one.wrong);
            continue;
        }
        auto report = [&](const local::BackupDamage& place) {
            line.clear();
            found(one.name, place.file, place.what);
        };
        auto progress = [&](const engine::BackupTotals& totals) {
            line.show(totals.files, octets + totals.octets);
            return true;
        };
        auto done = local::verify_backup(Disk::system(), folder, one, report, progress);
        if (!done) return complain(done.error().detail());
        octets += done->octets;
    }
    line.clear();
    const bool sound = damage.empty();
    if (cli.json)
        cli.print_json({{"backups", listed->size()}, {"octets", octets}, {"damage", std::move(damage)}});
    else
        fmt::print("read {} backups ({}): {}\n", listed->size(), human_size(octets),
                   sound ? "no damage" : fmt::format("{} damaged files", damage.size()));
    return sound ? 0 : 1;
}

int back_up(const Cli& cli, const BackupOptions& options) {
    const auto folder = absolute(options.folder);
    if (options.list) return list(cli, folder);
    if (options.verify) return verify(cli, folder);
    auto server = cli.client();
    if (!server) return cli::kExitConfig;
    ProgressLine progress(cli);
    std::optional<api::BackupEvent> last;
    std::string lines;
    auto take = [&](std::string_view bytes) {
        lines.append(bytes);
        for (auto end = lines.find('\n'); end != std::string::npos; end = lines.find('\n')) {
            api::BackupEvent event;
            auto json = api::Json::parse(lines.substr(0, end), nullptr, false);
            lines.erase(0, end + 1);
            if (!api::read_json(api::BackupEvent::shape(), json, &event)) continue;
            if (event.type == "progress")
                progress.show(event.files.value_or(0), event.octets.value_or(0));
            else
                last = std::move(event);
        }
    };
    auto done = server->download(api::BackUp{folder, options.keep}, take);
    progress.clear();
    if (!done) return complain(done.error());
    if (!last) return complain("the backup broke off; the server's log may say why. Earlier backups are as they were");
    if (last->error)
        return complain(fmt::format("no backup was made: {}. Earlier ones are as they were", *last->error));
    if (cli.json) {
        cli.print_json(api::to_json(*last));
        return 0;
    }
    fmt::print("backup {}: {} files, {}; copied {} files, {}\n", last->name.value_or(""), last->files.value_or(0),
               human_size(last->octets.value_or(0)), last->copied_files.value_or(0),
               human_size(last->copied_octets.value_or(0)));
    if (last->forgotten.value_or(0) > 0) fmt::print("removed {} older backups\n", *last->forgotten);
    return 0;
}

Result<std::optional<Timestamp>> time_of(const std::string& text) {
    if (text.empty()) return std::nullopt;
    for (const char* form : {"%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ", "%Y-%m-%d"}) {
        std::tm parts{};
        const char* end = ::strptime(text.c_str(), form, &parts);
        if (!end || *end != '\0') continue;
        auto seconds = std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
        // A backup taken within that second or on that day is meant, too.
        const bool day = std::string_view(form) == "%Y-%m-%d";
        const std::chrono::milliseconds rest =
            day ? std::chrono::milliseconds(std::chrono::days(1)) : std::chrono::seconds(1);
        return Timestamp(seconds) + rest - std::chrono::milliseconds(1);
    }
    return fail(Errc::invalid, fmt::format("--at {}: a time like 2026-11-22T14:00:00Z, or a day", text));
}

// The earlier content of the data directory, put out of the way.
class Replaced {
public:
    explicit Replaced(fs::path directory) : directory_(std::move(directory)) {}

    Result<> put_aside() {
        auto names = local::list_directory(Disk::system(), directory_);
        if (!names) return pass_on(names);
        aside_ = directory_ / (std::string(local::kReplaced) + local::backup_name(system_clock().now()));
        if (auto made = local::ensure_directory(Disk::system(), aside_); !made) return made;
        for (const auto& entry : *names)
            if (!local::stays_at_restore(entry.name)) {
                auto moved = local::rename_file(Disk::system(), directory_ / entry.name, aside_ / entry.name);
                if (!moved) return moved;
                moved_.push_back(entry.name);
            }
        return {};
    }
    void put_back() {
        for (const auto& name : moved_) (void)local::rename_file(Disk::system(), aside_ / name, directory_ / name);
        std::error_code ignored;
        if (!aside_.empty()) fs::remove(aside_, ignored);
        moved_.clear();
    }
    bool any() const { return !moved_.empty(); }
    const fs::path& folder() const { return aside_; }

private:
    const fs::path directory_;
    fs::path aside_;
    std::vector<std::string> moved_;
};

Result<bool> is_empty(const fs::path& directory) {
    auto names = local::list_directory(Disk::system(), directory);
    if (!names) return pass_on(names);
    for (const auto& entry : *names)
        if (!local::stays_at_restore(entry.name)) return false;
    return true;
}

Result<> prepare_directory(const Config& config) {
    if (fs::exists(config.data_dir)) return {};
    std::optional<process::Identity> identity;
    if (geteuid() == 0 && !config.user.empty()) {
        auto found = process::find_identity(config.user, config.group);
        if (!found) return pass_on(found);
        identity = std::move(*found);
    }
    return prepare_data_dir(config, identity);
}

std::string shown(const local::ListedBackup& backup) {
    return fmt::format("{} ({} files, {})", backup.name, backup.manifest->files.size(),
                       human_size(backup.manifest->octets()));
}

int tell_plan(const Cli& cli, const Config& config, const local::ListedBackup& backup, bool force) {
    const auto& data = config.data_dir;
    auto empty = fs::exists(data) ? is_empty(data) : Result<bool>(true);
    if (!empty) return complain(empty.error().detail());
    if (cli.json)
        cli.print_json({{"would_restore", backup.name},
                        {"data_dir", data},
                        {"files", backup.manifest->files.size()},
                        {"octets", backup.manifest->octets()},
                        {"empty", *empty}});
    else
        fmt::print("would restore {} to {}{}\n", shown(backup), data,
                   *empty ? "" : ", where there is data already: --force puts that aside");
    return *empty || force ? 0 : 1;
}

void tell_restored(const Cli& cli, const Config& config, const local::ListedBackup& backup,
                   const engine::BackupTotals& done, const api::Json& damage, const Replaced& replaced) {
    if (cli.json) {
        api::Json out{{"restored", backup.name},
                      {"data_dir", config.data_dir},
                      {"files", done.files},
                      {"octets", done.octets},
                      {"damage", damage}};
        if (replaced.any()) out["put_aside"] = replaced.folder().string();
        cli.print_json(out);
        return;
    }
    fmt::print("restored {} to {}\n", shown(backup), config.data_dir);
    if (replaced.any()) fmt::print("what was there before is in {}\n", replaced.folder().string());
    if (!damage.empty()) fmt::print("poplar verify names what is lost; if the server does not start: poplar rebuild\n");
}

// Mail came and went after the backup was made, and UIDs given since are given again: an IMAP client that has seen them
// must not take the new messages for those (RFC 9051 s2.3.1.1).
Result<> begin_anew(const Config& config) {
    auto engine = local::LocalEngine::open(config.engine);
    if (!engine) return pass_on(engine);
    auto done = repair_all(**engine, config);
    return done ? Result<>() : Result<>(pass_on(done));
}

int restore(const Cli& cli, const RestoreOptions& options) {
    const auto folder = absolute(options.folder);
    if (options.list) return list(cli, folder);
    auto at = time_of(options.at);
    if (!at) return complain(at.error().detail(), 2);
    auto backup = local::find_backup(Disk::system(), folder, *at);
    if (!backup) return complain(backup.error().detail());
    if (!options.account.empty())
        return restore_account(
            cli, {folder, options.account, options.mailbox, options.message, options.dry_run, options.force}, *backup);
    auto config = load_or_complain(cli.config_path());
    if (!config) return cli::kExitConfig;
    const auto& data = config->data_dir;
    if (options.dry_run) return tell_plan(cli, *config, *backup, options.force);
    if (auto ready = prepare_directory(*config); !ready) return complain(ready.error().detail());
    if (auto became = become_owner(*config); !became) return complain(became.error().detail());

    // As the server does: whoever has it uses the directory.
    auto lock = local::lock_store(Disk::system(), data);
    if (!lock && lock.error().code() == Errc::busy)
        return complain(fmt::format("{} is in use by a running server: stop it first", data));
    if (!lock) return complain_of_store(*config, lock.error());
    auto empty = is_empty(data);
    if (!empty) return complain(empty.error().detail());
    if (!*empty && !options.force)
        return complain(fmt::format("{} is not empty: --force puts what is there aside, into a folder in it", data));
    Replaced replaced(data);
    if (!*empty)
        if (auto done = replaced.put_aside(); !done) {
            replaced.put_back();
            return complain(done.error().detail());
        }
    ProgressLine line(cli);
    auto damage = api::Json::array();
    auto report = [&](const local::BackupDamage& place) {
        line.clear();
        damage.push_back({{"file", place.file}, {"what", place.what}});
        complain(fmt::format("damaged: {}: {}: {}", backup->name, with_hidden_shown(place.file), place.what));
    };
    auto progress = [&](const engine::BackupTotals& totals) {
        line.show(totals.files, totals.octets);
        return true;
    };
    auto damaged = options.force ? local::Damaged::restore : local::Damaged::refuse;
    auto done = local::restore_backup(Disk::system(), folder, *backup, data, damaged, report, progress);
    line.clear();
    if (!done) {
        replaced.put_back();
        constexpr std::string_view kAdvice =
            "; nothing was restored. --at TIME takes an earlier backup, --force takes this one with its damage";
        return complain(done.error().detail() + std::string(damage.empty() ? "; nothing was restored" : kAdvice));
    }
    if (damage.empty()) {
        {
            const auto released = std::move(*lock);
        }
        if (auto anew = begin_anew(*config); !anew)
            return complain(
                fmt::format("{} is restored, but IMAP's UIDVALIDITY could not be raised: {}; poplar rebuild "
                            "does it",
                            backup->name, anew.error().detail()));
    }
    tell_restored(cli, *config, *backup, *done, damage, replaced);
    return damage.empty() ? 0 : 1;
}

}  // namespace

void add_backup_commands(CLI::App& app, Cli& cli) {
    auto options = std::make_shared<BackupOptions>();
    auto* backup = app.add_subcommand("backup", std::string(api::BackUp::operation().request.words));
    backup->add_option("FOLDER", options->folder, "Where backups are; the server's user must be able to write there")
        ->required();
    auto* listing = backup->add_flag("--list", options->list, "List the backups that are there");
    auto* checking =
        backup->add_flag("--verify", options->verify, "Read all backups that are there, and name what is damaged");
    backup->add_option("--keep", options->keep, "Remove older backups, so that so many stay")
        ->type_name("N")
        ->check(CLI::Range(1, 1'000'000))
        ->excludes(listing)
        ->excludes(checking);
    checking->excludes(listing);
    backup->callback([&cli, options] { cli.action = [&cli, options] { return back_up(cli, *options); }; });

    auto wanted = std::make_shared<RestoreOptions>();
    auto* put_back = app.add_subcommand("restore",
                                        "Put a whole backup back, with the server stopped; or an account, a mailbox or "
                                        "a message of one, while it runs");
    put_back->add_option("FOLDER", wanted->folder, "Where backups are")->required();
    put_back->add_flag("--list", wanted->list, "List the backups that are there");
    put_back
        ->add_option("--at", wanted->at,
                     "The last backup of this time or before, such as 2026-11-22T14:00:00Z or a day")
        ->type_name("TIME");
    auto* account = put_back
                        ->add_option("--account", wanted->account,
                                     "Bring back what is missing of this account, and the account if it was removed")
                        ->type_name("ADDRESS");
    put_back->add_option("--mailbox", wanted->mailbox, "Only of this mailbox")->type_name("NAME")->needs(account);
    put_back->add_option("--message", wanted->message, "Only the message with this unique-id")
        ->type_name("ID")
        ->needs(account);
    put_back->add_flag("--dry-run", wanted->dry_run, "Only say what would be done");
    put_back->add_flag("--force", wanted->force,
                       "Put what is in the data directory aside, and take a backup that is damaged as it is; of an "
                       "account, bring back also what was deleted since");
    put_back->callback([&cli, wanted] { cli.action = [&cli, wanted] { return restore(cli, *wanted); }; });
}

}  // namespace poplar::server
