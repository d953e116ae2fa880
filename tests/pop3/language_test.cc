// LANG and UTF8 (RFC 6856).
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/early_records.h"
#include "tests/pop3/world.h"

namespace {

using namespace poplar;
using namespace poplar::pop3;
using test::kLogin;
using Pop3Language = test::Pop3World;

TEST_F(Pop3Language, RepliesFollowTheChosenLanguageInBothStates) {
    EXPECT_EQ(say("LANG de\r\nSTAT\r\nLANG fr-CA\r\nUSER fred@example.test\r\nPASS  pass word \r\nLANG "
                  "ja\r\nNOOP\r\nQUIT\r\n"),
              "+OK de die Sprache ist jetzt Deutsch\r\n-ERR bitte zuerst anmelden\r\n"
              "+OK fr la langue est maintenant le français\r\n+OK envoyez le mot de passe\r\n"
              "+OK 0 messages (0 octets en tout)\r\n+OK ja 言語を日本語に変更しました\r\n+OK 接続中です\r\n"
              "+OK 終了します\r\n");
}

TEST_F(Pop3Language, EveryLanguageServesAWholeSession) {
    append("Subject: a\r\n\r\nb\r\n");
    for (const auto& [tag, name] : kLanguages) {
        auto output =
            say("LANG " + std::string(tag) + "\r\n" + std::string(kLogin) +
                "LIST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 0\r\nRETR 2\r\nRETR x\r\nDELE 1\r\nRETR 1\r\nRSET\r\nQUIT\r\n");
        EXPECT_TRUE(output.contains("1 17\r\n") && output.contains("17")) << tag << output;
        EXPECT_TRUE(output.ends_with("+OK " + std::string(Text("goodbye").in(*find_language(tag))) + "\r\n")) << output;
    }
}

TEST_F(Pop3Language, ListsItsLanguagesInTheirOwnWords) {
    EXPECT_EQ(say("LANG\r\n"),
              "+OK languages follow\r\nen English\r\nde Deutsch\r\nes Español\r\nfr Français\r\nit Italiano\r\nja "
              "日本語\r\n.\r\n");
}

TEST_F(Pop3Language, AStarIsTheLanguageOfTheOperator) {
    EXPECT_EQ(say("LANG *\r\n"), "+OK en the language is English now\r\n");
    options_.language = *find_language("es");
    EXPECT_EQ(say("STAT\r\nLANG *\r\n"), "-ERR log in first\r\n+OK es el idioma es ahora el español\r\n")
        << "until it is asked for, the language is English: RFC 1939 allows ASCII only";
}

TEST_F(Pop3Language, AnUnknownLanguageChangesNothing) {
    EXPECT_EQ(say("LANG it\r\nLANG mul\r\nLANG de_DE\r\nSTAT\r\n"),
              "+OK it la lingua ora è l'italiano\r\n-ERR questa lingua non esiste\r\n-ERR questa lingua non esiste\r\n"
              "-ERR occorre prima autenticarsi\r\n");
}

// RFC 6856 s7: an attacker on the way could have sent LANG.
TEST_F(Pop3Language, ALanguageChosenBeforeTlsIsForgotten) {
    offer_tls();
    auto output = talk({.flights = {"LANG de\r\nSTLS\r\n", "STAT\r\n"}}).output;
    EXPECT_TRUE(output.ends_with("+OK TLS kann beginnen\r\n-ERR log in first\r\n")) << output;
}

TEST_F(Pop3Language, Utf8IsForBeforeTheLogin) {
    EXPECT_EQ(say("UTF8\r\nUTF8\r\n" + std::string(kLogin) + "UTF8\r\n"),
              "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK send the password\r\n+OK 0 messages (0 octets)\r\n"
              "-ERR you are logged in already\r\n");
}

// RFC 6856 s2.1.
TEST_F(Pop3Language, StlsIsRefusedAfterUtf8AndUtf8IsTakenAfterStls) {
    offer_tls();
    EXPECT_EQ(say("UTF8\r\nSTLS\r\nSTAT\r\n"),
              "+OK UTF-8 it is\r\n-ERR STLS has to come before UTF8\r\n-ERR log in first\r\n");
    auto output = talk({.flights = {"STLS\r\n", "UTF8\r\n"}}).output;
    EXPECT_TRUE(output.ends_with("+OK begin TLS\r\n+OK UTF-8 it is\r\n")) << output;
}

TEST_F(Pop3Language, UserNamesMayBeUtf8WithoutTheCommandAndInAnySpelling) {
    EXPECT_TRUE(test::run(directory_.add_account("J\u00f6rg@example.test", "{PLAIN}se\u00f1or")));
    for (std::string_view name : {"j\u00f6rg@example.test", "J\u00d6RG@EXAMPLE.TEST", "jo\u0308rg@example.test"})
        EXPECT_TRUE(
            say("USER " + std::string(name) + "\r\nPASS se\u00f1or\r\n").ends_with("+OK 0 messages (0 octets)\r\n"))
            << name;
}

// RFC 6856 s2.2, RFC 3629.
TEST_F(Pop3Language, NamesAndPasswordsThatAreNotUtf8AreRefused) {
    for (std::string_view bad : {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "a\xf5\x80\x80\x80"}) {
        EXPECT_EQ(say("USER " + std::string(bad) + "\r\n"), "-ERR not valid UTF-8\r\n");
        EXPECT_EQ(say("USER a\r\nPASS " + std::string(bad) + "\r\n"),
                  "+OK send the password\r\n-ERR not valid UTF-8\r\n");
    }
}

// Messages with UTF-8 in their headers.

const std::string kUtf8 =
    "From: J\u00f6rg <j\u00f6rg@example.test>\r\nSubject: Gr\u00fc\u00dfe\r\nContent-Type: multipart/mixed; "
    "boundary=b\r\n\r\n"
    "--b\r\nContent-Disposition: attachment; filename=\"\u00e4.txt\"\r\n\r\n..K\u00f6rper\r\n--b--\r\n";
const std::string kAscii =
    "From: =?UTF-8?Q?J=C3=B6rg?= =?UTF-8?Q?_j=C3=B6rg=40example=2Etest?= :;\r\n"
    "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Disposition: attachment; filename*=UTF-8''%C3%A4.txt\r\n\r\n..K\u00f6rper\r\n--b--\r\n";
const std::string kOther = "Subject: plain\r\n\r\n\u00fc\r\n";

class Pop3Utf8 : public test::Pop3World {
protected:
    void SetUp() override {
        append(kUtf8, "utf8", 1);
        append(kOther, "other");
    }
    /// Logs in in UTF-8 mode first. Returns the answers to `input` alone.
    std::string say_in_utf8(const std::string& input) {
        auto output = say("UTF8\r\n" + std::string(kLogin) + input);
        return output.substr(output.find("octets)\r\n") + 9);
    }
    // As RFC 1939 s11 counts: without the octets that byte-stuffing added.
    const std::size_t utf8_ = kUtf8.size() - 1, ascii_ = kAscii.size() - 1, other_ = kOther.size();
};

TEST_F(Pop3Utf8, WithoutTheCommandHeadersAreAsciiAndEverySizeIsOfWhatRetrSends) {
    EXPECT_EQ(say_logged_in("STAT\r\nLIST\r\nLIST 1\r\nRETR 1\r\nRETR 2\r\n"),
              fmt::format("+OK 2 {0}\r\n+OK number and octets follow\r\n1 {1}\r\n2 {2}\r\n.\r\n+OK 1 {1}\r\n"
                          "+OK {1} octets\r\n{3}.\r\n+OK {2} octets\r\n{4}.\r\n",
                          ascii_ + other_, ascii_, other_, kAscii, kOther));
    EXPECT_TRUE(say(std::string(kLogin)).ends_with(fmt::format("+OK 2 messages ({} octets)\r\n", ascii_ + other_)));
}

TEST_F(Pop3Utf8, WithTheCommandMessagesAreAsTheyCame) {
    EXPECT_EQ(say_in_utf8("STAT\r\nLIST\r\nLIST 1\r\nRETR 1\r\n"),
              fmt::format("+OK 2 {0}\r\n+OK number and octets follow\r\n1 {1}\r\n2 {2}\r\n.\r\n+OK 1 {1}\r\n"
                          "+OK {1} octets\r\n{3}.\r\n",
                          utf8_ + other_, utf8_, other_, kUtf8));
}

// A listing is kept from one session to the next.
TEST_F(Pop3Utf8, SessionsOfBothKindsDontGetEachOthersListing) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(say_logged_in("LIST\r\n").contains(fmt::format("1 {}\r\n", ascii_)));
        EXPECT_TRUE(say_in_utf8("LIST\r\n").contains(fmt::format("1 {}\r\n", utf8_)));
    }
    EXPECT_EQ(say_logged_in("UIDL\r\n"), say_in_utf8("UIDL\r\n")) << "the unique-id is the same in both forms";
}

