// poplar import: brings a maildrop of another server along, message after message, so that a run can be broken off and
// repeated.
#include "cli/import_mail.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <unordered_map>

#include "api/messages.h"
#include "api/moving.h"
#include "base/printable.h"
#include "base/units.h"
#include "mail/wire_form.h"
#include "moving/maildir.h"
#include "moving/mbox.h"

namespace poplar::cli {

namespace {

using moving::SourceMessage;

constexpr std::size_t kNamed = 20;  // of each kind that a person is shown; JSON has all

struct ImportMailOptions {
    std::string address, maildir, mbox, uidl_format{moving::kDovecotFormat};
    bool dry_run = false;
};

/// Hands a message's octets out in parts, as an upload wants them.
class Octets {
public:
    Result<> load(const SourceMessage& message) {
        text_.clear();
        at_ = 0;
        return moving::read(message, [this](std::string_view part) {
            text_ += part;
            return Result<>();
        });
    }
    const std::string& text() const { return text_; }
    std::ptrdiff_t next(char* buffer, std::size_t size) {
        const auto count = std::min(size, text_.size() - at_);
        std::copy_n(text_.data() + at_, count, buffer);
        at_ += count;
        return static_cast<std::ptrdiff_t>(count);
    }

private:
    std::string text_;
    std::size_t at_ = 0;
};

/// As LIST says: each line end counts as two octets.
std::uint64_t listed_octets(std::string_view text) {
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), 64 << 10))) {
        wire.clear();
        encoder.encode(text.substr(0, 64 << 10), wire);
    }
    encoder.finish(wire);
    return encoder.sizes().octets;
}

/// Whether the server said no to this message alone: the next one may fare better.
bool is_of_one_message(const CallError& refusal) {
    return refusal.code == "invalid" || refusal.code == "too_large" || refusal.code == "exists" ||
           refusal.code == "conflict" || refusal.code == "busy";
}

class MailImport {
public:
    MailImport(const Cli& cli, Client& server, std::string address)
        : cli_(cli), server_(server), address_(std::move(address)), progress_(!cli.json && isatty(STDERR_FILENO)) {}

    CallResult<> find_known(const std::vector<SourceMessage>& messages) {
        api::FindImported asked{address_, {}};
        for (std::size_t i = 0; i < messages.size(); ++i) {
            asked.sources.push_back(messages[i].key);
            if (asked.sources.size() < api::FindImported::kAtOnce && i + 1 < messages.size()) continue;
            auto found = server_.call(asked);
            if (!found) return std::unexpected(std::move(found.error()));
            for (auto& one : found->messages) known_.emplace(one.source, std::move(one));
            asked.sources.clear();
        }
        return {};
    }

    CallResult<> run(const std::vector<SourceMessage>& messages) {
        for (const auto& message : messages) {
            ++seen_;
            show_progress(messages.size());
            if (!message.not_kept.empty()) not_kept_.push_back(message.not_kept);
            if (auto known = known_.find(message.key); known != known_.end()) {
                ++(known->second.state == "there" ? there_ : deleted_);
                continue;
            }
            auto done = bring(message);
            if (done) continue;
            if (!is_of_one_message(done.error())) {
                clear_progress();
                return done;
            }
            const auto& called = message.digest.empty() ? message.file.string() : message.key;
            refused_.push_back(fmt::format("{}: {}", called, done.error().message));
        }
        clear_progress();
        return {};
    }

    int report(std::size_t total) const {
        const auto without_id = stored_ - kept_;
        if (cli_.json) {
            cli_.print_json({{"messages", total},
                             {"stored", stored_},
                             {"there", there_},
                             {"deleted_here", deleted_},
                             {"unique_ids_kept", kept_},
                             {"unique_ids_new", without_id},
                             {"not_kept", not_kept_},
                             {"gone", gone_},
                             {"refused", refused_}});
            return gone_.empty() && refused_.empty() ? 0 : 1;
        }
        fmt::print("{} messages: {} stored, {} there already, {} deleted here and not brought back\n", total, stored_,
                   there_, deleted_);
        fmt::print("unique-ids of those stored: {} kept, {} new\n", kept_, without_id);
        print_some("not kept", not_kept_);
        print_some("gone meanwhile", gone_);
        print_some("refused", refused_);
        return gone_.empty() && refused_.empty() ? 0 : 1;
    }

    /// Compares ids, sizes and order as clients would, without storing anything.
    CallResult<int> compare(const std::vector<SourceMessage>& messages) {
        auto here = inbox();
        if (!here) return std::unexpected(std::move(here.error()));
        std::uint64_t ids = 0, sizes = 0, fresh = 0, of_inbox = 0, last = 0, in_order = 0, without = 0;
        std::vector<std::string> differing;
        Octets octets;
        for (const auto& message : messages) {
            if (!known_.contains(message.key)) ++fresh;
            if (message.mailbox != "INBOX") continue;
            ++of_inbox;
            if (message.unique_id.empty()) ++without;
            auto found = message.unique_id.empty() ? here->end() : here->find(message.unique_id);
            if (found == here->end()) continue;
            ++ids;
            if (found->second.second > last) ++in_order;
            last = found->second.second;
            if (auto loaded = octets.load(message); !loaded) continue;
            if (listed_octets(octets.text()) == found->second.first)
                ++sizes;
            else
                differing.push_back(message.unique_id);
        }
        if (cli_.json) {
            cli_.print_json({{"messages", messages.size()},
                             {"inbox", of_inbox},
                             {"would_store", fresh},
                             {"identical_unique_ids", ids},
                             {"identical_sizes", sizes},
                             {"in_order", in_order},
                             {"without_unique_id", without},
                             {"other_size", differing}});
            return 0;
        }
        fmt::print("{} messages, {} of INBOX; {} would be stored\n", messages.size(), of_inbox, fresh);
        fmt::print("already here: {} identical unique-ids, {} identical sizes, {} in the same order\n", ids, sizes,
                   in_order);
        if (without > 0)
            fmt::print(
                "{} of INBOX have no unique-id that can be kept: clients that leave mail on the server will fetch "
                "them again\n",
                without);
        print_some("of another size", differing);
        for (const auto& message : messages)
            if (!message.not_kept.empty()) fmt::print("not kept: {}\n", with_hidden_shown(message.not_kept));
        return 0;
    }

private:
    using Here = std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>>;  // octets and order by id

