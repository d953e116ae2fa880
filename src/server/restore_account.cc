// The backup is opened as a store of its own, in this process. What is missing here goes to the running server by the
// operation that import uses, so that its rules hold: unique-ids are kept, and nothing is there twice.
#include "server/restore_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "admin/described.h"
#include "api/accounts.h"
#include "api/mailboxes.h"
#include "api/messages.h"
#include "api/moving.h"
#include "base/printable.h"
#include "base/random.h"
#include "directory/directory.h"
#include "engine/local/local_engine.h"
#include "mail/wire_form.h"
#include "mailstore/mail_store.h"
#include "server/offline.h"

namespace poplar::server {

namespace {

namespace fs = std::filesystem;
namespace local = engine::local;
using cli::CallError;
using cli::CallResult;
using cli::complain;
using local::Disk;

constexpr std::size_t kPage = 1000;
constexpr std::size_t kNamed = 20;  // deleted messages that a person is shown; JSON has all

struct Kept {
    std::string mailbox;
    mailstore::StoredMessage message;
    std::string flags;  // as api::ImportMessage has them
};

/// An account in a backup.
class OpenBackup {
public:
    OpenBackup(fs::path directory, std::unique_ptr<local::LocalEngine> engine, const Config& config)
        : directory_{std::move(directory)},
          engine_(std::move(engine)),
          accounts_(*engine_, system_clock(), config.directory),
          mail_(*engine_, system_clock(), config.mailstore) {}
    static Result<std::unique_ptr<OpenBackup>> open(const fs::path& folder, const local::ListedBackup& backup,
                                                    const Config& config) {
        auto directory = local::lay_out_backup(Disk::system(), folder, backup);
        if (!directory) return pass_on(directory);
        auto options = config.engine;
        options.directory = *directory;
        options.copy_rate = options.reserved_space = options.min_free_space = 0;
        options.scrub_every = std::chrono::seconds(0);
        auto engine = local::LocalEngine::open(options);
        if (!engine) {
            (void)local::remove_tree(Disk::system(), *directory);
            return pass_on(engine);
        }
        return std::make_unique<OpenBackup>(*directory, std::move(*engine), config);
    }

    Result<directory::Account> find(const std::string& address) { return wait(accounts_.find_account(address)); }

    /// Messages of all mailboxes, or of one. Errors: not_found (no such mailbox).
    Result<std::vector<Kept>> messages(directory::AccountId account, const std::string& mailbox) {
        auto boxes = wait(mail_.mailboxes(account));
        if (!boxes) return pass_on(boxes);
        std::vector<Kept> all;
        bool found = mailbox.empty();
        for (const auto& box : *boxes) {
            if (!mailbox.empty() && box.name != mailbox) continue;
            found = true;
            auto keywords = wait(mail_.keywords(account, box.id));
            if (!keywords) return pass_on(keywords);
            for (mailstore::OrderKey after{};;) {
                auto page = wait(mail_.list(account, box.id, after, kPage));
                if (!page) return pass_on(page);
                for (auto& message : *page) {
                    after = message.order;
                    auto flags = flags_of(message.flags, *keywords);
                    all.push_back({box.name, std::move(message), std::move(flags)});
                }
                if (page->size() < kPage) break;
            }
        }
        if (!found) return fail(Errc::not_found, fmt::format("no mailbox {} is in the backup", mailbox));
        return all;
    }

    /// Plain octets with CRLF. Errors: corrupt, io, denied (it is encrypted).
    Result<std::string> text(directory::AccountId account, mailstore::StoredMessage message) {
        auto reader = wait(mail_.open(account, std::move(message)));
        if (!reader) return pass_on(reader);
        mail::WireDecoder decoder;
        std::string text;
        for (;;) {
            auto part = wait((*reader)->next());
            if (!part) return pass_on(part);
            if (part->empty()) return text;
            decoder.decode(*part, text);
        }
    }

private:
    template <class T>
    Result<T> wait(Task<Result<T>> task) {
        std::optional<Result<T>> result;
        auto keep = [&result](std::exception_ptr failure, Result<T> value) {
            if (failure) std::rethrow_exception(failure);
            result = std::move(value);
        };
        context_.restart();
        asio::co_spawn(context_, std::move(task), std::move(keep));
        context_.run();
        return std::move(*result);
    }

