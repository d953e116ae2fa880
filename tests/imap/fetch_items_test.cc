#include "imap/fetch_items.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "imap/section.h"

namespace poplar::imap {
namespace {

using Kind = FetchItem::Kind;

mail::Structure read(std::string_view wire) {
    mail::StructureReader reader;
    reader.feed(wire);
    return reader.finish();
}

std::string envelope(std::string_view header, TextForm form = TextForm::ascii) {
    std::string out;
    write_envelope(out, read(std::string(header) + "\r\n").parts.front(), form);
    return out;
}

std::string structure(std::string_view wire, Extensions extensions = Extensions::no) {
    std::string out;
    write_body_structure(out, read(wire), extensions, TextForm::ascii);
    return out;
}

TEST(FetchItems, AreRead) {
    struct Case {
        std::string_view text;
        std::vector<FetchItem> items;
    };
    const std::vector<Case> cases = {
        {"UID", {{.kind = Kind::uid}}},
        {"(uid Flags)", {{.kind = Kind::uid}, {.kind = Kind::flags}}},
        {"FAST", {{.kind = Kind::flags}, {.kind = Kind::internal_date}, {.kind = Kind::size}}},
        {"(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
         {{.kind = Kind::rfc822}, {.kind = Kind::rfc822_header}, {.kind = Kind::rfc822_text}, {.kind = Kind::size}}},
        {"BODY", {{.kind = Kind::body}}},
        {"BODY[]", {{.kind = Kind::section}}},
        {"BODY.PEEK[TEXT]<0.5>",
         {{.kind = Kind::section, .peek = true, .section = {{}, Section::What::text}, .partial = Partial{0, 5}}}},
        {"body[1.2.HEADER.FIELDS (From \"X Y\")]",
         {{.kind = Kind::section, .section = {{1, 2}, Section::What::header_fields, {"From", "X Y"}}}}},
        {"BODY[HEADER.FIELDS.NOT ({2}\r\nTo)]",
         {{.kind = Kind::section, .section = {{}, Section::What::header_fields_not, {"To"}}}}},
        {"BODY[3.MIME]", {{.kind = Kind::section, .section = {{3}, Section::What::mime}}}},
        {"BINARY[1]<7.1>", {{.kind = Kind::binary, .section = {{1}}, .partial = Partial{7, 1}}}},
        {"BINARY.PEEK[]", {{.kind = Kind::binary, .peek = true}}},
        {"BINARY.SIZE[1.2]", {{.kind = Kind::binary_size, .section = {{1, 2}}}}},
        {"(PREVIEW (LAZY) UID)", {{.kind = Kind::preview, .lazy = true}, {.kind = Kind::uid}}},
        {"(PREVIEW)", {{.kind = Kind::preview}}},
    };
    for (const auto& [text, items] : cases) {
        Cursor in(text);
        const auto found = parse_fetch_items(in);
        ASSERT_TRUE(found) << text << ": " << found.error().detail();
        EXPECT_TRUE(in.at_end()) << text;
        EXPECT_EQ(*found, items) << text;
    }
}

TEST(FetchItems, AreRefused) {
    for (const std::string_view text : {"",
                                        "()",
                                        "(UID",
                                        "(UID )",
                                        "( UID)",
                                        "UIDS",
                                        "(ALL)",
                                        "(UID FAST)",
                                        "BODY[0]",
                                        "BODY[1.0]",
                                        "BODY[01]",
                                        "BODY[1.]",
                                        "BODY[.1]",
                                        "BODY[MIME]",
                                        "BODY[1",
                                        "BODY[TEXT",
                                        "BODY[HEADER.FIELDS]",
                                        "BODY[HEADER.FIELDS ()]",
                                        "BODY[HEADER.FIELDS (a ]",
                                        "BODY[TEXT.1]",
                                        "BODY[TEXT]<0.0>",
                                        "BODY[TEXT]<1>",
                                        "BODY[TEXT]<1.>",
                                        "BODY[TEXT]<-1.2>",
                                        "BODY[TEXT]<1.2",
                                        "BINARY[TEXT]",
                                        "BINARY[1.MIME]",
                                        "BINARY",
                                        "BINARY.SIZE",
                                        "BODY.PEEK",
                                        "UID[1]",
                                        "RFC822.PEEK",
                                        "PREVIEW (X)",
                                        "PREVIEW (LAZY",
                                        "BODYSTRUCTURE[1]",
                                        "BODY[4294967296]"}) {
        Cursor in(text);
        const auto found = parse_fetch_items(in);
        EXPECT_TRUE(!found || !in.at_end()) << text;
    }
}

TEST(FetchItems, SayWhatTheyNeed) {
    const auto needs = [](std::string_view text) {
        Cursor in(text);
        return needs_of(*parse_fetch_items(in));
    };
    EXPECT_FALSE(needs("(UID FLAGS MODSEQ)").record);
    EXPECT_TRUE(needs("RFC822.SIZE").record);
    EXPECT_FALSE(needs("RFC822.SIZE").structure);
    EXPECT_TRUE(needs("ENVELOPE").structure);
    EXPECT_FALSE(needs("ENVELOPE").octets);
    EXPECT_TRUE(needs("BODY[]").sets_seen);
    EXPECT_FALSE(needs("BODY.PEEK[]").sets_seen);
    EXPECT_FALSE(needs("RFC822.HEADER").sets_seen) << "RFC 3501 s6.4.5";
    EXPECT_TRUE(needs("RFC822.TEXT").sets_seen);
    EXPECT_TRUE(needs("BINARY[1]").sets_seen);
    EXPECT_FALSE(needs("BINARY.SIZE[1]").sets_seen);
    EXPECT_FALSE(needs("PREVIEW").sets_seen) << "RFC 8970 s3.1";
}

TEST(FetchItems, EnvelopeHasAllForms) {
    EXPECT_EQ(envelope(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope("Date: Tue, 1 Dec 2026 00:00:00 +0000\r\nSubject: a \"quote\"\r\nFrom: Ann <ann@example.org>\r\n"
                       "To: a@b, \"C, D\" <c@d>\r\nIn-Reply-To: <1@x>\r\nMessage-ID: <2@x>\r\n"),
              "(\"Tue, 1 Dec 2026 00:00:00 +0000\" \"a \\\"quote\\\"\" ((\"Ann\" NIL \"ann\" \"example.org\")) "
              "((\"Ann\" NIL \"ann\" \"example.org\")) ((\"Ann\" NIL \"ann\" \"example.org\")) "
              "((NIL NIL \"a\" \"b\")(\"C, D\" NIL \"c\" \"d\")) NIL NIL \"<1@x>\" \"<2@x>\")");
    EXPECT_EQ(envelope("Sender: s@x\r\nFrom: f@x\r\nReply-To:\r\nSubject:\r\n"),
              "(NIL \"\" ((NIL NIL \"f\" \"x\")) ((NIL NIL \"s\" \"x\")) ((NIL NIL \"f\" \"x\")) NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope("To: undisclosed-recipients:;\r\nCc: team: a@b;, c@d\r\n"),
              "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) "
              "((NIL NIL \"team\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)(NIL NIL \"c\" \"d\")) NIL NIL NIL)");
    EXPECT_EQ(envelope("From: root\r\n"),
              "(NIL NIL ((NIL NIL \"root\" \"\")) ((NIL NIL \"root\" \"\")) "
              "((NIL NIL \"root\" \"\")) NIL NIL NIL NIL NIL)");
}

TEST(FetchItems, EnvelopeKeepsOctetsThatAreNotAscii) {
    EXPECT_EQ(envelope("Subject: gr\xc3\xbc\xc3\x9f\r\n"),
              "(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope("Subject: gr\xc3\xbc\xc3\x9f\r\n", TextForm::utf8),
              "(NIL \"gr\xc3\xbc\xc3\x9f\" NIL NIL NIL NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope("Subject: gr\xfc\xdf\r\n", TextForm::utf8),
              "(NIL {4}\r\ngr\xfc\xdf NIL NIL NIL NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope("Subject: =?utf-8?q?x?=\r\n"), "(NIL \"=?utf-8?q?x?=\" NIL NIL NIL NIL NIL NIL NIL NIL)");
    EXPECT_EQ(envelope(std::string("Subject: a\0b\r\n", 14)), "(NIL \"a b\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

TEST(FetchItems, BodyStructureHasAllForms) {
    EXPECT_EQ(structure("Subject: x\r\n\r\none\r\ntwo\r\n"),
              "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2)");
    EXPECT_EQ(
        structure(
            "Content-Type: TEXT/Html; Charset=\"utf-8\"; format=flowed\r\nContent-Transfer-Encoding: BASE64 (x)\r\n"
            "Content-ID: <1>\r\nContent-Description: d\r\nContent-MD5: m\r\nContent-Location: l\r\n"
            "Content-Disposition: attachment; filename=\"a b\"\r\nContent-Language: de, en\r\n\r\nx",
            Extensions::yes),
        "(\"TEXT\" \"Html\" (\"Charset\" \"utf-8\" \"format\" \"flowed\") \"<1>\" \"d\" \"BASE64\" 1 0 \"m\" "
        "(\"attachment\" (\"filename\" \"a b\")) (\"de\" \"en\") \"l\")");
    EXPECT_EQ(structure("Content-Type: image/png\r\n\r\nx", Extensions::yes),
              "(\"image\" \"png\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL)");
    EXPECT_EQ(structure("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: "
                        "message/rfc822\r\n\r\n"
                        "Subject: in\r\n\r\ny\r\n--b--\r\n"),
              "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0)"
              "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
              "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"mixed\")");
    EXPECT_EQ(structure("Content-Type: multipart/x; boundary=b\r\n\r\nno part\r\n", Extensions::yes),
              "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"x\" "
              "(\"boundary\" \"b\") NIL NIL NIL)")
        << "a multipart without parts";
    EXPECT_EQ(structure("Content-Type: multipart/mixed\r\n\r\nx"),
              "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0)")
        << "a multipart without a boundary";
    EXPECT_EQ(
        structure("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\ny\r\n--b--\r\n"),
        "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"digest\")");
}

TEST(FetchItems, AnInnerMultipartWithoutEndSwallowsNoOuterPart) {
    EXPECT_EQ(structure("Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\nContent-Type: "
                        "multipart/alternative; boundary=in\r\n"
                        "\r\n--in\r\n\r\nx\r\n--out\r\nContent-Type: image/png\r\n\r\ny\r\n--out--\r\n"),
              "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"alternative\")"
              "(\"image\" \"png\" NIL NIL NIL \"7bit\" 1) \"mixed\")");
}

TEST(FetchItems, OfRecordsAreWritten) {
    using namespace std::chrono_literals;
    const auto text = [](std::string_view item, const FetchFacts& facts) {
        Cursor in(item);
        std::string out;
        write_item(out, parse_fetch_items(in)->front(), facts, TextForm::ascii);
        return out;
    };
    FetchFacts facts;
    facts.uid = 7;
    facts.mod_sequence = 12;
    facts.flags = "\\Seen x";
    facts.octets = 99;
    facts.email_id = "M1";
    facts.received = Timestamp(std::chrono::sys_days(std::chrono::year(2026) / 12 / 1) + 9h + 5min + 7s);
    EXPECT_EQ(text("UID", facts), "UID 7");
    EXPECT_EQ(text("FLAGS", facts), "FLAGS (\\Seen x)");
    EXPECT_EQ(text("MODSEQ", facts), "MODSEQ (12)");
    EXPECT_EQ(text("RFC822.SIZE", facts), "RFC822.SIZE 99");
    EXPECT_EQ(text("INTERNALDATE", facts), "INTERNALDATE \" 1-Dec-2026 09:05:07 +0000\"");
    EXPECT_EQ(text("EMAILID", facts), "EMAILID (M1)");
    EXPECT_EQ(text("THREADID", facts), "THREADID NIL");
    EXPECT_EQ(text("SAVEDATE", facts), "SAVEDATE NIL");
}

}  // namespace
}  // namespace poplar::imap
