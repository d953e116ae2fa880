// Scripts that the server writes: they compile, and what was wanted can be read back.
#include "delivery/own_scripts.h"

#include <gtest/gtest.h>

#include "sieve/script.h"

namespace poplar::delivery {
namespace {

void expect_sound(const Result<std::string>& script) {
    ASSERT_TRUE(script) << script.error().detail();
    const auto compiled = sieve::compile(*script, {});
    ASSERT_TRUE(compiled.errors.empty()) << compiled.errors.front().message << "\n" << *script;
}

TEST(OwnScripts, ForwardIsReadBack) {
    for (const bool keep : {false, true}) {
        const auto script = write_script(Forwarding{{"a@b.example", "\"x y\"@c.example"}, keep});
        expect_sound(script);
        const auto read = read_forwarding(*script);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->to, (std::vector<std::string>{"a@b.example", "\"x y\"@c.example"}));
        EXPECT_EQ(read->keep, keep);
        EXPECT_EQ(script->contains(":copy"), keep);
    }
}

TEST(OwnScripts, AbsenceIsReadBack) {
    for (const auto& wanted :
         {Absence{"", "", "", "Away.\n"}, Absence{"2026-12-20", "2027-01-06", "Away \"now\" \\", "A.\n.b\n..c\n\n.\n"},
          Absence{"2026-12-20", "", "\xc3\xa4", "\xc3\xa4\n"}, Absence{"", "2027-01-06", "", "; \"stop\n"}}) {
        const auto script = write_script(wanted);
        expect_sound(script);
        const auto read = read_absence(*script);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->from, wanted.from);
        EXPECT_EQ(read->to, wanted.to);
        EXPECT_EQ(read->subject, wanted.subject);
        EXPECT_EQ(read->text, wanted.text);
    }
    EXPECT_EQ(read_absence(*write_script(Absence{"", "", "", "One\r\ntwo"}))->text, "One\ntwo\n");
}

TEST(OwnScripts, RefuseWhatMakesNoSense) {
    for (const auto& wanted : {Forwarding{}, Forwarding{{"a"}}, Forwarding{{"a@b.example\"; discard"}}})
        EXPECT_FALSE(write_script(wanted));
    for (const auto& wanted :
         {Absence{"", "", "", " \n"}, Absence{"tomorrow", "", "", "x"}, Absence{"2026-02-30", "", "", "x"},
          Absence{"2027-01-01", "2026-01-01", "", "x"}, Absence{"", "", "a\nb", "x"}, Absence{"", "", "", "\xff"}})
        EXPECT_FALSE(write_script(wanted)) << wanted.from << wanted.subject;
    EXPECT_FALSE(read_forwarding("keep;"));
    EXPECT_FALSE(read_absence("keep;"));
}

}  // namespace
}  // namespace poplar::delivery