    static std::string flags_of(const mailstore::Flags& flags, const std::vector<std::string>& keywords) {
        std::string out;
        const auto add = [&](std::string_view name) { out.append(out.empty() ? "" : ",").append(name); };
        for (const auto& [flag, name] : admin::kFlagNames)
            if (flags.has(flag)) add(name);
        for (std::size_t n = 0; n < keywords.size(); ++n)
            if (n / 8 < flags.keywords.size() && (static_cast<unsigned char>(flags.keywords[n / 8]) >> n % 8 & 1) != 0)
                add(keywords[n]);
        return out;
    }

    // Removed when nobody uses it any more.
    struct Directory {
        fs::path path;
        ~Directory() { (void)local::remove_tree(Disk::system(), path); }
    };
    const Directory directory_;
    asio::io_context context_{1};
    std::unique_ptr<local::LocalEngine> engine_;
    directory::Directory accounts_;
    mailstore::MailStore mail_;
};

/// What the account has now.
struct Now {
    bool there = false;
    std::set<std::string> live;
    std::map<std::string, api::Message> deleted;
};

class AccountRestore {
public:
    AccountRestore(const cli::Cli& cli, const RestoreAccountOptions& options, cli::Client& server, OpenBackup& backup,
                   std::string name)
        : cli_(cli), options_(options), server_(server), backup_(backup), name_(std::move(name)) {}

    int run() {
        auto account = backup_.find(options_.account);
        if (!account)
            return complain(fmt::format("{} in the backup {}: {}", options_.account, name_, account.error().detail()));
        auto found = backup_.messages(account->id, options_.mailbox);
        if (!found) return complain(found.error().detail());
        if (!options_.message.empty())
            std::erase_if(*found, [&](const Kept& one) { return one.message.unique_id != options_.message; });
        if (!options_.message.empty() && found->empty())
            return complain(fmt::format("no message {} is in the backup {}", options_.message, name_));
        if (auto looked = look(); !looked) return complain(looked.error());
        for (auto& one : *found) {
            const auto& id = one.message.unique_id;
            if (now_.live.contains(id))
                ++there_;
            else if (now_.deleted.contains(id))
                deleted_.push_back(id);
            else
                missing_.push_back(std::move(one));
        }
        if (options_.dry_run) return report();
        if (!now_.there)
            if (auto made = make_account(*account); !made) return complain(made.error());
        auto done = bring(account->id);
        if (done && options_.force) done = bring_deleted();
        const int code = report();
        return done ? code : complain(done.error());
    }

private:
    CallResult<> look() {
        auto boxes = server_.call(api::ListMailboxes{options_.account});
        if (!boxes && boxes.error().code == "not_found") return {};
        if (!boxes) return std::unexpected(std::move(boxes.error()));
        now_.there = true;
        for (const auto& box : boxes->mailboxes) {
            api::ListMessages asked;
            asked.address = options_.account;
            asked.mailbox = box.name;
            asked.limit = 10'000;
            asked.headers = false;
            for (;;) {
                auto page = server_.call(asked);
                if (!page) return std::unexpected(std::move(page.error()));
                for (const auto& one : page->messages) {
                    asked.after = one.order;
                    now_.live.insert(one.unique_id);
                }
                if (page->messages.size() < asked.limit) break;
            }
        }
        api::ListRetained asked{options_.account, 0, kPage, false};
        for (;;) {
            auto page = server_.call(asked);
            if (!page) return std::unexpected(std::move(page.error()));
            for (auto& one : page->messages) now_.deleted.emplace(one.unique_id, std::move(one));
            if (page->messages.size() < asked.limit) return {};
            asked.offset += page->messages.size();
        }
    }

    CallResult<> make_account(const directory::Account& account) {
        api::AddAccount asked;
        asked.address = account.address;
        // Its factors do not come back, nor a status: by the password alone it would be more open than it was.
        with_password_ = account.status == directory::AccountStatus::enabled && !account.settings.second_factor &&
                         !account.password.empty();
        if (with_password_) asked.password_hash = account.password;
        auto made = server_.call(asked);
        if (!made) return std::unexpected(std::move(made.error()));
        made_ = true;
        return {};
    }

