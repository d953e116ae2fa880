#include "directory/outside/words.h"

#include <gtest/gtest.h>

namespace poplar::directory::outside {
namespace {

const mail::Address kJane{"jane", "example.org"};

TEST(OutsideWords, TakeThePlaceOfThePartsOfAnAddress) {
    EXPECT_EQ(text_for("{address} {local} {domain}{local}", kJane), "jane@example.org jane example.orgjane");
    EXPECT_EQ(text_for("", kJane), "");
    for (std::string_view wrong : {"{", "{adress}", "{address", "{}", "{{address}}", "{ address }"})
        EXPECT_FALSE(text_for(wrong, kJane)) << wrong;
}

// RFC 4515 s3.
TEST(OutsideWords, AreNeverPartOfAnLdapFiltersGrammar) {
    const mail::Address nasty{std::string("*)(|(mail=*\\\0\xc3\xa9", 15), "example.org"};
    EXPECT_EQ(filter_for("(uid={local})", nasty), "(uid=\\2a\\29\\28|\\28mail=\\2a\\5c\\00\xc3\xa9)");
    EXPECT_EQ(filter_for("(&(mail={address})(active=TRUE))", kJane), "(&(mail=jane@example.org)(active=TRUE))");
}

// RFC 4518 s2.
TEST(OutsideWords, ALocalPartThatLdapWouldTakeForAnothersIsNotCompared) {
    for (std::string_view whole : {"jane", "j.o'hara+x", "j\xc3\xbcrgen", "\xe6\x9d\xb1\xe4\xba\xac"})
        EXPECT_TRUE(is_compared_whole(whole)) << whole;
    for (std::string_view other :
         {" jane", "jane ", "jane  doe", "jane doe", "jane\xc2\xa0", "ja\xc2\xadne", "jane\xe2\x80\x8b",
          "\xef\xbd\x8a"
          "ane",
          "\xef\xac\x81nn", "jane\xe1\x9a\x80", "jane\xef\xbf\xbc", "jane\xe1\xa0\x86", "jane\xcd\x8f", "jane\xff"})
        EXPECT_FALSE(is_compared_whole(other)) << other;
    EXPECT_TRUE(is_padded("jane "));
    EXPECT_FALSE(is_padded(" jane"));
}

TEST(OutsideWords, BecomeParametersOfAQuery) {
    auto query = query_of("SELECT p FROM u WHERE d = {domain} AND l = {local} AND d2 = {domain}");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->text, "SELECT p FROM u WHERE d = $1 AND l = $2 AND d2 = $1");
    EXPECT_EQ(query->parameters, (std::vector{Word::domain, Word::local}));
    ASSERT_TRUE(query_of("SELECT 'it''s' FROM u WHERE a = {address}"));
    for (std::string_view wrong : {"SELECT 1", "", "SELECT '{address}'", "SELECT \"{address}\"",
                                   "SELECT 'x' || '{local}'", "SELECT {user}", "SELECT 'a WHERE {address}"})
        EXPECT_FALSE(query_of(wrong)) << wrong;
}

}  // namespace
}  // namespace poplar::directory::outside
