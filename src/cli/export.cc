// poplar export: an account's mail as a Maildir that Dovecot takes over, unique-ids and all, or as an mbox.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include <sys/stat.h>
#include <utime.h>

#include "api/mailboxes.h"
#include "api/messages.h"
#include "cli/import_mail.h"

namespace poplar::cli {

namespace {

namespace fs = std::filesystem;

struct ExportOptions {
    std::string address, maildir, mbox;
};

std::time_t second_of(const std::string& time) {
    std::tm parts{};
    return ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) ? ::timegm(&parts) : 0;
}

// The other way round as moving::mailbox_name_of(): UTF-16 in base64 behind "&"; and "." for "/".
std::string folder_of(std::string_view name) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    std::string out = ".";
    std::uint32_t bits = 0;
    unsigned count = 0;
    bool shifted = false;
    auto put = [&](std::uint32_t unit) {
        bits = bits << 16 | unit;
        for (count += 16; count >= 6; count -= 6) out += kAlphabet[(bits >> (count - 6)) & 63];
        bits &= (1u << count) - 1;
    };
    auto end_shift = [&] {
        if (!shifted) return;
        if (count > 0) out += kAlphabet[(bits << (6 - count)) & 63];
        out += '-';
        shifted = false;
        bits = count = 0;
    };
    for (std::size_t at = 0; at < name.size();) {
        const auto lead = static_cast<unsigned char>(name[at]);
        const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        // A "." would divide the name in two.
        if (size == 1 && lead >= 0x20 && lead < 0x7f && lead != '.') {
            end_shift();
            out += lead == '/' ? std::string(".") : lead == '&' ? std::string("&-") : std::string(1, name[at]);
            ++at;
            continue;
        }
        std::uint32_t c = size == 1 ? lead : lead & (0x3f >> (size - 1));
        for (std::size_t i = 1; i < size && at + i < name.size(); ++i)
            c = c << 6 | (static_cast<unsigned char>(name[at + i]) & 0x3f);
        if (!shifted) out += '&';
        shifted = true;
        if (c >= 0x10000) {
            put(0xd800 + ((c - 0x10000) >> 10));
            put(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put(c);
        }
        at += size;
    }
    end_shift();
    return out;
}

// Names of keywords as letters, for one folder.
class Keywords {
public:
    /// Nothing: the folder has 26 already, or the flag has a letter of its own.
    std::optional<char> letter(const std::string& name) {
        const auto found = std::ranges::find(names_, name);
        if (found == names_.end() && names_.size() == 26) return std::nullopt;
        const auto n = found - names_.begin();
        if (found == names_.end()) names_.push_back(name);
        return static_cast<char>('a' + n);
    }
    std::string text() const {
        std::string out;
        for (std::size_t i = 0; i < names_.size(); ++i) out += fmt::format("{} {}\n", i, names_[i]);
        return out;
    }

private:
    std::vector<std::string> names_;
};

std::string letters_of(const std::vector<std::string>& flags, Keywords& keywords) {
    std::string letters;
    for (const auto& flag : flags) {
        if (flag == "seen")
            letters += 'S';
        else if (flag == "answered")
            letters += 'R';
        else if (flag == "flagged")
            letters += 'F';
        else if (flag == "deleted")
            letters += 'T';
        else if (flag == "draft")
            letters += 'D';
        else if (flag == "$Forwarded")
            letters += 'P';
        else if (auto letter = keywords.letter(flag))
            letters += *letter;
    }
    std::ranges::sort(letters);
    return letters;
}

CallResult<> failed(const std::string& what) { return std::unexpected(CallError{1, what, ""}); }

class Exporter {
public:
    Exporter(Client& server, const ExportOptions& options) : server_(server), options_(options) {}

    CallResult<> run() {
        auto boxes = server_.call(api::ListMailboxes{options_.address});
        if (!boxes) return std::unexpected(std::move(boxes.error()));
        const auto& to = options_.maildir.empty() ? options_.mbox : options_.maildir;
        std::error_code wrong;
        fs::create_directories(to, wrong);
        if (wrong) return failed(fmt::format("{} can't be made: {}", to, wrong.message()));
        if (!fs::is_empty(to, wrong) || wrong) return failed(fmt::format("{} is not empty", to));
        for (const auto& box : boxes->mailboxes) {
            auto done = options_.maildir.empty() ? mbox(box) : maildir(box);
            if (!done) return done;
        }
        return {};
    }
    std::uint64_t messages() const { return messages_; }
    std::uint64_t octets() const { return octets_; }

private:
    CallResult<> each(const api::Mailbox& box, const std::function<CallResult<>(const api::Message&)>& take) {
        api::ListMessages asked;
        asked.address = options_.address;
        asked.mailbox = box.name;
        asked.limit = 1000;
        asked.headers = false;
        for (;;) {
            auto page = server_.call(asked);
            if (!page) return std::unexpected(std::move(page.error()));
            for (const auto& message : page->messages) {
                asked.after = message.order;
                if (auto done = take(message); !done) return done;
            }
            if (page->messages.size() < asked.limit) return {};
        }
    }

    /// With LF for line ends, as files have them; a CR that ends no line is never stored.
    CallResult<> fetch(const api::Message& message, const std::function<void(std::string_view)>& take) {
        std::string text;
        auto sink = [&](std::string_view part) {
            octets_ += part.size();
            text.assign(part);
            std::erase(text, '\r');
            take(text);
        };
        auto done = server_.download(api::FetchMessage{options_.address, message.unique_id}, sink);
        if (done) ++messages_;
        return done;
    }

