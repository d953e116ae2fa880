// poplar user import: a passwd-file, streamed to the server in batches.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <unordered_map>

#include "api/accounts.h"
#include "base/steady.h"
#include "base/units.h"
#include "cli/program.h"
#include "directory/passwd_file.h"

namespace poplar::cli {

namespace {

constexpr std::size_t kBatch = 5000;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct ImportOptions {
    std::string file, default_domain;
    std::vector<std::string> ignored;  ///< names of --ignore-field
    bool add_domains = false;
};

struct Refusal {
    std::uint64_t line;
    std::string address, why;
};

class Import {
public:
    Import(Client& server, const ImportOptions& options, bool quiet)
        : server_(server), options_(options), progress_(!quiet && isatty(STDERR_FILENO)) {}

    /// `size` of the input in octets, 0 if unknown (a pipe).
    CallResult<> run(std::istream& in, std::uint64_t size) {
        size_ = size;
        for (std::string line; std::getline(in, line);) {
            ++line_;
            read_ += line.size() + 1;
            if (line_ == 1 && (line.starts_with("\xff\xfe") || line.starts_with("\xfe\xff")))
                return std::unexpected(
                    CallError{1, fmt::format("{} is in UTF-16; save it as UTF-8", options_.file), ""});
            if (line_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
            auto entry = directory::parse_passwd_line(line, options_.default_domain, "CRYPT", options_.ignored);
            if (!entry)
                refused_.push_back({line_, "", entry.error().detail()});
            else if (*entry)
                add(std::move(**entry));
            if (batch_.size() >= kBatch)
                if (auto sent = send(); !sent) return sent;
        }
        if (in.bad()) return std::unexpected(CallError{1, "the file can't be read to its end", ""});
        auto sent = send();
        if (progress_) fmt::print(stderr, "\r{:<79}\r", "");
        return sent;
    }

    std::uint64_t sent() const { return sent_; }

    int report(const Cli& cli) {
        std::ranges::sort(refused_, {}, &Refusal::line);
        if (cli.json) {
            auto refused = api::Json::array();
            for (const auto& r : refused_)
                refused.push_back({{"line", r.line}, {"address", r.address}, {"why", r.why}});
            cli.print_json({{"added", added_},
                            {"updated", updated_},
                            {"unchanged", unchanged_},
                            {"refused", refused},
                            {"no_password", no_password_},
                            {"unused", unused_}});
        } else {
            for (const auto& r : refused_)
                complain(fmt::format("{}:{}: {}{}{}", options_.file, r.line, r.address, r.address.empty() ? "" : ": ",
                                     r.why));
            fmt::print("added {}, updated {}, unchanged {}, refused {}, in {:.1f} s\n", added_, updated_, unchanged_,
                       refused_.size(), seconds());
            if (no_password_ > 0) fmt::print("without a password, so that nobody can log in: {}\n", no_password_);
            for (const auto& [name, lines] : unused_) fmt::print("not used: {}, in {} lines\n", name, lines);
        }
        return refused_.empty() ? 0 : 1;
    }

private:
    void add(directory::PasswdEntry entry) {
        auto& account = entry.account;
        if (account.password.empty()) ++no_password_;
        for (const auto& name : entry.unused) ++unused_[name];
        lines_[account.address] = line_;  // the later line, if the address stands twice
        batch_.push_back({std::move(account.address), std::move(account.password)});
    }

    CallResult<> send() {
        if (batch_.empty()) return {};
        sent_ += batch_.size();
        auto reply = server_.call(api::ImportAccounts{std::exchange(batch_, {}), options_.add_domains});
        if (!reply) {
            if (progress_) fmt::print(stderr, "\n");
            return std::unexpected(std::move(reply.error()));
        }
        added_ += reply->added;
        updated_ += reply->updated;
        unchanged_ += reply->unchanged;
        for (auto& [address, why] : reply->refused) {
            auto at = lines_.find(address);
            refused_.push_back({at == lines_.end() ? 0 : at->second, std::move(address), std::move(why)});
        }
        lines_.clear();
        show_progress();
        return {};
    }

    double seconds() const { return std::chrono::duration<double>(SteadyClock::now() - started_).count(); }

    void show_progress() const {
        if (!progress_) return;
        auto rate = static_cast<double>(sent_) / std::max(seconds(), 0.001);
        auto text = fmt::format("{} accounts, {:.0f} a second", sent_, rate);
        if (size_ > 0) {
            auto part = std::min(1.0, static_cast<double>(read_) / static_cast<double>(size_));
            auto left = std::chrono::seconds(static_cast<long>(seconds() * (1 - part) / std::max(part, 0.001)));
            auto filled = static_cast<std::size_t>(part * 20);
            text = fmt::format("[{}{}] {:3.0f}%  {}, {} left", std::string(filled, '='), std::string(20 - filled, ' '),
                               part * 100, text, human_duration(left));
        }
        fmt::print(stderr, "\r{:<79}", text);
        std::fflush(stderr);
    }

    Client& server_;
    const ImportOptions& options_;
    bool progress_;
    SteadyTime started_ = SteadyClock::now();
    std::vector<api::ImportedAccount> batch_;
    std::unordered_map<std::string, std::uint64_t> lines_;  ///< of the addresses in `batch_`
    std::vector<Refusal> refused_;
    std::map<std::string, std::uint64_t> unused_;  ///< lines that have a field which was left out
    std::uint64_t no_password_ = 0;
    std::uint64_t line_ = 0, read_ = 0, size_ = 0, sent_ = 0, added_ = 0, updated_ = 0, unchanged_ = 0;
};

int import_users(const Cli& cli, const ImportOptions& options) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    Import import(*server, options, cli.json);
    CallResult<> done;
    if (options.file == "-") {
        done = import.run(std::cin, 0);
    } else {
        std::ifstream file(options.file, std::ios::binary);
        std::error_code unknown;
        auto size = std::filesystem::file_size(options.file, unknown);
        if (!file) return complain(fmt::format("{}: can't be read", options.file));
        done = import.run(file, unknown ? 0 : size);
    }
    if (!done) {
        if (import.sent() > 0) import.report(cli);
        return complain(done.error());
    }
    return import.report(cli);
}

}  // namespace

void add_import_command(CLI::App& user, Cli& cli) {
    auto o = std::make_shared<ImportOptions>();
    auto* sub =
        user.add_subcommand("import", "Add or update accounts from a passwd-file; repeating it changes nothing");
    sub->add_option("--passwd-file", o->file, "Lines like jane@example.org:{SCHEME}hash:::: ; - is standard input")
        ->required()
        ->type_name("FILE");
    sub->add_flag("--add-domains", o->add_domains, "Add domains that are missing");
    sub->add_option("--default-domain", o->default_domain, "For users without @domain")->type_name("NAME");
    sub->add_option("--ignore-field", o->ignored,
                    "Import lines with this extra field, such as allow_nets, without it; they are refused otherwise")
        ->type_name("NAME");
    sub->callback([&cli, o] { cli.action = [&cli, o] { return import_users(cli, *o); }; });
}

}  // namespace poplar::cli
