#include "moving/maildir.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/digest.h"
#include "moving/lists.h"

namespace poplar::moving {

namespace fs = std::filesystem;

namespace {

constexpr char kInbox[] = "INBOX";
constexpr std::size_t kLargestList = 256u << 20;  // octets of a uidlist
constexpr std::size_t kLongestKey = 1000;         // api::ImportMessage::source

// A message before it is sorted.
struct Candidate {
    SourceMessage message;
    std::string base;
    std::optional<std::uint32_t> order, uid;
};

bool is_maildir(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path / "cur", ignored);
}

Result<std::optional<std::string>> read_list(const fs::path& path) { return read_small(path, kLargestList); }

// The server remembers a message by this key.
std::string key_of(const std::string& mailbox, std::string_view base) {
    auto key = fmt::format("maildir:{}:{}", printable_key(mailbox), printable_key(base));
    if (key.size() <= kLongestKey) return key;
    Digest digest;
    digest.add(key);
    return "maildir:" + digest.finish();
}

std::vector<std::string> flags_of(std::string_view name, const std::map<char, std::string>& keywords) {
    std::vector<std::string> flags;
    const auto info = name.find(":2,");
    if (info == std::string_view::npos) return flags;
    for (char letter : name.substr(info + 3)) {
        switch (letter) {
            case 'S': flags.emplace_back("seen"); break;
            case 'R': flags.emplace_back("answered"); break;
            case 'F': flags.emplace_back("flagged"); break;
            case 'T': flags.emplace_back("deleted"); break;
            case 'D': flags.emplace_back("draft"); break;
            case 'P': flags.emplace_back("$Forwarded"); break;
            default:
                if (auto known = keywords.find(letter); known != keywords.end()) flags.push_back(known->second);
        }
    }
    return flags;
}

// The number at a name's beginning: when the message came.
std::uint64_t second_of(std::string_view base) {
    std::uint64_t second = 0;
    std::from_chars(base.data(), base.data() + base.size(), second);
    return second;
}

Result<> add_files(const fs::path& folder, const std::string& mailbox, const std::map<char, std::string>& keywords,
                   std::vector<Candidate>& found, std::vector<std::string>& notes) {
    std::error_code failed;
    if (fs::is_symlink(folder, failed)) {
        notes.push_back(fmt::format("{} is left out: it is a link", folder.string()));
        return {};
    }
    fs::directory_iterator files(folder, failed);
    if (failed == std::errc::no_such_file_or_directory) return {};
    for (; !failed && files != fs::directory_iterator(); files.increment(failed)) {
        const auto name = files->path().filename().string();
        struct stat file{};
        if (name.starts_with('.') || ::lstat(files->path().c_str(), &file) != 0) continue;
        if (S_ISLNK(file.st_mode)) notes.push_back(fmt::format("{} is left out: it is a link", files->path().string()));
        if (!S_ISREG(file.st_mode)) continue;
        Candidate one;
        one.base = base_of(name);
        one.message.key = key_of(mailbox, one.base);
        one.message.mailbox = mailbox;
        one.message.flags = flags_of(name, keywords);
        const auto since = std::chrono::seconds(file.st_mtim.tv_sec) + std::chrono::nanoseconds(file.st_mtim.tv_nsec);
        one.message.received = Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(since));
        one.message.file = files->path();
        one.message.content = {{0, static_cast<std::uint64_t>(file.st_size)}};
        found.push_back(std::move(one));
    }
    if (failed) return fail(Errc::io, fmt::format("{} can't be read: {}", folder.string(), failed.message()));
    return {};
}

// Dovecot's order: by O where there is one, then by UID; what has no UID yet comes last.
bool comes_before(const Candidate& a, const Candidate& b) {
    constexpr auto kLast = std::uint64_t(1) << 40;
    const auto place = [](const Candidate& one) {
        return std::tuple(one.order.value_or(std::uint32_t(-1)), one.uid ? *one.uid : kLast, second_of(one.base),
                          std::string_view(one.base));
    };
    return place(a) < place(b);
}

Result<> name_by_dovecot(const std::string& text, const UidlFormat& format, bool inbox, std::vector<Candidate>& found,
                         std::vector<std::string>& notes) {
    auto list = parse_dovecot_list(text);
    if (!list) return pass_on(list);
    if (list->passed_over > 0)
        notes.push_back(fmt::format("dovecot-uidlist: {} lines can't be read", list->passed_over));
    for (auto& one : found) {
        auto entry = list->entries.find(one.base);
        if (entry == list->entries.end()) continue;
        one.uid = entry->second.uid;
        if (!inbox) continue;
        one.order = entry->second.order;
        const std::string_view guid = entry->second.guid.empty() ? std::string_view(one.base) : entry->second.guid;
        one.message.unique_id = entry->second.pop3_uid.empty()
                                    ? format.expand({entry->second.uid, list->uid_validity, one.base, guid})
                                    : entry->second.pop3_uid;
    }
    return {};
}