    CallResult<Here> inbox() {
        Here here;
        api::ListMessages asked;
        asked.address = address_;
        asked.limit = 10'000;
        asked.headers = false;
        for (;;) {
            auto page = server_.call(asked);
            if (!page) return std::unexpected(std::move(page.error()));
            for (const auto& one : page->messages) {
                here[one.unique_id] = {one.octets, one.order};
                asked.after = one.order;
            }
            if (page->messages.size() < asked.limit) return here;
        }
    }

    CallResult<> bring(const SourceMessage& message) {
        Octets octets;
        if (auto loaded = octets.load(message); !loaded) {
            gone_.push_back(loaded.error().detail());  // its client fetched and deleted it: the next round knows
            return {};
        }
        api::ImportMessage asked{address_, message.key, message.mailbox, {}, {}, {}};
        if (!message.unique_id.empty()) asked.unique_id = message.unique_id;
        std::string flags;
        for (const auto& flag : message.flags) flags += (flags.empty() ? "" : ",") + flag;
        if (!flags.empty()) asked.flags = flags;
        if (message.received) asked.received = static_cast<std::uint64_t>(message.received->time_since_epoch().count());
        auto source = [&](char* buffer, std::size_t size) { return octets.next(buffer, size); };
        auto reply = server_.upload(asked, source);
        if (!reply) return std::unexpected(std::move(reply.error()));
        ++(reply->state == "stored" ? stored_ : reply->state == "there" ? there_ : deleted_);
        if (reply->not_kept)
            not_kept_.push_back(fmt::format("{}: {}", message.unique_id, *reply->not_kept));
        else if (reply->state == "stored" && !message.unique_id.empty())
            ++kept_;
        return {};
    }

    void print_some(std::string_view what, const std::vector<std::string>& all) const {
        for (std::size_t i = 0; i < std::min(all.size(), kNamed); ++i)
            fmt::print("{}: {}\n", what, with_hidden_shown(all[i]));
        if (all.size() > kNamed) fmt::print("... and {} more; --json names all\n", all.size() - kNamed);
    }

    void show_progress(std::size_t total) {
        if (!progress_ || (seen_ % 16 != 0 && seen_ != total)) return;
        const auto filled = seen_ * 20 / total;
        fmt::print(stderr, "\r[{}{}] {} of {}", std::string(filled, '='), std::string(20 - filled, ' '), seen_, total);
        std::fflush(stderr);
    }
    void clear_progress() const {
        if (progress_) fmt::print(stderr, "\r{:<79}\r", "");
    }

    const Cli& cli_;
    Client& server_;
    const std::string address_;
    const bool progress_;
    std::unordered_map<std::string, api::ImportedMessage> known_;
    std::vector<std::string> not_kept_, gone_, refused_;
    std::size_t seen_ = 0, stored_ = 0, there_ = 0, deleted_ = 0, kept_ = 0;
};

int import_mail(const Cli& cli, const ImportMailOptions& options) {
    auto format = moving::UidlFormat::parse(options.uidl_format);
    if (!format) return complain("--uidl-format " + format.error().detail(), 2);
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto listing =
        options.mbox.empty() ? moving::list_maildir(options.maildir, *format) : moving::list_mbox(options.mbox);
    if (!listing) return complain(listing.error().detail());
    for (const auto& note : listing->notes) complain(note);
    MailImport import(cli, *server, options.address);
    if (auto found = import.find_known(listing->messages); !found) return complain(found.error());
    if (options.dry_run) {
        auto compared = import.compare(listing->messages);
        return compared ? *compared : complain(compared.error());
    }
    auto done = import.run(listing->messages);
    if (!done) {
        import.report(listing->messages.size());
        return complain(done.error());
    }
    return import.report(listing->messages.size());
}

}  // namespace

void add_import_mail_command(CLI::App& app, Cli& cli) {
    auto o = std::make_shared<ImportMailOptions>();
    auto* sub = app.add_subcommand("import",
                                   "Bring an account's mail along from another server's files; repeating it "
                                   "brings only what is new");
    sub->add_option("ADDRESS", o->address, "The account")->required();
    auto* source = sub->add_option_group("source");
    source->add_option("--maildir", o->maildir, "A Maildir, with its folders")->type_name("DIR");
    source->add_option("--mbox", o->mbox, "A file in mbox format")->type_name("FILE");
    source->require_option(1);
    sub->add_option("--uidl-format", o->uidl_format, "Dovecot's pop3_uidl_format there (default: %08Xu%08Xv)")
        ->type_name("FORMAT");
    sub->add_flag("--dry-run", o->dry_run, "Store nothing; say how unique-ids, sizes and order here compare");
    sub->callback([&cli, o] { cli.action = [&cli, o] { return import_mail(cli, *o); }; });
}

}  // namespace poplar::cli
