// LANG and UTF8 (RFC 6856).
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

// RFC 6856 s7: somebody in between could have sent it.
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

}  // namespace