TEST_F(Pop3Utf8, DeletionsAreTakenOffByTheSizeOfTheSession) {
    EXPECT_EQ(say_logged_in("DELE 1\r\nSTAT\r\nDELE 2\r\nSTAT\r\nRSET\r\nSTAT\r\n"),
              fmt::format("+OK deleted\r\n+OK 1 {}\r\n+OK deleted\r\n+OK 0 0\r\n+OK nothing is deleted\r\n+OK 2 {}\r\n",
                          other_, ascii_ + other_));
    EXPECT_EQ(say_in_utf8("DELE 1\r\nSTAT\r\n"), fmt::format("+OK deleted\r\n+OK 1 {}\r\n", other_));
    say_logged_in("DELE 1\r\nQUIT\r\n");
    EXPECT_EQ(say_logged_in("STAT\r\n"), say_in_utf8("STAT\r\n")) << "the other one is gone";
    EXPECT_TRUE(test::run(store_.check(fred_)));
}

// RFC 6858 s4: TOP's lines are those of the downgraded message. RFC 6857 is silent.
TEST_F(Pop3Utf8, TopIsOfWhatRetrSends) {
    const auto top = [](const std::string& message, int lines) {
        auto end = message.find("\r\n\r\n") + 4;
        for (int i = 0; i < lines; ++i) end = message.find("\r\n", end) + 2;
        return "+OK top of message follows\r\n" + message.substr(0, end) + ".\r\n";
    };
    for (int lines : {0, 1, 2, 4, 5}) {
        const auto command = fmt::format("TOP 1 {}\r\n", lines);
        EXPECT_EQ(say_logged_in(command), top(kAscii, lines));
        EXPECT_EQ(say_in_utf8(command), top(kUtf8, lines));
    }
}

