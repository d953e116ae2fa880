// Codes of a second factor behind a password, and codes of authenticators.
#include "auth/second_code.h"

#include <gtest/gtest.h>

#include <set>

#include "auth/totp.h"

namespace poplar::auth {
namespace {

std::string shown(std::string_view typed) {
    auto split = split_code(typed);
    return split ? split->password + "|" + split->code : "";
}

TEST(SecondCode, IsWhatStandsBehindThePassword) {
    struct Case {
        std::string_view typed, split;
    };
    for (auto [typed, split] : {
             Case{"secret123456", "secret|123456"},
             {"secret 123456", "secret |123456"},
             {"2024123456", "2024|123456"},  // a password of digits
             {"123456", ""},                 // no password
             {"12345", ""},
             {"secret12345", ""},
             {"secret12345x", ""},                                            // twelve symbols, and nothing before them
             {"secret\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6", ""},  // digits of another script
             {"secretabcd-efgh-jkmn", "secret|abcdefghjkmn"},
             {"secretABCDefghJKMN", "secret|abcdefghjkmn"},
             {"secretabcd-efgh-jkm7", ""},  // a code ends with a letter
             {"secret-o1lI-efgh-jkmn", "secret-|0111efghjkmn"},
             {"secret-a-b-c-d-e-f-g-h-j-k-m-n", "secret-|abcdefghjkmn"},
             {"secretabcd-efgh-jkmn-", ""},
             {"secretabcd-efgh-jkmu", ""},
             {"secretabcd efgh jkmn", ""},
             {"abcd-efgh-jkmn", ""},
             {"", ""},
         })
        EXPECT_EQ(shown(typed), split) << typed;
}

TEST(SecondCode, NewOnesAreReadAsTheyAreShown) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const auto code = make_word_code();
        EXPECT_EQ(shown("pw" + code), "pw|" + code);
        EXPECT_EQ(shown("pw" + grouped_code(code)), "pw|" + code);
        EXPECT_EQ(shown("1234" + grouped_code(code)), "1234|" + code);
        EXPECT_TRUE(seen.insert(code).second);
    }
    EXPECT_EQ(grouped_code("abcdefghjkmn"), "abcd-efgh-jkmn");
}

// RFC 6238 appendix B, the lower six digits of the table for SHA-1.
TEST(Totp, MakesTheCodesOfTheRfc) {
    const std::string secret = "12345678901234567890";
    struct Case {
        std::int64_t time;
        std::string_view code;
    };
    for (auto [time, code] : {Case{59, "287082"},
                              {1111111109, "081804"},
                              {1111111111, "050471"},
                              {1234567890, "005924"},
                              {2000000000, "279037"},
                              {20000000000, "353130"}}) {
        const Timestamp now{std::chrono::seconds(time)};
        const auto step = static_cast<std::uint64_t>(time / 30);
        EXPECT_EQ(totp_step(secret, code, now, {}), step) << time;
        EXPECT_EQ(totp_step(secret, code, now, std::array{step}), std::nullopt) << "taken already";
        EXPECT_EQ(totp_step(secret, code, now, std::array{step - 1}), step);
        EXPECT_EQ(totp_step(secret, code, now, std::array{step - 1, step + 1'000'000}), step)
            << "taken by a clock that was set back since";
        EXPECT_EQ(totp_step(secret, code, now, std::array{step, step + 1'000'000}), std::nullopt);
        EXPECT_EQ(totp_step(secret, code, now + std::chrono::seconds(30), {}), step) << "a clock that is slow";
        EXPECT_EQ(totp_step(secret, code, now - std::chrono::seconds(30), {}), step) << "one that is fast";
        EXPECT_EQ(totp_step(secret, code, now + std::chrono::seconds(60), {}), std::nullopt);
        EXPECT_EQ(totp_step(secret, "000000", now, {}), std::nullopt);
        EXPECT_EQ(totp_step(secret, "", now, {}), std::nullopt);
    }
}

TEST(Totp, TellsAuthenticatorsItsSecret) {
    const std::string secret = "12345678901234567890";
    EXPECT_EQ(totp_secret_text(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    EXPECT_EQ(totp_uri("mail.example.org", "bob@example.org", secret),
              "otpauth://totp/mail.example.org:bob%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&"
              "issuer=mail.example.org");
    EXPECT_EQ(make_totp_secret().size(), 20u);
    EXPECT_NE(make_totp_secret(), make_totp_secret());
}

}  // namespace
}  // namespace poplar::auth
