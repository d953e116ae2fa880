// What other servers answer, and which messages are the same however they answer.
#include <gtest/gtest.h>

#include "moving/account_list.h"
#include "moving/header_digest.h"
#include "moving/imap_response.h"
#include "moving/imap_source.h"
#include "moving/pop3_response.h"
#include "moving/wire.h"

namespace poplar::moving {
namespace {

std::vector<ImapValue> values_of(ImapResponse response) {
    auto values = parse_imap(response);
    EXPECT_TRUE(values.has_value()) << response.lines.front();
    return values ? std::move(*values) : std::vector<ImapValue>();
}

TEST(Pop3Response, IsOkOrAnError) {
    EXPECT_EQ(parse_pop3_status("+OK ready "), "ready");
    EXPECT_EQ(parse_pop3_status("-ERR [AUTH] no").error().code(), Errc::denied);
    EXPECT_EQ(parse_pop3_status("-ERR [AUTH] no").error().detail(), "[AUTH] no");
    for (std::string_view line : {"", "ok", "220 mail", "+ go on"})
        EXPECT_EQ(parse_pop3_status(line).error().code(), Errc::invalid) << line;
}

TEST(Pop3Response, HasNumbersSizesAndUniqueIds) {
    EXPECT_EQ(parse_scan_listing("2 1400"), (std::pair<std::uint32_t, std::uint64_t>(2, 1400)));
    EXPECT_EQ(parse_scan_listing("2 0 octets"), (std::pair<std::uint32_t, std::uint64_t>(2, 0)));
    for (std::string_view line : {"", "2", "0 3", "x 3", "2 x", "-1 4", "99999999999 1", "2 4x"})
        EXPECT_FALSE(parse_scan_listing(line).has_value()) << line;
    EXPECT_EQ(parse_unique_id_listing("7 a b"), (std::pair<std::uint32_t, std::string>(7, "a b")));
    for (std::string_view line : {"", "7", "7 ", "0 a", "x a"})
        EXPECT_FALSE(parse_unique_id_listing(line).has_value()) << line;
}

TEST(Pop3Response, EndsAtTheDotAndLosesItsStuffing) {
    MultiLine response(1000);
    EXPECT_EQ(response.add("Subject: x\r\n\r\n..dot\r"), false);
    EXPECT_EQ(response.add("\n.\r\n"), true);
    EXPECT_EQ(response.text(), "Subject: x\r\n\r\n.dot\r\n");
    EXPECT_EQ(MultiLine(1000).add(".\r\n+OK").error().code(), Errc::invalid);
    EXPECT_EQ(MultiLine(10).add("0123456789012\r\n").error().code(), Errc::too_large);
}

TEST(ImapResponse, IsWordsStringsListsAndLiterals) {
    auto values =
        values_of({{"* 12 FETCH (UID 7 FLAGS (\\Seen \\Recent work) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
                    "RFC822.SIZE 44 BODY[HEADER] {6}",
                    ")"},
                   {"a: b\r\n"}});
    auto message = fetched_message(values);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->uid, 7u);
    EXPECT_EQ(message->flags, (std::vector<std::string>{"seen", "work"}));
    EXPECT_EQ(message->octets, 44u);
    EXPECT_EQ(message->text, "a: b\r\n");
    EXPECT_EQ(message->received, Timestamp(std::chrono::seconds(837596665)));
    EXPECT_FALSE(fetched_message(values_of({{"* 12 FETCH (FLAGS (\\Seen))"}, {}})).has_value());
    EXPECT_FALSE(fetched_message(values_of({{"* 12 EXISTS"}, {}})).has_value());
}

TEST(ImapResponse, ThatIsNoneIsRefused) {
    for (std::string_view line : {"* LIST (", "* \"open", "* )", "* {3}", "* a \"b\\"}) {
        ImapResponse response;
        response.lines.emplace_back(line);
        EXPECT_FALSE(parse_imap(response).has_value()) << line;
    }
    ImapResponse deep;
    deep.lines.push_back("* " + std::string(100, '(') + std::string(100, ')'));
    EXPECT_FALSE(parse_imap(deep).has_value());
}

TEST(ImapResponse, TellsFoldersAndWhoseTheyAre) {
    auto folder = listed_folder(values_of({{"* LIST (\\HasNoChildren) \".\" {5}", ""}, {"a \"b."}}));
    ASSERT_TRUE(folder.has_value());
    EXPECT_EQ(folder->name, "a \"b.");
    EXPECT_EQ(folder->delimiter, ".");
    EXPECT_TRUE(folder->has("\\hasnochildren"));
    EXPECT_EQ(listed_folder(values_of({{"* LIST () NIL INBOX"}, {}}))->delimiter, "");
    auto found = namespaces(
        values_of({{"* NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\")(\"shared.\" \".\"))"}, {}}));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->personal, "INBOX.");
    EXPECT_EQ(found->foreign, (std::vector<std::string>{"user.", "shared."}));
    EXPECT_EQ(response_code("* OK [UIDVALIDITY 3857529045] UIDs valid", "UIDVALIDITY"), 3857529045u);
    for (std::string_view line :
         {"* OK [UIDVALIDITY]", "* OK [UIDNEXT 3]", "* NO [UIDVALIDITY 3]", "* OK [UIDVALIDITY 3"})
        EXPECT_FALSE(response_code(line, "UIDVALIDITY").has_value()) << line;
}