    /// Somebody deleted it after it was listed.
    static bool is_gone(const CallResult<>& fetched) { return !fetched && fetched.error().code == "not_found"; }

    static CallResult<> write(const fs::path& path, const std::string& text) {
        std::ofstream out(path, std::ios::binary);
        out << text;
        out.close();
        return out ? CallResult<>() : failed(fmt::format("{} can't be written", path.string()));
    }

    CallResult<> maildir(const api::Mailbox& box) {
        const bool inbox = box.name == "INBOX";
        const fs::path folder = inbox ? fs::path(options_.maildir) : fs::path(options_.maildir) / folder_of(box.name);
        std::error_code wrong;
        for (const char* part : {"cur", "new", "tmp"}) fs::create_directories(folder / part, wrong);
        if (wrong) return failed(fmt::format("{} can't be made: {}", folder.string(), wrong.message()));
        if (!inbox)
            if (auto done = write(folder / "maildirfolder", ""); !done) return done;
        Keywords keywords;
        std::map<std::uint64_t, std::string> lines;  // by UID: Dovecot reads none that comes behind a higher one
        std::uint64_t number = 0;
        auto one = [&](const api::Message& message) -> CallResult<> {
            const auto second = second_of(message.received);
            const auto base = fmt::format("{}.M{}.poplar", second, message.order);
            const auto path = folder / "cur" / (base + ":2," + letters_of(message.flags, keywords));
            std::ofstream out(path, std::ios::binary);
            auto done = fetch(message, [&](std::string_view text) { out << text; });
            out.close();
            if (is_gone(done)) {
                fs::remove(path, wrong);
                return {};
            }
            if (!done) return done;
            if (!out) return failed(fmt::format("{} can't be written", path.string()));
            const utimbuf times{second, second};
            ::utime(path.c_str(), &times);
            lines[message.uid] = fmt::format("{} P{} O{} :{}\n", message.uid, message.unique_id, ++number, base);
            return {};
        };
        if (auto done = each(box, one); !done) return done;
        auto list = fmt::format("3 V{} N{}\n", box.uid_validity, box.uid_next);
        for (const auto& [uid, line] : lines) list += line;
        if (auto done = write(folder / "dovecot-uidlist", list); !done) return done;
        const auto text = keywords.text();
        return text.empty() ? CallResult<>() : write(folder / "dovecot-keywords", text);
    }

    CallResult<> mbox(const api::Mailbox& box) {
        auto name = folder_of(box.name).substr(1);
        const auto path = fs::path(options_.mbox) / (box.name == "INBOX" ? std::string("INBOX") : name);
        std::ofstream out(path, std::ios::binary);
        auto one = [&](const api::Message& message) -> CallResult<> {
            const auto second = second_of(message.received);
            char date[64];
            std::tm parts{};
            ::gmtime_r(&second, &parts);
            std::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &parts);
            auto has = [&](std::string_view flag) {
                return std::ranges::find(message.flags, flag) != message.flags.end();
            };
            bool begun = false;
            auto begin = [&] {
                if (!std::exchange(begun, true))
                    out << fmt::format("From MAILER-DAEMON {}\nX-UIDL: {}\nStatus: {}O\nX-Status: {}{}{}{}\n", date,
                                       message.unique_id, has("seen") ? "R" : "", has("answered") ? "A" : "",
                                       has("flagged") ? "F" : "", has("draft") ? "T" : "", has("deleted") ? "D" : "");
            };
            // A line of the text that begins with "From " would begin a message.
            std::string line;
            auto write = [&](std::string_view text) {
                begin();
                for (; !text.empty();) {
                    const auto end = text.find('\n');
                    line += text.substr(0, end);
                    if (end == std::string_view::npos) return;
                    const auto quotes = line.find_first_not_of('>');
                    if (quotes != std::string::npos && std::string_view(line).substr(quotes).starts_with("From "))
                        out << '>';
                    out << line << '\n';
                    line.clear();
                    text.remove_prefix(end + 1);
                }
            };
            auto done = fetch(message, write);
            if (is_gone(done)) return {};
            if (!done) return done;
            begin();
            if (!line.empty()) out << line << '\n';
            out << '\n';
            return out ? CallResult<>() : failed(fmt::format("{} can't be written", path.string()));
        };
        if (auto done = each(box, one); !done) return done;
        out.close();
        return out ? CallResult<>() : failed(fmt::format("{} can't be written", path.string()));
    }

    Client& server_;
    const ExportOptions& options_;
    std::uint64_t messages_ = 0, octets_ = 0;
};

int export_mail(const Cli& cli, const ExportOptions& options) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    umask(0077);
    Exporter exporter(*server, options);
    if (auto done = exporter.run(); !done) return complain(done.error());
    if (cli.json)
        cli.print_json({{"messages", exporter.messages()}, {"octets", exporter.octets()}});
    else
        fmt::print("exported {} messages\n", exporter.messages());
    return 0;
}

}  // namespace

void add_export_command(CLI::App& app, Cli& cli) {
    auto o = std::make_shared<ExportOptions>();
    auto* sub = app.add_subcommand("export", "Write an account's mail to files, with its unique-ids");
    sub->add_option("ADDRESS", o->address, "The account")->required();
    auto* target = sub->add_option_group("target");
    target->add_option("--maildir", o->maildir, "As a Maildir with folders, as Dovecot has them")->type_name("DIR");
    target->add_option("--mbox", o->mbox, "As a file in mbox format for each mailbox")->type_name("DIR");
    target->require_option(1);
    sub->callback([&cli, o] { cli.action = [&cli, o] { return export_mail(cli, *o); }; });
}

}  // namespace poplar::cli
