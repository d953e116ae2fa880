// The mail to a user whose mailbox fills up.
#include "quota/notice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "quota/notice_table.h"

namespace poplar::quota {
namespace {

Notice notice(std::string language, unsigned percent, FullReply full_reply = FullReply::defer) {
    Notice made;
    made.reached = {
        directory::AccountId{1024}, false, percent, {800, 85'000'000}, {.octets = 100'000'000, .messages = 1000}};
    made.address = "jane@example.org";
    made.language = std::move(language);
    made.hostname = "mx.example.org";
    made.id = "abc";
    made.time = Timestamp(std::chrono::milliseconds(1'700'000'000'000));
    made.full_reply = full_reply;
    return made;
}

std::string header_of(const std::string& message) { return message.substr(0, message.find("\n\n") + 1); }

TEST(QuotaNotice, HeaderIsAsciiInEveryLanguage) {
    for (auto language : kLanguages)
        for (unsigned percent : kPercents) {
            const auto message = compose(notice(std::string(language), percent));
            const auto header = header_of(message);
            EXPECT_TRUE(std::ranges::all_of(header, [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); }))
                << header;
            for (auto line : {"From: Mail server <postmaster@example.org>\n", "To: <jane@example.org>\n",
                              "Message-ID: <abc@mx.example.org>\n", "\nSubject: ", "Auto-Submitted: auto-generated\n"})
                EXPECT_TRUE(header.contains(line)) << line << " in " << header;
            EXPECT_TRUE(header.contains("Content-Language: " + std::string(language) + "\n"));
            EXPECT_FALSE(message.contains('\r'));
            EXPECT_FALSE(message.contains('{')) << message;
        }
}

TEST(QuotaNotice, SaysHowMuchThereIsAndWhatHappens) {
    const auto near = compose(notice("de", 80));
    EXPECT_TRUE(near.contains("Subject: Ihr Postfach ist zu 80 % voll\n")) << near;
    for (auto text : {"Das Postfach von jane@example.org", "85 MB von 100 MB", "800 von 1000 Nachrichten"})
        EXPECT_TRUE(near.contains(text)) << text << " in " << near;
    const auto waits = compose(notice("en", 100)), refused = compose(notice("en", 100, FullReply::reject));
    EXPECT_TRUE(waits.contains("Subject: Your mailbox is full\n"));
    EXPECT_TRUE(waits.contains(std::string(kWaits[0]))) << waits;
    EXPECT_TRUE(refused.contains(std::string(kRefused[0]))) << refused;
    EXPECT_TRUE(compose(notice("tlh", 80)).contains("Your mailbox is 80 % full")) << "English for any other";
}

TEST(QuotaNotice, LimitThatIsNotThereIsNotMentioned) {
    auto octets_alone = notice("en", 80);
    octets_alone.reached.bounds.messages = 0;
    EXPECT_FALSE(compose(octets_alone).contains("1000 messages"));
    auto messages_alone = notice("en", 80);
    messages_alone.reached.bounds.octets = 0;
    EXPECT_FALSE(compose(messages_alone).contains("85 MB"));
}

TEST(QuotaNotice, FindsLanguagesInAnySpelling) {
    for (auto [typed, tag] : {std::pair{"de", "de"}, {"DE", "de"}, {"de-CH", "de"}, {"ja", "ja"}, {"en-GB", "en"}})
        EXPECT_EQ(find_language(typed), tag) << typed;
    for (auto typed : {"", "-", "xx", "german", "d"}) EXPECT_EQ(find_language(typed), std::nullopt) << typed;
    EXPECT_EQ(languages(), "en, de, es, fr, it, ja");
}

}  // namespace
}  // namespace poplar::quota
