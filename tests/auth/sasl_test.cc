#include "auth/sasl.h"

#include <gtest/gtest.h>

namespace poplar::auth {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(Base64, EncodesAndDecodesTheVectorsOfRfc4648) {
    struct Case {
        std::string_view plain, encoded;
    };
    for (auto [plain, encoded] : {Case{"", ""},
                                  {"f", "Zg=="},
                                  {"fo", "Zm8="},
                                  {"foo", "Zm9v"},
                                  {"foob", "Zm9vYg=="},
                                  {"fooba", "Zm9vYmE="},
                                  {"foobar", "Zm9vYmFy"},
                                  {"\xff\xfe\xfd\0\x10"sv, "//79ABA="}}) {
        EXPECT_EQ(base64_encode(plain), encoded);
        auto decoded = base64_decode(encoded);
        ASSERT_TRUE(decoded) << encoded;
        EXPECT_EQ(*decoded, plain);
    }
}

TEST(Base64, RoundTripsEveryOctetAtEveryLength) {
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        auto decoded = base64_decode(base64_encode(bytes));
        ASSERT_TRUE(decoded);
        EXPECT_EQ(*decoded, bytes);
        bytes.push_back(static_cast<char>(i * 7));
    }
}

TEST(Base64, RefusesWhatIsNotTheOneSpellingOfAValue) {
    for (std::string_view text :
         {"Z"sv, "Zg"sv, "Zg="sv, "Zg==="sv, "Zm9v\r\n"sv, " Zm9"sv, "Zm9v Zm9"sv, "Zh=="sv, "Zm9="sv, "Z==="sv,
          "===="sv, "Zg==Zg=="sv, "Zm-_"sv, "Zm9\0"sv, "Zm\xc3\xb6"sv, "="sv, "Z=g="sv})
        EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(SaslPlain, SplitsTheMessage) {
    struct Case {
        std::string_view message, authorization_id, authentication_id, password;
    };
    for (auto [message, authorization_id, authentication_id, password] :
         {Case{"\0tim\0tanstaaftanstaaf"sv, "", "tim", "tanstaaftanstaaf"},  // RFC 4616 s4
          {"Ursel\0Kurt\0xipj3plmq"sv, "Ursel", "Kurt", "xipj3plmq"},
          {"\0b\xc3\xbc@example.org\0 p\xe2\x82\xac \xf0\x9f\x94\x91"sv, "", "b\xc3\xbc@example.org",
           " p\xe2\x82\xac \xf0\x9f\x94\x91"}}) {
        auto parsed = parse_plain(message);
        ASSERT_TRUE(parsed) << message;
        EXPECT_EQ(parsed->authorization_id, authorization_id);
        EXPECT_EQ(parsed->authentication_id, authentication_id);
        EXPECT_EQ(parsed->password, password);
    }
}

TEST(SaslPlain, RefusesMissingAndExtraParts) {
    for (std::string_view message : {""sv, "\0"sv, "\0\0"sv, "user"sv, "user\0pass"sv, "\0user\0"sv, "\0\0pass"sv,
                                     "\0user\0pass\0"sv, "\0user\0pa\0ss"sv})
        EXPECT_FALSE(parse_plain(message));
}

TEST(SaslPlain, RefusesWhatIsNotUtf8) {
    for (std::string_view bad :
         {"\xff"sv, "\xc3"sv, "\xc0\x80"sv, "\xe0\x80\x80"sv, "\xed\xa0\x80"sv, "\xf0\x80\x80\x80"sv,
          "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\x80"sv, "\xe2\x82"sv, "\xf0\x9f\x94"sv}) {
        std::string in(bad);
        EXPECT_FALSE(parse_plain(in + "\0u\0p"s));
        EXPECT_FALSE(parse_plain("\0u"s + in + "\0p"s));
        EXPECT_FALSE(parse_plain("\0u\0p"s + in));
    }
}

TEST(SaslPlain, AcceptsUpToItsLimitsAndNoFurther) {
    auto message = [](std::size_t authorization, std::size_t authentication, std::size_t password) {
        return std::string(authorization, 'z') + '\0' + std::string(authentication, 'c') + '\0' +
               std::string(password, 'p');
    };
    EXPECT_TRUE(parse_plain(message(255, 255, 1024)));
    EXPECT_FALSE(parse_plain(message(256, 255, 1024)));
    EXPECT_FALSE(parse_plain(message(255, 256, 1024)));
    EXPECT_FALSE(parse_plain(message(255, 255, 1025)));
}

TEST(CramMd5, PlaysTheExchangeOfRfc2195) {
    constexpr std::string_view kChallenge = "<1896.697170952@postoffice.reston.mci.net>";
    auto message = parse_cram("tim b913a602c7eda7a495b4e6e7334d3890");
    ASSERT_TRUE(message);
    EXPECT_EQ(message->name, "tim");
    EXPECT_TRUE(cram_md5_matches(message->digest, kChallenge, "tanstaaftanstaaf"));
    EXPECT_FALSE(cram_md5_matches(message->digest, kChallenge, "tanstaaftanstaa"));
    EXPECT_FALSE(cram_md5_matches(message->digest, "<1896.697170953@postoffice.reston.mci.net>", "tanstaaftanstaaf"));
}

TEST(CramMd5, ReadsNamesWithSpacesAndDigestsInAnyCase) {
    auto message = parse_cram("a b B913A602C7EDA7A495B4E6E7334D3890");
    ASSERT_TRUE(message);
    EXPECT_EQ(message->name, "a b");
    EXPECT_EQ(message->digest, "b913a602c7eda7a495b4e6e7334d3890");
    for (std::string_view wrong : {"", " ", "tim", "tim ", " b913a602c7eda7a495b4e6e7334d3890", "tim b913a602",
                                   "tim b913a602c7eda7a495b4e6e7334d389g", "\xff b913a602c7eda7a495b4e6e7334d3890"})
        EXPECT_FALSE(parse_cram(wrong)) << wrong;
}

TEST(Apop, TakesTheExampleOfRfc1939) {
    constexpr std::string_view kTimestamp = "<1896.697170952@dbc.mtview.ca.us>",
                               kRight = "c4c9334bac560ecc979e58001b3e22fb";
    EXPECT_TRUE(apop_matches(kRight, kTimestamp, "tanstaaf"));
    EXPECT_FALSE(apop_matches(kRight, kTimestamp, "tanstaag"));
    EXPECT_FALSE(apop_matches("", kTimestamp, "tanstaaf"));
    EXPECT_FALSE(apop_matches("C4C9334BAC560ECC979E58001B3E22FB", kTimestamp, "tanstaaf")) << "RFC 1939 s7: lower case";
}

}  // namespace
}  // namespace poplar::auth
