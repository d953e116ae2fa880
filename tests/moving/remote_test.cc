// A maildrop on another server, which a test plays: what is asked there, and what comes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include <fmt/format.h>

#include "moving/remote.h"
#include "tests/support/played_server.h"

namespace poplar::moving {
namespace {

using test::PlayedServer;

std::string message(const std::string& subject, const std::string& body = "text") {
    return fmt::format("Subject: {}\r\n\r\n{}\r\n", subject, body);
}

struct Maildrop {
    std::vector<std::pair<std::string, std::string>> messages;  // unique-id and octets

    std::string answer(const std::string& line) const {
        if (line.empty()) return "+OK ready";
        if (line == "PASS wrong") return "-ERR [AUTH] no";
        std::string out = "+OK\r\n";
        const auto add = [&](std::size_t n, const std::string& what) { out += fmt::format("{} {}\r\n", n + 1, what); };
        if (line == "LIST")
            for (std::size_t n = 0; n < messages.size(); ++n) add(n, std::to_string(messages[n].second.size()));
        else if (line == "UIDL")
            for (std::size_t n = 0; n < messages.size(); ++n) add(n, messages[n].first);
        else if (line.starts_with("RETR ") || line.starts_with("TOP ")) {
            const auto& text = messages.at(std::stoul(line.substr(line.find(' '))) - 1).second;
            out += line.starts_with("RETR") ? text : text.substr(0, text.find("\r\n\r\n") + 4);
        } else {
            return "+OK";
        }
        return out + ".";
    }
};

struct Mailbox {
    std::vector<std::pair<std::string, std::string>> messages;  // flags and octets; UIDs count from 1
};

// Folders by name. What changes something has no answer but BAD.
PlayedServer::Answer imap_of(std::map<std::string, Mailbox> folders) {
    return [folders = std::move(folders), chosen = std::string()](const std::string& line) mutable -> std::string {
        if (line.empty()) return "* OK ready";
        const auto tag = line.substr(0, line.find(' '));
        const auto command = line.substr(std::min(tag.size() + 1, line.size()));
        std::string out;
        if (command == "CAPABILITY") out = "* CAPABILITY IMAP4rev1\r\n";
        if (command.starts_with("LIST")) {
            for (const auto& [name, folder] : folders) out += fmt::format("* LIST () \".\" \"{}\"\r\n", name);
            out += "* LIST (\\Noselect) \".\" \"none\"\r\n* LIST (\\All) \".\" \"all\"\r\n";
        }
        if (command.starts_with("EXAMINE \"")) {
            chosen = command.substr(9, command.size() - 10);
            out = fmt::format("* {} EXISTS\r\n* OK [UIDVALIDITY 7] UIDs valid\r\n", folders.at(chosen).messages.size());
        }
        if (command.starts_with("UID FETCH ")) {
            const auto set = command.substr(10, command.find(' ', 10) - 10);
            std::set<std::size_t> uids;
            for (std::size_t at = 0; set != "1:*" && at < set.size(); at = std::min(set.find(',', at), set.size()) + 1)
                uids.insert(std::stoul(set.substr(at)));
            const auto& all = folders.at(chosen).messages;
            for (std::size_t n = 0; n < all.size(); ++n) {
                if (!uids.empty() && !uids.contains(n + 1)) continue;
                const auto& [flags, text] = all[n];
                const auto header = text.substr(0, text.find("\r\n\r\n") + 4);
                out += fmt::format("* {} FETCH (UID {}", n + 1, n + 1);
                if (command.contains("FLAGS")) out += fmt::format(" FLAGS ({}) RFC822.SIZE {}", flags, text.size());
                if (command.contains("BODY.PEEK[HEADER]"))
                    out += fmt::format(" BODY[HEADER] {{{}}}\r\n{}", header.size(), header);
                if (command.contains("BODY.PEEK[]")) out += fmt::format(" BODY[] {{{}}}\r\n{}", text.size(), text);
                out += ")\r\n";
            }
        }
        const bool known = !out.empty() || command.starts_with("LOGIN \"jane\" \"secret\"");
        return out + tag + (known ? " OK done" : command == "LOGOUT" ? " OK bye" : " BAD no");
    };
}

RemoteOptions options_of(const PlayedServer* pop3, const PlayedServer* imap = nullptr) {
    RemoteOptions options;
    if (pop3) options.pop3 = Endpoint{"127.0.0.1", pop3->port(), Encryption::none, Certificate::checked};
    if (imap) options.imap = Endpoint{"127.0.0.1", imap->port(), Encryption::none, Certificate::checked};
    options.credentials = {"jane", "secret", ""};
    return options;
}

bool none_known(const std::string&) { return false; }

std::string text_of(RemoteSource& source, const SourceMessage& one) {
    std::string text;
    auto done = source.read(one, [&](std::string_view part) {
        text += part;
        return Result<>();
    });
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().detail());
    return text;
}

TEST(RemoteSource, HasWhatPop3ShowsAndChangesNothingThere) {
    const Maildrop drop{{{"b", message("one")},
                         {"a", message("two", ".dot\r\n..")},
                         {"a", message("two", ".dot\r\n..")},
                         {"with space", message("3")}}};
    PlayedServer pop3([&](const std::string& line) {
        return line.starts_with("RETR 2") ? "+OK\r\nSubject: two\r\n\r\n..dot\r\n...\r\n." : drop.answer(line);
    });
    {
        RemoteSource source(options_of(&pop3));
        auto listing = source.list();
        ASSERT_TRUE(listing.has_value()) << listing.error().detail();
        ASSERT_TRUE(source.prepare(*listing, none_known).has_value());
        ASSERT_EQ(listing->messages.size(), 4u);
        const auto& all = listing->messages;
        EXPECT_EQ(all[0].unique_id, "b");
        EXPECT_EQ(all[1].unique_id, "a");
        EXPECT_TRUE(all[2].unique_id.empty() && all[3].unique_id.empty());
        EXPECT_TRUE(all[2].not_kept.contains("earlier") && all[3].not_kept.contains("with%20space"));
        EXPECT_TRUE(is_unique_id(all[2].made_id) && is_unique_id(all[3].made_id) && all[2].made_id != all[3].made_id);
        EXPECT_NE(all[1].key, all[2].key);
        EXPECT_EQ(text_of(source, all[0]), message("one"));
        EXPECT_EQ(text_of(source, all[1]), message("two", ".dot\r\n.."));
    }
    for (const auto& line : pop3.lines()) EXPECT_FALSE(line.starts_with("DELE") || line == "QUIT") << line;
}

TEST(RemoteSource, ReadsOnInANewSessionAndThereByUniqueId) {
    Maildrop drop{{{"a", message("one")}, {"b", message("two")}}};
    std::atomic<bool> hung_up = false;
    PlayedServer pop3([&](const std::string& line) -> std::string {
        if (line.starts_with("RETR") && !hung_up.exchange(true)) return PlayedServer::kHangUp;
        // Another client has deleted the first meanwhile.
        return (hung_up ? Maildrop{{drop.messages[1]}} : drop).answer(line);
    });
    RemoteSource source(options_of(&pop3));
    auto listing = source.list();
    ASSERT_TRUE(listing.has_value());
    EXPECT_EQ(text_of(source, listing->messages[1]), message("two"));
    auto gone = source.read(listing->messages[0], [](std::string_view) { return Result<>(); });
    EXPECT_EQ(gone.error().code(), Errc::not_found);
}

TEST(RemoteSource, KnowsAMessageOfPop3InImapByItsHeader) {
    // POP3 shows the same in another order; two are of one size, two have one header.
    const auto a = message("aa"), b = message("bb"), c = message("cc", "short"), c2 = message("cc", "longer"),
               only = message("by pop3 alone");
    PlayedServer pop3([drop = Maildrop{{{"1", b}, {"2", c2}, {"3", a}, {"4", c}, {"5", only}}}](
                          const std::string& line) { return drop.answer(line); });
    PlayedServer imap(imap_of({{"INBOX", {{{"\\Seen", a}, {"\\Flagged", b}, {"", c}, {"work", c2}}}},
                               {"Lists.asio", {{{"\\Answered", message("in a folder")}}}}}));
    RemoteSource source(options_of(&pop3, &imap));
    auto listing = source.list();
    ASSERT_TRUE(listing.has_value()) << listing.error().detail();
    ASSERT_TRUE(source.prepare(*listing, none_known).has_value());
    ASSERT_EQ(listing->messages.size(), 6u);
    const auto& all = listing->messages;
    const std::string texts[] = {b, c2, a, c, only, message("in a folder")};
    const std::vector<std::string> flags[] = {{"flagged"}, {"work"}, {"seen"}, {}, {}, {"answered"}};
    for (std::size_t n = 0; n < all.size(); ++n) {
        EXPECT_EQ(text_of(source, all[n]), texts[n]) << n;
        EXPECT_EQ(all[n].flags, flags[n]) << n;
    }
    EXPECT_EQ(all[5].mailbox, "Lists/asio");
    EXPECT_TRUE(listing->held.empty());
    EXPECT_EQ(listing->notes.size(), 1u);
    const auto retrieved =
        std::ranges::count_if(pop3.lines(), [](const auto& line) { return line.starts_with("RETR"); });
    EXPECT_EQ(retrieved, 1);
    for (const auto& line : imap.lines())
        EXPECT_FALSE(line.contains("SELECT") || line.contains("STORE") || line.contains("BODY[")) << line;
}

TEST(RemoteSource, HoldsBackWhatPop3DoesNotShowYet) {
    const auto a = message("aa"), fresh = message("new");
    PlayedServer pop3([drop = Maildrop{{{"1", a}}}](const std::string& line) { return drop.answer(line); });
    PlayedServer imap(imap_of({{"INBOX", {{{"", a}, {"", fresh}}}}}));
    for (auto unnamed : {Unnamed::hold_back, Unnamed::bring}) {
        auto options = options_of(&pop3, &imap);
        options.unnamed = unnamed;
        RemoteSource source(options);
        auto listing = source.list();
        ASSERT_TRUE(listing.has_value());
        ASSERT_TRUE(source.prepare(*listing, none_known).has_value());
        const bool held = unnamed == Unnamed::hold_back;
        EXPECT_EQ(listing->held.size(), held ? 1u : 0u);
        ASSERT_EQ(listing->messages.size(), held ? 1u : 2u);
        if (!held) EXPECT_EQ(text_of(source, listing->messages[1]), fresh);
    }
}

TEST(RemoteSource, SaysWhatIsWrong) {
    PlayedServer pop3([](const std::string& line) { return Maildrop{}.answer(line); });
    auto options = options_of(&pop3);
    options.credentials.password = "wrong";
    auto denied = RemoteSource(options).list();
    ASSERT_FALSE(denied.has_value());
    EXPECT_TRUE(denied.error().detail().contains("does not log jane in: [AUTH] no")) << denied.error().detail();
    options.credentials.password = "x\r\nDELE 1";
    EXPECT_EQ(RemoteSource(options).list().error().code(), Errc::denied);

    PlayedServer other([](const std::string&) { return std::string("220 mail"); });
    EXPECT_EQ(RemoteSource(options_of(&other)).list().error().code(), Errc::invalid);
    PlayedServer nameless(
        [](const std::string& line) { return line == "UIDL" ? std::string("-ERR what") : Maildrop{}.answer(line); });
    EXPECT_TRUE(RemoteSource(options_of(&nameless)).list().error().detail().contains("UIDL"));
    PlayedServer large([](const std::string& line) {
        return line.empty() ? std::string("* OK") : line.substr(0, line.find(' ')) + " {999999999999}";
    });
    EXPECT_EQ(RemoteSource(options_of(nullptr, &large)).list().error().code(), Errc::too_large);
}

}  // namespace
}  // namespace poplar::moving
