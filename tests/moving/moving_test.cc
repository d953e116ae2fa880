// Other servers' files and what they say of their messages.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "moving/lists.h"
#include "moving/maildir.h"
#include "moving/mbox.h"
#include "moving/uidl_format.h"
#include "tests/support/temp_dir.h"

namespace poplar::moving {
namespace {

TEST(UidlFormat, MakesWhatDovecotMakes) {
    struct Case {
        std::string_view format, expected;
    };
    const UidlFormat::Values values{25006, 1275660208, "127.M1P1.host,S=5", "0123abcd"};
    for (auto [format, expected] : {Case{"%08Xu%08Xv", "000061ae4c0907b0"},
                                    {"%08Xv%08Xu", "4c0907b0000061ae"},
                                    {"%v.%u", "1275660208.25006"},
                                    {"UID%u-%v", "UID25006-1275660208"},
                                    {"%Xu", "61ae"},
                                    {"%010u", "0000025006"},
                                    {"%f", "127.M1P1.host,S=5"},
                                    {"%g", "0123abcd"},
                                    {"%u%%", "25006%"}}) {
        auto parsed = UidlFormat::parse(format);
        ASSERT_TRUE(parsed.has_value()) << format;
        EXPECT_EQ(parsed->expand(values), expected) << format;
    }
}

TEST(UidlFormat, RefusesWhatItDoesNotKnow) {
    for (std::string_view format : {"", "fixed", "%", "%m", "%08X", "%99999999u", "%5f", "%Xg", "%%"})
        EXPECT_FALSE(UidlFormat::parse(format).has_value()) << format;
}

TEST(DovecotList, HasTheFieldsOfItsLines) {
    auto list = parse_dovecot_list(
        "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
        "25006 :1276528487.M364837P9451.host,S=1355,W=1394:2,\n"
        "25017 G3085 W1394 Pold-id O3 :1276533073.M242911P3632.host:2,F\n"
        "nonsense\n"
        "0 :zero\n"
        "25018 W12\n");
    ASSERT_TRUE(list.has_value());
    EXPECT_EQ(list->uid_validity, 1275660208u);
    EXPECT_EQ(list->passed_over, 3u);
    ASSERT_EQ(list->entries.size(), 2u);
    const auto& plain = list->entries.at("1276528487.M364837P9451.host,S=1355,W=1394");
    EXPECT_EQ(plain.uid, 25006u);
    EXPECT_TRUE(plain.pop3_uid.empty() && plain.guid.empty() && !plain.order);
    const auto& full = list->entries.at("1276533073.M242911P3632.host");
    EXPECT_EQ(full.guid, "3085");
    EXPECT_EQ(full.pop3_uid, "old-id");
    EXPECT_EQ(full.order, 3u);
}

TEST(DovecotList, OfVersionOneHasUidsAlone) {
    auto list = parse_dovecot_list("1 1275660208 25022\n25006 1276528487.M364837P9451.host:2,S\n");
    ASSERT_TRUE(list.has_value());
    EXPECT_EQ(list->uid_validity, 1275660208u);
    EXPECT_EQ(list->entries.at("1276528487.M364837P9451.host").uid, 25006u);
    for (std::string_view text : {"", "2 1 2\n", "3 N5\n", "1 x 2\n", "3 V0\n"})
        EXPECT_FALSE(parse_dovecot_list(text).has_value()) << text;
}

TEST(CourierList, HasTheIdsThatCourierSays) {
    auto ids = parse_courier_list(
        "/3 7 1270000000\na name:2,S 400 5:1270000000:0\nb 400 6:0:1\nc+'d 400 0:0:0\n\nshort 1\nbad 4 x:1:0\n");
    ASSERT_TRUE(ids.has_value());
    EXPECT_EQ(*ids, (std::map<std::string, std::string, std::less<>>{
                        {"a name", "UID5-1270000000"}, {"b", "UID6"}, {"c+'d", "c+2B+27d"}}));
    EXPECT_TRUE(parse_courier_list("/2 7 1270000000\nb 400 6:1270000000\n").has_value());
    for (std::string_view text : {"", "7 1\n", "/1 7\n", "/4 7\n"})
        EXPECT_FALSE(parse_courier_list(text).has_value()) << text;
}

TEST(MailboxName, IsDecodedAsImapHasIt) {
    EXPECT_EQ(mailbox_name_of("Lists/asio"), "Lists/asio");
    EXPECT_EQ(mailbox_name_of("Gr&APwA3w-e &- mehr"), "Grüße & mehr");
    EXPECT_EQ(mailbox_name_of("&2D3eAA-"), "\xf0\x9f\x98\x80");
    for (std::string_view text : {"&", "&AP", "&!!!-", "&2D0-", "a&APw"}) EXPECT_EQ(mailbox_name_of(text), text);
}

TEST(UniqueIds, ThatRepeatOrAreStrangeAreNamed) {
    std::vector<SourceMessage> messages(6);
    messages[0].unique_id = "a";
    messages[1].unique_id = "a";
    messages[2].unique_id = std::string(71, 'x');
    messages[3].unique_id = "with space";
    messages[4].unique_id = std::string(70, 'x');
    settle_unique_ids(messages);
    EXPECT_EQ(messages[0].unique_id, "a");
    EXPECT_TRUE(messages[0].not_kept.empty());
    for (int i : {1, 2, 3}) {
        EXPECT_TRUE(messages[i].unique_id.empty()) << i;
        EXPECT_FALSE(messages[i].not_kept.empty()) << i;
    }
    EXPECT_EQ(messages[4].unique_id.size(), 70u);
    EXPECT_TRUE(messages[5].not_kept.empty());
}

std::string text_of(const SourceMessage& message) {
    std::string text;
    EXPECT_TRUE(read(message, [&](std::string_view part) {
        text += part;
        return Result<>();
    }));
    return text;
}

TEST(Mbox, IsCutIntoItsMessagesWithoutWhatItsServerNoted) {
    test::TempDir directory;
    const auto path = directory.path() / "mbox";
    std::ofstream(path) << "From a@b Tue Jun  8 12:26:41 2010\nSubject: one\nX-UIDL: id-1\nStatus: RO\nX-Status: AF\n"
                           "X-Keywords: work\n  home\n\ntext\nFrom here on\n>From there\n\n"
                           "From c@d Tue Jun  8 12:26:42 2010\nX-UIDL:\n\tid-2\nSubject: two\n folded\n\n\n\nend\n\n"
                           "From e@f Tue Jun  8 12:26:43 2010\nSubject: three\n\nStatus: R\n\nno end";
    auto listing = list_mbox(path);
    ASSERT_TRUE(listing.has_value());
    ASSERT_EQ(listing->messages.size(), 3u);
    const auto& all = listing->messages;
    EXPECT_EQ(text_of(all[0]), "Subject: one\n\ntext\nFrom here on\n>From there\n");
    EXPECT_EQ(all[0].unique_id, "id-1");
    EXPECT_EQ(all[0].flags, (std::vector<std::string>{"seen", "answered", "flagged", "work", "home"}));
    EXPECT_EQ(text_of(all[1]), "Subject: two\n folded\n\n\n\nend\n");
    EXPECT_EQ(all[1].unique_id, "id-2");
    EXPECT_EQ(text_of(all[2]), "Subject: three\n\nStatus: R\n\nno end");
    EXPECT_NE(all[0].key, all[1].key);
}

TEST(Mbox, GivesMessagesThatAreAlikeKeysOfTheirOwn) {
    test::TempDir directory;
    const auto path = directory.path() / "mbox";
    std::ofstream(path) << "From a\nSubject: x\n\ntext\n\nFrom a\nSubject: x\n\ntext\n\n";
    auto listing = list_mbox(path);
    ASSERT_TRUE(listing.has_value());
    ASSERT_EQ(listing->messages.size(), 2u);
    EXPECT_NE(listing->messages[0].key, listing->messages[1].key);
    std::ofstream(path) << "Subject: no mbox\n";
    EXPECT_FALSE(list_mbox(path).has_value());
    EXPECT_FALSE(list_mbox(directory.path() / "none").has_value());
}

TEST(Mbox, ThatIsWrittenAnewHasNoneOfItsMessagesTakenForAnother) {
    test::TempDir directory;
    const auto path = directory.path() / "mbox", link = directory.path() / "link";
    const std::string one = "From a\nSubject: one\n\ntext 1\n\n", two = "From b\nSubject: two\n\ntext 2\n\n";
    std::ofstream(path) << one << two;
    std::filesystem::create_symlink(path, link);
    auto listing = list_mbox(link);
    ASSERT_TRUE(listing.has_value());
    ASSERT_EQ(listing->messages.size(), 2u);
    EXPECT_EQ(text_of(listing->messages[1]), "Subject: two\n\ntext 2\n");
    const auto outcome = [&](std::size_t n) {
        auto done = read(listing->messages[n], [](std::string_view) { return Result<>(); });
        return done ? std::nullopt : std::optional(done.error().code());
    };
    std::ofstream(path) << two << one;
    EXPECT_EQ(outcome(0), Errc::not_found);
    EXPECT_EQ(outcome(1), Errc::not_found);
    std::ofstream(path) << one;
    EXPECT_EQ(outcome(0), std::nullopt);
    EXPECT_EQ(outcome(1), Errc::not_found);
}

TEST(Maildir, LeavesLinksOutAndSaysSo) {
    namespace fs = std::filesystem;
    test::TempDir directory;
    const auto path = directory.path() / "Maildir", secret = directory.path() / "secret";
    fs::create_directories(path / "cur");
    fs::create_directories(path / ".Other");
    fs::create_directories(directory.path() / "foreign");
    std::ofstream(secret) << "3 V1 N9\n1 :127.M1P1.host\n";
    std::ofstream(directory.path() / "foreign/128.M1P1.host") << "Subject: not mine\n\n";
    std::ofstream(path / "cur/127.M1P1.host:2,S") << "Subject: mine\n\n";
    fs::create_symlink(secret, path / "cur/126.M1P1.host:2,");
    fs::create_symlink(directory.path() / "foreign", path / "new");
    fs::create_symlink(directory.path() / "foreign", path / ".Other/cur");
    auto listing = list_maildir(path, *UidlFormat::parse(kDovecotFormat), Unnamed::bring);
    ASSERT_TRUE(listing.has_value());
    ASSERT_EQ(listing->messages.size(), 1u);
    EXPECT_EQ(text_of(listing->messages[0]), "Subject: mine\n\n");
    for (const char* left_out : {"cur/126.M1P1.host", "Maildir/new is", ".Other/cur is"})
        EXPECT_TRUE(std::ranges::any_of(listing->notes, [&](const auto& note) { return note.contains(left_out); }))
            << left_out;
    fs::create_symlink(secret, path / "dovecot-uidlist");
    EXPECT_FALSE(list_maildir(path, *UidlFormat::parse(kDovecotFormat), Unnamed::bring).has_value());
    // One that becomes a link between the listing and the reading.
    fs::remove(listing->messages[0].file);
    fs::create_symlink(secret, listing->messages[0].file);
    EXPECT_FALSE(read(listing->messages[0], [](std::string_view) { return Result<>(); }).has_value());
}

TEST(Maildir, HasKeysThatAServerCanRemember) {
    namespace fs = std::filesystem;
    test::TempDir directory;
    const auto path = directory.path() / "Maildir";
    std::string name = ".";
    for (int n = 0; n < 120; ++n) name += "\xc3\xbc";
    const auto folder = path / name / "cur";
    fs::create_directories(path / "cur");
    fs::create_directories(folder);
    std::string base = "127.";
    for (int n = 0; n < 60; ++n) base += "\xc3\xbc";
    for (const char* end : {"a", "b"}) std::ofstream(folder / (base + end)) << "Subject: x\n\n";
    auto listing = list_maildir(path, *UidlFormat::parse(kDovecotFormat), Unnamed::bring);
    ASSERT_TRUE(listing.has_value());
    ASSERT_EQ(listing->messages.size(), 2u);
    for (const auto& message : listing->messages) EXPECT_LE(message.key.size(), 1000u);
    EXPECT_NE(listing->messages[0].key, listing->messages[1].key);
}

}  // namespace
}  // namespace poplar::moving