TEST(ImapFolder, IsAMailboxWithSlashesAndInUtf8) {
    EXPECT_EQ(mailbox_of("inbox", ".", "INBOX."), "INBOX");
    EXPECT_EQ(mailbox_of("INBOX.Lists.asio", ".", "INBOX."), "Lists/asio");
    EXPECT_EQ(mailbox_of("Lists/asio", "/", ""), "Lists/asio");
    EXPECT_EQ(mailbox_of("Gr&APwA3w-e", "/", ""), "Grüße");
    EXPECT_EQ(imap_quoted("a \"b\\"), "\"a \\\"b\\\\\"");
    EXPECT_FALSE(imap_quoted("a\r\nb").has_value());
}

TEST(HeaderDigest, IsTheSameHoweverAServerHandsAMessageOut) {
    const auto digest = header_digest("Subject: x\r\nX: y\r\n\r\nbody");
    for (std::string_view text :
         {"Subject: x\nX: y\n\nother", "X-UIDL: 1\r\n 2\r\nSubject: x \r\nstatus: RO\r\nX: y\r\n\r\n",
          "Subject: x\r\nX: y\r\n"})
        EXPECT_EQ(header_digest(text), digest) << text;
    for (std::string_view text : {"Subject: x\r\n\r\nX: y\r\n", "Subject: X\r\nX: y\r\n\r\n", ""})
        EXPECT_NE(header_digest(text), digest) << text;
}

TEST(Endpoint, HasTlsUnlessItIsToldOtherwise) {
    struct Case {
        std::string_view text;
        std::optional<Encryption> wanted;
        std::string_view host;
        std::uint16_t port;
        Encryption encryption;
    };
    using enum Encryption;
    for (const auto& [text, wanted, host, port, encryption] :
         {Case{"old.example.org", {}, "old.example.org", 995, tls},
          Case{"old.example.org:110", {}, "old.example.org", 110, start_tls},
          Case{"old.example.org:995", {}, "old.example.org", 995, tls},
          Case{"old.example.org", none, "old.example.org", 110, none},
          Case{"old.example.org:2000", tls, "old.example.org", 2000, tls}, Case{"[::1]:110", none, "::1", 110, none},
          Case{"::1", none, "::1", 110, none}}) {
        auto endpoint = parse_endpoint(text, wanted, Certificate::checked, kPop3Ports);
        ASSERT_TRUE(endpoint.has_value()) << text;
        EXPECT_EQ(endpoint->host, host);
        EXPECT_EQ(endpoint->port, port);
        EXPECT_EQ(endpoint->encryption, encryption) << text;
    }
    for (std::string_view text : {"", ":110", "host:", "host:0", "host:x", "host:70000", "[::1", "[::1]x"})
        EXPECT_FALSE(parse_endpoint(text, {}, Certificate::checked, kPop3Ports).has_value()) << text;
}

TEST(Credentials, NameTheMasterWhoLogsInForAUser) {
    EXPECT_EQ((Credentials{"tim", "tanstaaftanstaaf", ""}).sasl_plain(), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
    EXPECT_EQ((Credentials{"a", "c", "b"}).sasl_plain(), "YQBiAGM=");
}

TEST(AccountList, IsLinesWithCommas) {
    auto list = parse_account_list(
        "address,source_user,source_password\r\njane@a.example,jane,\"a,\"\"b\"\r\n\n# later\njoe@a.example,,c d \n",
        Passwords::in_list);
    ASSERT_TRUE(list.has_value());
    ASSERT_EQ(list->size(), 2u);
    EXPECT_EQ((*list)[0].user, "jane");
    EXPECT_EQ((*list)[0].password, "a,\"b");
    EXPECT_EQ((*list)[1].user, "joe@a.example");
    EXPECT_EQ((*list)[1].password, "c d ");
    EXPECT_EQ((*list)[1].line, 5u);
    EXPECT_EQ(parse_account_list("jane@a.example,jane\n", Passwords::none)->size(), 1u);
    for (std::string_view text : {"jane@a.example,jane\n", "jane@a.example,jane,\n", ",jane,x\n", "a@b,c,d,e\n",
                                  "a@b,c,\"d\n", "a@b,c,\"d\"e\n", "a@b,c,d\nA@b,c,d\n"})
        EXPECT_FALSE(parse_account_list(text, Passwords::in_list).has_value()) << text;
}

}  // namespace
}  // namespace poplar::moving
