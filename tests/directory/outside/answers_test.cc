// Everything that comes from outside, octet by octet: JSON, the lines of a passwd-file, packets of the PAM process.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "directory/outside/http.h"
#include "directory/outside/pam_talk.h"
#include "directory/outside/passwd_file.h"

namespace poplar::directory::outside {
namespace {

TEST(HttpAnswer, NeedsExistsAndOk) {
    struct Case {
        std::string_view body;
        bool with_password;
        std::optional<bool> exists, right = {};
    };
    for (const auto& [body, with_password, exists, right] :
         {Case{R"({"ok": true, "exists": true})", true, true, true},
          {R"({"ok": false, "exists": true, "more": [1]})", true, true, false},
          {R"({"ok": false, "exists": false})", true, false, {}},
          {R"({"exists": true})", false, true, {}},
          {R"({"ok": false, "exists": false})", false, false, {}},
          {R"({"exists": false})", false, false, {}},
          {R"({"ok": true, "exists": false})", false, {}},
          {R"({"exists": true})", true, {}},
          {R"({"ok": true})", true, {}},
          {R"({"ok": true, "exists": false})", true, {}},
          {R"({"ok": 1, "exists": true})", true, {}},
          {R"({"exists": "true"})", false, {}},
          {R"({"exists": true, "deep": [[[[[[]]]]]]})", false, {}},
          {"true", false, {}},
          {"", false, {}},
          {R"({"exists": true} )"
           "x",
           false,
           {}}}) {
        auto answer = parse_http_answer(body, with_password);
        ASSERT_EQ(answer.has_value(), exists.has_value()) << body;
        if (!answer) EXPECT_EQ(answer.error().code(), Errc::invalid) << body << ": it may be of this address alone";
        if (!answer) continue;
        EXPECT_EQ(answer->exists, *exists) << body;
        EXPECT_EQ(answer->right, right) << body;
    }
}

TEST(HttpQuestion, HasAPasswordOnlyIfThereIsOne) {
    Question question{.address = {"jane", "example.org"}, .peer = "192.0.2.7", .protocol = "pop3"};
    auto json = nlohmann::json::parse(http_question(question));
    EXPECT_EQ(json, (nlohmann::json{{"address", "jane@example.org"}, {"peer", "192.0.2.7"}, {"protocol", "pop3"}}));
    question.password = "p\"\xff";
    json = nlohmann::json::parse(http_question(question));
    EXPECT_EQ(json["password"], "p\"\xef\xbf\xbd");
}

TEST(OutsidePasswdFile, ObeysItsFieldsOrRefusesThemByName) {
    const auto file = parse_passwd_file(
        "jane:{PLAIN}a\r\n"
        "# comment\n"
        "\n"
        "JANE@example.org:{PLAIN}second\n"
        "out:{PLAIN}b::::::nologin\n"
        "near:{PLAIN}c::::::allow_nets=192.0.2.0/24,2001:db8::/32 userdb_home=/x\n"
        "local:{PLAIN}d::::::allow_nets=local\n"
        "nowhere:{PLAIN}d::::::allow_nets=\n"
        "odd:{PLAIN}e::::::proxy=y\n"
        "crypted:abcdefghijklm\n"
        "other@elsewhere.test:{PLAIN}f\n"
        ":{PLAIN}g\n",
        {"example.org"}, "CRYPT", mail::LocalPartCase::fold);
    auto at = [&](std::string_view name) { return file.accounts.at(std::string(name) + "@example.org"); };
    EXPECT_EQ(file.accounts.size(), 7u);
    EXPECT_EQ(at("jane").credential, "{PLAIN}a") << "the first line counts";
    EXPECT_EQ(at("out").credential, "");
    EXPECT_EQ(at("near").credential, "{PLAIN}c");
    EXPECT_EQ(at("near").networks, (std::vector<std::string>{"192.0.2.0/24", "2001:db8::/32"}));
    for (auto name : {"local", "nowhere", "odd"}) EXPECT_EQ(at(name).credential, "") << name;
    EXPECT_EQ(at("crypted").credential, "{CRYPT}abcdefghijklm");
    ASSERT_EQ(file.refused.size(), 4u);
    EXPECT_EQ(file.refused[0].first, 7u);
    EXPECT_EQ(file.refused[2].first, 9u);
    EXPECT_NE(file.refused[2].second.find("proxy"), std::string::npos);
}

TEST(OutsidePasswdFile, NeedsWholeAddressesForSeveralDomains) {
    const auto file = parse_passwd_file("jane:{PLAIN}a\njohn@b.test:{PLAIN}b\n", {"a.test", "b.test"}, "CRYPT",
                                        mail::LocalPartCase::fold);
    EXPECT_EQ(file.accounts.size(), 1u);
    EXPECT_TRUE(file.accounts.contains("john@b.test"));
    EXPECT_EQ(file.refused.size(), 1u);
}

TEST(PamTalk, ComesBackAsItWasSaid) {
    const PamQuestion question{.number = 7, .millis = 2000, .service = "s", .user = "u", .peer = "p", .password = "w"};
    EXPECT_EQ(decode_pam_question(encode(question)), question);
    const PamAnswer answer{.number = 7, .verdict = PamAnswer::Verdict::gone, .why = "x"};
    EXPECT_EQ(decode_pam_answer(encode(answer)), answer);
    const PamAnswer unusable{.number = 7, .verdict = PamAnswer::Verdict::unusable, .why = "x"};
    EXPECT_EQ(decode_pam_answer(encode(unusable)), unusable);
    EXPECT_FALSE(decode_pam_question(""));
    EXPECT_FALSE(decode_pam_question(encode(question) + "x"));
    EXPECT_FALSE(decode_pam_answer(encode(question)));
    auto unknown = encode(answer);
    unknown[4] = 9;
    EXPECT_FALSE(decode_pam_answer(unknown));
}

}  // namespace
}  // namespace poplar::directory::outside
