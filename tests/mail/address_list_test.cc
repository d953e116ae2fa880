// Lists of addresses: all forms of RFC 5322, and those that could be read in two ways.
#include "mail/address_list.h"

#include <gtest/gtest.h>

namespace poplar::mail {
namespace {

TEST(AddressList, IsReadWithAllThatRfc5322Allows) {
    struct Row {
        std::string_view text, expected;  // local@domain, "!" in front of what could not be read
    };
    for (const auto& [text, expected] : std::vector<Row>{
             {"a@b.example", "a@b.example"},
             {"Ann <a@b.example>, <c@d.example>", "a@b.example c@d.example"},
             {"\"Ann, \\\"A\\\"\" <a@b.example>", "a@b.example"},
             {"Ann B. <a@b.example> (a comment, c@d.example)", "a@b.example"},
             {"a . b @ c . example", "a.b@c.example"},
             {"\"a b\"@c.example", "a b@c.example"},
             {"a@[192.0.2.1]", "a@[192.0.2.1]"},
             {"<@x.example,@y.example:a@b.example>", "a@b.example"},
             {"undisclosed-recipients:;", ""},
             {"friends: a@b.example, c@d.example;, e@f.example", "a@b.example c@d.example e@f.example"},
             {", ,a@b.example,,", "a@b.example"},
             {"nobody", "!nobody"},
             {"nobody, a@b.example", "!nobody a@b.example"},
             {"a@", "!a@"},
             {"\"not@this.test\" <a@x.test>", "a@x.test"},
             {"=?utf-8?q?J=C3=B6?= <a@x.test>", "a@x.test"},
             {"[Team] A <a@x.test>", "a@x.test"},
             {"A@x.test <a@x.test>", "a@x.test"},
             {"<a@b.example", "!<a@b.example"},
             {"Jane Doe jane@x.example", "!Jane Doe jane@x.example"},
             {"ü@ö.example", "ü@ö.example"},
             {"", ""},
         }) {
        std::string read;
        for (const auto& one : parse_address_list(text))
            read += (read.empty() ? "" : " ") + (one.valid ? one.local + "@" + one.domain : "!" + one.local);
        EXPECT_EQ(read, expected) << text;
    }
    EXPECT_EQ(parse_address_list("Ann  B <a@b.example>").front().name, "Ann B");
    EXPECT_EQ(parse_address_list("a@b.example,c@d.example", 1).size(), 1u);
}

TEST(AddressList, AnAddressThatCouldBeReadInTwoWaysIsNotValid) {
    for (std::string_view text :
         {"a@x.test <b@x.test> <c@x.test>", "<a@x.test", "a@x.test>", "(open", "a@x.test (open", "a@x.test, (open",
          "\"open", "a@[192.0.2.1", "no address", "<no address>", "<a@x.test> trailing", "<>", "<<a@x.test>>",
          "a@x.test <b@x.test>", "a@x.test: b@x.test;", "\"a@x.test\"", "<\"a@x.test\">", "a b@x.test"}) {
        auto list = parse_address_list(text);
        EXPECT_TRUE(std::ranges::any_of(list, [](const auto& one) { return !one.valid; })) << text;
    }
}

TEST(AddressList, GivesAnAddressAsSmtpHasIt) {
    EXPECT_EQ(to_address(parse_address_list("\"odd local\"@x.test").front()), (Address{"odd local", "x.test"}));
    EXPECT_EQ(to_address(parse_address_list("A <a@[192.0.2.1]>").front()), (Address{"a", "[192.0.2.1]"}));
    EXPECT_FALSE(to_address(parse_address_list("nobody").front()));
    EXPECT_FALSE(to_address(parse_address_list("a@x..test").front()));
}

}  // namespace
}  // namespace poplar::mail
