#include "directory/passwd_file.h"

#include <gtest/gtest.h>

namespace poplar::directory {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(PasswdLine, GivesAddressAndPassword) {
    struct Case {
        std::string_view line, address, password;
    };
    for (auto [line, address, password] : {
             Case{"bob@example.org:{SHA512-CRYPT}$6$salt$hash:5000:5000::/home/bob::userdb_mail=maildir:~/Maildir",
                  "bob@example.org", "{SHA512-CRYPT}$6$salt$hash"},
             {"bob@example.org:{PLAIN}secret", "bob@example.org", "{PLAIN}secret"},
             {"bob@example.org:{PLAIN}secret\n", "bob@example.org", "{PLAIN}secret"},
             {"bob@example.org:{PLAIN}secret\r\n", "bob@example.org", "{PLAIN}secret"},
             {"bob@example.org:{PLAIN}sec ret :::", "bob@example.org", "{PLAIN}sec ret "},
             {"bob:{SSHA}abc=", "bob@default.test", "{SSHA}abc="},
             {"bob:$1$salt$hash:1:1", "bob@default.test", "{CRYPT}$1$salt$hash"},
             {"bob:{unclosed", "bob@default.test", "{CRYPT}{unclosed"},
             {"bob:", "bob@default.test", ""},
             {"bob", "bob@default.test", ""},
             {"bob:*:1:1", "bob@default.test", ""},
             {"bob:!!:1:1", "bob@default.test", ""},
             {"bob:!$6$salt$hash:1:1", "bob@default.test", ""},
             {"bob:{CRYPT}*:1:1", "bob@default.test", ""},
             {"bob:{PLAIN}!secret:1:1", "bob@default.test", "{PLAIN}!secret"},
             {"bob::1:1::/home/bob", "bob@default.test", ""},
             {"Bob Smith@Example.ORG:x", "Bob Smith@Example.ORG", "{CRYPT}x"},
             {"b\xc3\xbc@b\xc3\xbc.example:{PLAIN}\xc3\xbc", "b\xc3\xbc@b\xc3\xbc.example", "{PLAIN}\xc3\xbc"},
             {" bob@example.org:{PLAIN}x", " bob@example.org", "{PLAIN}x"},
         }) {
        auto parsed = parse_passwd_line(line, "default.test");
        ASSERT_TRUE(parsed) << line;
        ASSERT_TRUE(*parsed) << line;
        EXPECT_EQ((*parsed)->account.address, address);
        EXPECT_EQ((*parsed)->account.password, password);
    }
}

TEST(PasswdLine, NologinTakesThePasswordAway) {
    for (std::string_view extra : {"nologin", "nologin=y", "nologin=", "userdb_uid=5 nologin=yes"}) {
        auto parsed = parse_passwd_line("bob@example.org:{PLAIN}secret:1:1::/h:/bin/sh:" + std::string(extra), "");
        ASSERT_TRUE(parsed && *parsed) << extra;
        EXPECT_EQ((*parsed)->account.password, "") << extra;
    }
}

TEST(PasswdLine, RefusesByNameWhatItCannotEnforce) {
    for (std::string_view name : {"allow_nets", "allow_real_nets", "nopassword", "proxy", "host", "user",
                                  "userdb_quota_rule", "nonsense", "NOLOGIN", "userdb_"}) {
        const auto line = "bob@example.org:{PLAIN}secret::::::userdb_home=/h " + std::string(name) + "=fe80::/10";
        auto parsed = parse_passwd_line(line, "");
        ASSERT_FALSE(parsed) << name;
        EXPECT_TRUE(parsed.error().detail().contains("no such field here: " + std::string(name) + ";"))
            << parsed.error().detail();
        const std::string ignored[] = {"another", std::string(name)};
        parsed = parse_passwd_line(line, "", "CRYPT", ignored);
        ASSERT_TRUE(parsed && *parsed) << name;
        EXPECT_EQ((*parsed)->account.password, "{PLAIN}secret");
        EXPECT_EQ((*parsed)->unused, (std::vector<std::string>{"userdb_home", std::string(name)}));
    }
    auto parsed = parse_passwd_line("bob@example.org:{PLAIN}x::::::allow_nets=10.0.0.0/8  host=x", "");
    ASSERT_FALSE(parsed);
    EXPECT_TRUE(parsed.error().detail().contains("allow_nets, host;")) << parsed.error().detail();
}

TEST(PasswdLine, NamesWhatItDoesNotUse) {
    auto parsed =
        parse_passwd_line("bob@example.org:{PLAIN}x:5:6:Bob:/home/bob:/bin/sh:userdb_mail=maildir:~/m\r\n", "");
    ASSERT_TRUE(parsed && *parsed);
    EXPECT_EQ((*parsed)->unused, (std::vector<std::string>{"uid", "gid", "home", "userdb_mail"}));
    parsed = parse_passwd_line("bob@example.org:{PLAIN}x::::::", "");
    ASSERT_TRUE(parsed && *parsed);
    EXPECT_TRUE((*parsed)->unused.empty());
}

TEST(PasswdLine, TakesTheSchemeOfTheCallerWhereThereIsNone) {
    auto parsed = parse_passwd_line("bob@example.org:secret", "", "PLAIN");
    ASSERT_TRUE(parsed);
    EXPECT_EQ((*parsed)->account.password, "{PLAIN}secret");
    parsed = parse_passwd_line("bob@example.org:{SHA}abc", "", "PLAIN");
    ASSERT_TRUE(parsed);
    EXPECT_EQ((*parsed)->account.password, "{SHA}abc");
}

TEST(PasswdLine, SkipsEmptyLinesAndComments) {
    for (std::string_view line : {""sv, "\n"sv, "\r\n"sv, "  \t "sv, "# bob:{PLAIN}x"sv, "#"sv}) {
        auto parsed = parse_passwd_line(line, "default.test");
        ASSERT_TRUE(parsed) << line;
        EXPECT_FALSE(*parsed) << line;
    }
}

TEST(PasswdLine, RefusesWhatNamesNobodyOrIsNotCleanUtf8) {
    for (const std::string& line :
         {":{PLAIN}x"s, ":"s, "bo\0b@example.org:x"s, "bob@example.org:{PLAIN}a\tb"s, "bob\r@example.org:x"s,
          "b\xfc@example.org:{PLAIN}x"s, "bob@example.org:{PLAIN}\xfc"s, "bob@example.org:x\ny:z"s, "a@b:{PLAIN}\x7f"s,
          "a@b:" + std::string(8192, 'x')}) {
        auto parsed = parse_passwd_line(line, "default.test");
        ASSERT_FALSE(parsed) << line;
        EXPECT_EQ(parsed.error().code(), Errc::invalid);
    }
    EXPECT_FALSE(parse_passwd_line("bob:{PLAIN}x", ""));
}

}  // namespace
}  // namespace poplar::directory
