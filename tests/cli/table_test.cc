#include "cli/table.h"

#include <gtest/gtest.h>

namespace poplar::cli {
namespace {

TEST(Table, AlignsByCharactersNotOctets) {
    Table table({{"A"}, {"NR", Table::Align::right}, {"Z"}});
    table.add({"J\xc3\xb6rg", "7", "x"});
    table.add({"Anna-Maria", "123", ""});
    EXPECT_EQ(table.text(), "A            NR  Z\nJ\xc3\xb6rg          7  x\nAnna-Maria  123\n");
}

}  // namespace
}  // namespace poplar::cli
