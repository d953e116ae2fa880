#include "base/printable.h"

#include <gtest/gtest.h>

namespace poplar {
namespace {

using namespace std::string_literals;

TEST(Printable, ShowsWhatSteersATerminalOrTurnsALineAround) {
    struct Case {
        std::string in, out;
    };
    for (const auto& [in, out] : {
             Case{"\x1b[31m", "\\u001b[31m"},
             {"a\0b\x7f"s, "a\\u0000b\\u007f"},
             {"\xc2\x9b", "\\u009b"},
             {"invoice\xe2\x80\xaexcod.exe", "invoice\\u202excod.exe"},
             {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad", "\\u202a\\u202b\\u202c\\u202d"},
             {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "\\u2066\\u2067\\u2068\\u2069"},
             {"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u200e\\u200f\\u061c"},
             {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
         })
        EXPECT_EQ(with_hidden_shown(in), out);
}

TEST(Printable, LeavesLettersOfAllScriptsAlone) {
    for (const std::string text :
         {"", "plain ~", "Größe \xc2\xa0", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd8\x9b\xd8\x9d",
          "\xe2\x80\xa6 \xe2\x80\x93 \xe2\x81\xaf", "\xf0\x9f\x93\xac", "\xe2\x80", "\xc2", "\xff"})
        EXPECT_EQ(with_hidden_shown(text), text);
}

}  // namespace
}  // namespace poplar