// RFC 6856 s5.
TEST_F(Pop3Utf8, WhatAnOlderServerCountedOtherwiseIsSentAsItIsAndCountedSo) {
    if (test::codec_of_tests()) GTEST_SKIP() << "an older server stored messages as they are";
    const auto account_key = mailstore::keys::account();
    const auto message_key = mailstore::keys::message(mailstore::kInbox, mailstore::OrderKey(1));
    const auto account = *mailstore::decode_account(*test::run(engine_.get(fred_, account_key)));
    const auto message = *mailstore::decode_message({message_key, *test::run(engine_.get(fred_, message_key))});
    engine::Batch batch;
    batch.put(account_key, mailstore::early_account(account, 2));
    batch.put(message_key, mailstore::early_message(message, 2));
    ASSERT_TRUE(test::run(engine_.commit(fred_, std::move(batch))));
    EXPECT_TRUE(test::run(store_.check(fred_)));
    const auto as_it_is =
        fmt::format("+OK 2 {0}\r\n+OK 1 {1}\r\n+OK {1} octets\r\n{2}.\r\n", utf8_ + other_, utf8_, kUtf8);
    EXPECT_EQ(say_logged_in("STAT\r\nLIST 1\r\nRETR 1\r\n"), as_it_is);
    EXPECT_EQ(say_in_utf8("STAT\r\nLIST 1\r\nRETR 1\r\n"), as_it_is);

    append(kUtf8, "new", 1);  // beside it, and as the one left
    EXPECT_EQ(
        say_logged_in("STAT\r\nLIST\r\nRETR 3\r\n"),
        fmt::format("+OK 3 {}\r\n+OK number and octets follow\r\n1 {}\r\n2 {}\r\n3 {}\r\n.\r\n+OK {} octets\r\n{}.\r\n",
                    utf8_ + other_ + ascii_, utf8_, other_, ascii_, ascii_, kAscii));
    say_logged_in("DELE 1\r\nQUIT\r\n");
    EXPECT_EQ(say_logged_in("STAT\r\n"), fmt::format("+OK 2 {}\r\n", other_ + ascii_));
    ASSERT_TRUE(test::run(store_.restore(fred_, "utf8")));
    EXPECT_EQ(say_logged_in("STAT\r\nLIST 1\r\n"),
              fmt::format("+OK 3 {}\r\n+OK 1 {}\r\n", utf8_ + other_ + ascii_, utf8_));
    EXPECT_TRUE(test::run(store_.check(fred_)));
}
TEST_F(Pop3Utf8, WhereDowngradingIsRefusedTheReplySaysWhy) {
    options_.without_utf8 = WithoutUtf8::refuse;
    const std::string refusal = "-ERR [UTF8] the message has UTF-8 in its header: use UTF8 before the login\r\n";
    EXPECT_EQ(say_logged_in("STAT\r\nLIST 1\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\n"),
              fmt::format("+OK 2 {}\r\n+OK 1 {}\r\n{}{}+OK deleted\r\n", utf8_ + other_, utf8_, refusal, refusal));
    EXPECT_EQ(say_in_utf8("RETR 1\r\n"), fmt::format("+OK {} octets\r\n{}.\r\n", utf8_, kUtf8));
    EXPECT_EQ(say("LANG de\r\n" + std::string(kLogin) + "RETR 2\r\n").find("[UTF8]"), std::string::npos);
}

TEST_F(Pop3Utf8, AsItIsIfTheOperatorWantsIt) {
    options_.without_utf8 = WithoutUtf8::send;
    EXPECT_EQ(say_logged_in("STAT\r\nRETR 1\r\n"),
              fmt::format("+OK 2 {}\r\n+OK {} octets\r\n{}.\r\n", utf8_ + other_, utf8_, kUtf8));
}

TEST_F(Pop3Utf8, ALargeMessageIsDowngradedAsItStreams) {
    std::string body = "\r\n";
    for (int i = 0; body.size() < 1'000'000; ++i) body += fmt::format("Subject: \u00fc {}\r\n", i);
    append("Subject: \u00fc\r\n" + body, "large");
    const std::string expected = "Subject: =?UTF-8?B?w7w=?=\r\n" + body;
    EXPECT_TRUE(say_logged_in("RETR 3\r\n") == fmt::format("+OK {} octets\r\n{}.\r\n", expected.size(), expected));
    EXPECT_TRUE(say_logged_in("TOP 3 100000\r\n") == "+OK top of message follows\r\n" + expected + ".\r\n");
}

}  // namespace