Result<> add_mailbox(const fs::path& path, const std::string& mailbox, const UidlFormat& format, Unnamed unnamed,
                     Listing& listing) {
    auto dovecot = read_list(path / "dovecot-uidlist");
    if (!dovecot) return pass_on(dovecot);
    auto keywords = read_list(path / "dovecot-keywords");
    if (!keywords) return pass_on(keywords);
    const auto names = parse_dovecot_keywords(*keywords ? **keywords : std::string());
    std::vector<Candidate> found;
    for (const char* folder : {"cur", "new"})
        if (auto added = add_files(path / folder, mailbox, names, found, listing.notes); !added) return added;
    const bool inbox = mailbox == kInbox;
    bool named = inbox;  // its server gives INBOX's messages unique-ids, and keeps them in a list
    if (*dovecot) {
        auto done = name_by_dovecot(**dovecot, format, inbox, found, listing.notes);
        if (!done) return done;
    } else if (inbox) {
        auto courier = read_list(path / "courierpop3dsizelist");
        if (!courier) return pass_on(courier);
        if (*courier) {
            auto ids = parse_courier_list(**courier);
            if (!ids) return pass_on(ids);
            for (auto& one : found)
                if (auto id = ids->find(one.base); id != ids->end()) one.message.unique_id = id->second;
        } else if (named = false; !found.empty()) {
            listing.notes.emplace_back(
                "neither dovecot-uidlist nor courierpop3dsizelist is there: clients will fetch all anew");
        }
    }
    std::ranges::sort(found, comes_before);
    for (auto& one : found)
        if (named && one.message.unique_id.empty() && unnamed == Unnamed::hold_back)
            listing.held.push_back(one.message.file.string());
        else
            listing.messages.push_back(std::move(one.message));
    return {};
}

// Folders below `path` that are mailboxes, as (folder, name).
Result<std::vector<std::pair<fs::path, std::string>>> folders_of(const fs::path& path) {
    std::vector<std::pair<fs::path, std::string>> found;
    std::error_code failed;
    std::vector<std::pair<fs::path, std::string>> waiting{{path, ""}};
    while (!waiting.empty()) {
        auto [above, prefix] = std::move(waiting.back());
        waiting.pop_back();
        for (fs::directory_iterator it(above, failed); !failed && it != fs::directory_iterator();
             it.increment(failed)) {
            auto name = it->path().filename().string();
            if (it->is_symlink(failed) || !it->is_directory(failed) || name == "cur" || name == "new" || name == "tmp")
                continue;
            if (name.starts_with('.')) {  // Maildir++: only at the top
                if (!prefix.empty() || name.size() < 2 || !is_maildir(it->path())) continue;
                auto parts = name.substr(1);
                std::ranges::replace(parts, '.', '/');
                found.emplace_back(it->path(), mailbox_name_of(parts));
                continue;
            }
            const auto full = prefix.empty() ? name : prefix + "/" + name;
            if (is_maildir(it->path())) found.emplace_back(it->path(), mailbox_name_of(full));
            waiting.emplace_back(it->path(), full);
        }
        if (failed) return fail(Errc::io, fmt::format("{} can't be read: {}", above.string(), failed.message()));
    }
    std::ranges::sort(found, {}, [](const auto& one) { return one.second; });
    return found;
}

void append_utf8(char32_t c, std::string& out) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | (c >> 6));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | (c >> 12));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | (c >> 18));
        out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

// The letters between "&" and "-": UTF-16 in base64, with "," for "/" and without padding.
bool append_shifted(std::string_view letters, std::string& out) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    std::uint32_t bits = 0;
    unsigned count = 0;
    char32_t high = 0;
    for (char letter : letters) {
        const auto value = kAlphabet.find(letter);
        if (value == std::string_view::npos) return false;
        bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffffff;
        count += 6;
        if (count < 16) continue;
        count -= 16;
        const char32_t unit = (bits >> count) & 0xffff;
        if (unit >= 0xd800 && unit < 0xdc00) {
            if (high != 0) return false;
            high = unit;
        } else if (unit >= 0xdc00 && unit < 0xe000) {
            if (high == 0) return false;
            append_utf8(0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00), out);
            high = 0;
        } else {
            if (high != 0 || unit == 0) return false;
            append_utf8(unit, out);
        }
    }
    return high == 0 && count < 6 && (bits & ((1u << count) - 1)) == 0;
}

}  // namespace

std::string mailbox_name_of(std::string_view folder) {
    std::string out;
    for (std::size_t at = 0; at < folder.size(); ++at) {
        if (folder[at] != '&') {
            out += folder[at];
            continue;
        }
        const auto end = folder.find('-', at);
        if (end == std::string_view::npos) return std::string(folder);
        if (end == at + 1)
            out += '&';
        else if (!append_shifted(folder.substr(at + 1, end - at - 1), out))
            return std::string(folder);
        at = end;
    }
    return out;
}

Result<Listing> list_maildir(const fs::path& path, const UidlFormat& format, Unnamed unnamed) {
    if (!is_maildir(path))
        return fail(Errc::not_found, fmt::format("{} is no Maildir: it has no folder cur", path.string()));
    Listing listing;
    if (auto added = add_mailbox(path, kInbox, format, unnamed, listing); !added) return pass_on(added);
    auto folders = folders_of(path);
    if (!folders) return pass_on(folders);
    for (const auto& [folder, name] : *folders)
        if (auto added = add_mailbox(folder, name, format, unnamed, listing); !added) return pass_on(added);
    settle_unique_ids(listing.messages);
    return listing;
}

}  // namespace poplar::moving
