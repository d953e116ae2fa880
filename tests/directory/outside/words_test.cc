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
