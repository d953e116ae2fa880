// poplar import: an account's mail from another server's files, or over the wire.
#include "cli/import_mail.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/password_input.h"
#include "cli/remote_options.h"
#include "moving/maildir.h"
#include "moving/mbox.h"

namespace poplar::cli {

namespace {

struct ImportMailOptions {
    std::string address, maildir, mbox, uidl_format{moving::kDovecotFormat}, user, password_file;
    RemoteWords remote;
    bool dry_run = false;
};

class Files final : public moving::Source {
public:
    explicit Files(std::function<Result<moving::Listing>()> list) : list_(std::move(list)) {}
    Result<moving::Listing> list() override { return list_(); }
    Result<> read(const moving::SourceMessage& message,
                  const std::function<Result<>(std::string_view)>& take) override {
        return moving::read(message, take);
    }

private:
    const std::function<Result<moving::Listing>()> list_;
};

/// Errors: invalid, with the option that is wrong.
Result<std::unique_ptr<moving::Source>> source_of(const ImportMailOptions& options) {
    if (!options.mbox.empty()) {
        auto list = [path = options.mbox] { return moving::list_mbox(path); };
        return std::make_unique<Files>(std::move(list));
    }
    if (!options.maildir.empty()) {
        auto format = moving::UidlFormat::parse(options.uidl_format);
        if (!format) return fail(Errc::invalid, "--uidl-format " + format.error().detail());
        auto list = [path = options.maildir, format = *format, unnamed = options.remote.unnamed()] {
            return moving::list_maildir(path, format, unnamed);
        };
        return std::make_unique<Files>(std::move(list));
    }
    if (options.password_file.empty()) return fail(Errc::invalid, "--password-file is missing");
    auto remote = options.remote.parse();
    if (!remote) return pass_on(remote);
    auto password = password_from_file(options.password_file);
    if (!password) return pass_on(password);
    remote->credentials = {options.user.empty() ? options.address : options.user, std::move(*password), ""};
    return std::make_unique<moving::RemoteSource>(std::move(*remote));
}

class ProgressBar {
public:
    explicit ProgressBar(bool shown) : shown_(shown) {}
    void show(std::size_t done, std::size_t total) const {
        if (!shown_ || (done % 16 != 0 && done != total)) return;
        const auto filled = done * 20 / total;
        fmt::print(stderr, "\r[{}{}] {} of {}", std::string(filled, '='), std::string(20 - filled, ' '), done, total);
        std::fflush(stderr);
    }
    void clear() const {
        if (shown_) fmt::print(stderr, "\r{:<79}\r", "");
    }

private:
    const bool shown_;
};

void report(const Cli& cli, const ImportReport& done) {
    if (cli.json) {
        cli.print_json(done.json());
        return;
    }
    fmt::print("{}\n", summary(done));
    print_details(done);
}

int import_mail(const Cli& cli, const ImportMailOptions& options) {
    if (options.maildir.empty() && options.mbox.empty() && !options.remote.any())
        return complain("--maildir, --mbox, --pop3 or --imap has to say where the mail is", 2);
    const auto mirrored = options.remote.mirrored(options.user.empty() ? options.address : options.user);
    if (mirrored && !options.remote.any()) return complain("--mirror is for --pop3 and --imap", 2);
    auto source = source_of(options);
    if (!source) return complain(source.error().detail(), 2);
    auto server = cli.client();
    if (!server) return kExitConfig;
    const ProgressBar bar(!cli.json && isatty(STDERR_FILENO));
    MailImport import(*server, options.address, [&bar](std::size_t done, std::size_t total) { bar.show(done, total); });
    auto done = import.list(**source);
    if (!done) return complain(done.error());
    for (const auto& note : import.listing().notes) complain(note);
    if (options.dry_run) {
        auto compared = import.compare(**source, mirrored ? &*mirrored : nullptr);
        if (!compared) return complain(compared.error());
        if (cli.json)
            cli.print_json(compared->json());
        else
            print_comparison(*compared);
        return 0;
    }
    done = import.run(**source);
    bar.clear();
    if (done && mirrored) done = import.mirror(*mirrored);
    report(cli, import.report());
    if (!done) return complain(done.error());
    return import.report().clean() ? 0 : 1;
}

}  // namespace

void add_import_mail_command(CLI::App& app, Cli& cli) {
    auto o = std::make_shared<ImportMailOptions>();
    auto* sub = app.add_subcommand("import",
                                   "Bring an account's mail along from another server, or from its files; repeating "
                                   "it brings only what is new");
    sub->add_option("ADDRESS", o->address, "The account")->required();
    auto* maildir = sub->add_option("--maildir", o->maildir, "A Maildir, with its folders")->type_name("DIR");
    auto* mbox = sub->add_option("--mbox", o->mbox, "A file in mbox format")->type_name("FILE");
    maildir->excludes(mbox);
    add_remote_options(sub, o->remote);
    for (const char* name : {"--pop3", "--imap"}) sub->get_option(name)->excludes(maildir)->excludes(mbox);
    sub->add_option("--user", o->user, "Who the account is there; ADDRESS, if it is not said")->type_name("NAME");
    sub->add_option("--password-file", o->password_file, "A file with the password there in its first line")
        ->type_name("FILE");
    sub->add_option("--uidl-format", o->uidl_format, "Dovecot's pop3_uidl_format there (default: %08Xu%08Xv)")
        ->type_name("FORMAT");
    sub->add_flag("--dry-run", o->dry_run, "Store nothing; say how unique-ids, sizes and order here compare");
    sub->callback([&cli, o] { cli.action = [&cli, o] { return import_mail(cli, *o); }; });
}

}  // namespace poplar::cli