    CallResult<> bring(directory::AccountId account) {
        // A message that is deleted again may come back again: it is another source each time.
        const auto source = fmt::format("restore/{}/{}:", name_, random_text(8));
        for (const auto& one : missing_) {
            const auto& id = one.message.unique_id;
            auto text = backup_.text(account, one.message);
            if (!text) {
                damaged_.push_back(fmt::format("{}: {}", id, text.error().detail()));
                continue;
            }
            api::ImportMessage asked{options_.account, source + id, one.mailbox, id, {}, {}};
            if (!one.flags.empty()) asked.flags = one.flags;
            asked.received = static_cast<std::uint64_t>(one.message.received.time_since_epoch().count());
            auto octets = [&, at = std::size_t(0)](char* buffer, std::size_t size) mutable {
                const auto count = std::min(size, text->size() - at);
                std::copy_n(text->data() + at, count, buffer);
                at += count;
                return static_cast<std::ptrdiff_t>(count);
            };
            auto reply = server_.upload(asked, octets);
            if (!reply) return std::unexpected(std::move(reply.error()));
            ++stored_;
            if (reply->not_kept) renamed_.push_back(fmt::format("{}: {}", id, *reply->not_kept));
        }
        return {};
    }

    CallResult<> bring_deleted() {
        for (std::size_t at = 0; at < deleted_.size(); at += api::RestoreMessages::kAtOnce) {
            const auto begin = deleted_.begin() + static_cast<std::ptrdiff_t>(at);
            const auto count = std::min(deleted_.size() - at, api::RestoreMessages::kAtOnce);
            api::RestoreMessages asked;
            asked.address = options_.account;
            asked.ids.emplace(begin, begin + static_cast<std::ptrdiff_t>(count));
            auto done = server_.call(asked);
            if (!done) return std::unexpected(std::move(done.error()));
            undeleted_ += done->restored;
        }
        return {};
    }

    int report() const {
        const bool left = !deleted_.empty() && !options_.force;
        const int code = damaged_.empty() && !(left && !options_.dry_run) ? 0 : 1;
        const auto missing = options_.dry_run ? missing_.size() : stored_;
        if (cli_.json) {
            cli_.print_json({{"backup", name_},
                             {"account", options_.account},
                             {"account_made", made_ || (options_.dry_run && !now_.there)},
                             {options_.dry_run ? "would_store" : "stored", missing},
                             {"there", there_},
                             {"deleted_since", deleted_},
                             {"undeleted", undeleted_},
                             {"damaged", damaged_},
                             {"unique_ids_new", renamed_}});
            return code;
        }
        fmt::print("{} of the backup {}: {} messages {}, {} there already\n", options_.account, name_, missing,
                   options_.dry_run ? "would come back" : "came back", there_);
        if (!now_.there)
            fmt::print("the account is{} made{}\n", options_.dry_run ? " to be" : "",
                       options_.dry_run ? ""
                       : with_password_ ? ", with the password it had"
                                        : ", without a password");
        if (undeleted_ > 0) fmt::print("{} deleted since then came back\n", undeleted_);
        if (left) {
            fmt::print("{} were deleted here since then; --force brings them back, too:\n", deleted_.size());
            for (std::size_t n = 0; n < std::min(deleted_.size(), kNamed); ++n) {
                const auto& one = now_.deleted.at(deleted_[n]);
                fmt::print("  {}  deleted {} ({})\n", deleted_[n], one.deleted.value_or(""), one.reason.value_or(""));
            }
            if (deleted_.size() > kNamed) fmt::print("  ... and {} more; --json names all\n", deleted_.size() - kNamed);
        }
        for (const auto& one : damaged_) fmt::print("damaged: {}\n", with_hidden_shown(one));
        for (const auto& one : renamed_) fmt::print("has another unique-id now: {}\n", with_hidden_shown(one));
        return code;
    }

    const cli::Cli& cli_;
    const RestoreAccountOptions& options_;
    cli::Client& server_;
    OpenBackup& backup_;
    const std::string name_;
    Now now_;
    std::vector<Kept> missing_;
    std::vector<std::string> deleted_, damaged_, renamed_;
    std::uint64_t there_ = 0, stored_ = 0, undeleted_ = 0;
    bool made_ = false, with_password_ = false;
};

}  // namespace

int restore_account(const cli::Cli& cli, const RestoreAccountOptions& options, const local::ListedBackup& backup) {
    auto config = load_or_complain(cli.config_path());
    if (!config) return cli::kExitConfig;
    auto server = cli.client();
    if (!server) return cli::kExitConfig;
    if (auto became = become_owner(*config); !became) return complain(became.error().detail());
    // An unfinished backup is what this looks like to the next one.
    auto lock = local::lock_backups(Disk::system(), options.folder);
    if (!lock) return complain(lock.error().detail());
    auto opened = OpenBackup::open(options.folder, backup, *config);
    if (!opened) return complain(fmt::format("the backup {} can't be read: {}", backup.name, opened.error().detail()));
    return AccountRestore(cli, options, *server, **opened, backup.name).run();
}

}  // namespace poplar::server
