// What APPEND and REPLACE have between their messages' octets, and URLs of messages.
#include "imap/append_words.h"

#include <gtest/gtest.h>

namespace poplar::imap {
namespace {

using Kind = AppendStep::Kind;

/// "m" for a message, "o" octets, "u" a URL, "e" its end, "." the command's; "!": not of the grammar.
std::string steps_of(AppendGrammar& grammar, std::string_view text, bool octets_follow) {
    const auto steps = grammar.read(text, octets_follow);
    if (!steps) return "!";
    std::string letters;
    for (const auto& step : *steps) letters += "muoe."[static_cast<std::size_t>(step.kind)];
    return letters;
}

TEST(AppendGrammar, ReadsOneTextAfterTheOther) {
    struct Case {
        std::vector<std::string_view> texts;  // octets between them, and behind the last if it ends with a "^"
        std::string steps;
    };
    for (const auto& [texts, steps] :
         std::vector<Case>{{{" ^", ""}, "moe."},
                           {{" (\\Seen) ^", " \" 1-Dec-2026 00:00:00 +0000\" ^", ""}, "moemoe."},
                           {{" UTF8 (^", ")"}, "moe."},
                           {{" UTF8 (^", ") ^", ""}, "moemoe."},
                           {{" CATENATE (URL /a/;UID=1)"}, "mue."},
                           {{" CATENATE (URL a URL \"b\" TEXT ^", " TEXT ^", " URL c) ^", ""}, "muuoouemoe."},
                           {{""}, "!"},
                           {{" "}, "!"},
                           {{" ^", " "}, "mo!"},
                           {{" ^", ")"}, "mo!"},
                           {{"  ^"}, "!"},
                           {{" (\\Seen)^"}, "!"},
                           {{" CATENATE ()"}, "!"},
                           {{" CATENATE (TEXT ^", ""}, "mo!"},
                           {{" CATENATE (URL a"}, "!"},
                           {{" CATENATE (URL ^"}, "!"},
                           {{" UTF8 (^", ""}, "mo!"}}) {
        AppendGrammar grammar(AppendGrammar::Messages::any);
        std::string found;
        for (auto text : texts) {
            const bool octets = text.ends_with('^');
            if (octets) text.remove_suffix(1);
            found += steps_of(grammar, text, octets);
        }
        EXPECT_EQ(found, steps) << texts.front();
    }
    AppendGrammar one(AppendGrammar::Messages::one);
    EXPECT_EQ(steps_of(one, " ", true), "mo");
    EXPECT_EQ(steps_of(one, " ", true), "!");
}

TEST(AppendGrammar, ItsCommandsAreKnownByTheirBeginning) {
    for (auto [text, known] : {std::pair<std::string_view, bool>{"a APPEND INBOX", true},
                               {"a append \"x y\"", true},
                               {"a UID REPLACE 3 x", true},
                               {"a REPLACE * x", true},
                               {"a UID APPEND x", false},
                               {"a REPLACE 0 x", false},
                               {"a REPLACE 1:2 x", false},
                               {"a APPEND", false},
                               {"APPEND x", false}}) {
        Cursor in(text);
        EXPECT_EQ(parse_append_begin(in).has_value(), known) << text;
    }
}

TEST(MessageUrl, NamesAMessageOrAPartOfOne) {
    const auto whole = parse_message_url("/Entw%C3%BCrfe;UIDVALIDITY=7/;UID=20/;SECTION=1.2.MIME/;PARTIAL=3.5");
    ASSERT_TRUE(whole);
    EXPECT_EQ(*whole->mailbox, "Entw\xc3\xbcrfe");
    EXPECT_EQ(whole->uid_validity, 7u);
    EXPECT_EQ(whole->uid, 20u);
    EXPECT_EQ(whole->section.part, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(whole->partial, (Partial{3, 5}));
    EXPECT_FALSE(parse_message_url(";uid=1")->mailbox);
    EXPECT_EQ(parse_message_url("/a/b/;UID=1")->mailbox, "a/b");
    for (std::string_view wrong : {"",
                                   "/",
                                   "/a",
                                   "/a/;UID=",
                                   "/a/;UID=0",
                                   "/a/;UID=1x",
                                   "//;UID=1",
                                   "/;UID=1",
                                   "imap://h/a/;UID=1",
                                   "/a/;UID=1/;SECTION=",
                                   "/a/;UID=1/;SECTION=X",
                                   "/a/;UID=1/;SECTION=1]",
                                   "/a/;UID=1/;PARTIAL=",
                                   "/a/;UID=1/;PARTIAL=1.0",
                                   "/%zz/;UID=1",
                                   "/a%00/;UID=1",
                                   "/a;UIDVALIDITY=x/;UID=1",
                                   "/a b/;UID=1",
                                   "/a/;UID=1;URLAUTH=x",
                                   "/a/;UID=1/;PARTIAL=0.1/;SECTION=1"})
        EXPECT_FALSE(parse_message_url(wrong)) << wrong;
}

}  // namespace
}  // namespace poplar::imap
