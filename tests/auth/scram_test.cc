// SCRAM: the RFCs' own exchanges, and what clients may send wrong.
#include "auth/scram.h"

#include <gtest/gtest.h>

#include "auth/password.h"
#include "auth/sasl.h"

namespace poplar::auth {
namespace {

std::string decoded(std::string_view text) {
    auto bytes = base64_decode(text);
    EXPECT_TRUE(bytes) << text;
    return bytes ? *bytes : std::string();
}

/// An exchange from an RFC, with the server's part of the nonce as it is there.
struct Vector {
    ScramHash hash;
    std::string_view client_nonce, server_nonce, salt, proof, signature;
};
constexpr Vector kVectors[] = {
    // RFC 5802 s5
    {ScramHash::sha1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
     "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    // RFC 7677 s3
    {ScramHash::sha256, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}};

ScramKeys keys_of(const Vector& v, std::string_view password = "pencil") {
    return derive_scram_keys(v.hash, password, decoded(v.salt), 4096);
}

ScramServer server_of(const Vector& v) {
    auto first = parse_scram_client_first("n,,n=user,r=" + std::string(v.client_nonce));
    EXPECT_TRUE(first);
    return {std::move(*first), keys_of(v), v.server_nonce, ""};
}

std::string nonce_of(const Vector& v) { return std::string(v.client_nonce) + std::string(v.server_nonce); }

TEST(Scram, PlaysTheExchangesOfRfc5802AndRfc7677) {
    for (const auto& v : kVectors) {
        auto server = server_of(v);
        EXPECT_EQ(server.first_message(), "r=" + nonce_of(v) + ",s=" + std::string(v.salt) + ",i=4096");
        auto proof = server.read_proof("c=biws,r=" + nonce_of(v) + ",p=" + std::string(v.proof));
        ASSERT_TRUE(proof);
        EXPECT_EQ(proof->answer(keys_of(v)), v.signature);
        EXPECT_EQ(proof->answer(keys_of(v, "pencils")), std::nullopt);
    }
}

TEST(Scram, RefusesAChangeAnywhereInTheLastMessage) {
    for (const auto& v : kVectors) {
        auto server = server_of(v);
        auto proof = std::string(v.proof), nonce = nonce_of(v);
        auto code = [&](const std::string& message) {
            auto read = server.read_proof(message);
            if (!read) return read.error().code();
            return read->answer(keys_of(v)) ? Errc::exists : Errc::denied;
        };
        EXPECT_EQ(code("c=biws,r=" + nonce + ",p=" + proof), Errc::exists);
        auto other = proof;
        other[3] = other[3] == 'A' ? 'B' : 'A';
        EXPECT_EQ(code("c=biws,r=" + nonce + ",p=" + other), Errc::denied);
        EXPECT_EQ(code("c=biws,r=" + nonce + "x,p=" + proof), Errc::denied);
        EXPECT_EQ(code("c=biws,r=" + std::string(v.client_nonce) + ",p=" + proof), Errc::denied);
        EXPECT_EQ(code("c=eSws,r=" + nonce + ",p=" + proof), Errc::denied) << "y,, in place of n,,";
        EXPECT_EQ(code("c=biws,r=" + nonce + ",x=y,p=" + proof), Errc::denied) << "an extension is signed";
        for (const auto& broken : {"", ",p=", "c=biws,p=", "p=biws"})
            EXPECT_EQ(code(broken + proof), Errc::invalid) << broken;
        EXPECT_EQ(code("c=biws,r=" + nonce), Errc::invalid);
        EXPECT_EQ(code("c=biws,r=" + nonce + ",p=AAAA"), Errc::invalid);
        EXPECT_EQ(code("c=b!ws,r=" + nonce + ",p=" + proof), Errc::invalid);
        EXPECT_EQ(code("r=" + nonce + ",c=biws,p=" + proof), Errc::invalid);
    }
}

TEST(Scram, ReadsClientFirstMessages) {
    auto first = parse_scram_client_first("p=tls-exporter,a=bo=2Css,n=us=3Der,r=abc,x=later");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->gs2.flag, 'p');
    EXPECT_EQ(first->gs2.binding, "tls-exporter");
    EXPECT_EQ(first->gs2.authorization_id, "bo,ss");
    EXPECT_EQ(first->gs2_text, "p=tls-exporter,a=bo=2Css,");
    EXPECT_EQ(first->bare, "n=us=3Der,r=abc,x=later");
    EXPECT_EQ(first->name, "us=er");
    EXPECT_EQ(first->nonce, "abc");
    for (std::string_view wrong :
         {"", "n", "n,", "n,,", ",,n=u,r=a", "x,,n=u,r=a", "p=,,n=u,r=a", "n,b=c,n=u,r=a", "n,,n=,r=a", "n,,n=u",
          "n,,n=u,r=", "n,,r=a,n=u", "n,,m=x,n=u,r=a", "n,,n=u=,r=a", "n,,n=u=2c,r=a", "n,,n=u=2,r=a", "n,,n=\xff,r=a",
          "n,,n=u,r=a b", "n,,n=u,r=\xc3\xa4"})
        EXPECT_FALSE(parse_scram_client_first(wrong)) << wrong;
}

TEST(Scram, KeysAreWrittenAsDovecotWritesThem) {
    auto keys = derive_scram_keys(ScramHash::sha256, "pencil", decoded("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
    auto text = to_string(keys);
    EXPECT_EQ(text,
              "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    auto back = parse_scram_keys(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, keys);
    EXPECT_TRUE(is_valid_hash(text));
    EXPECT_TRUE(matches(text, "pencil"));
    EXPECT_FALSE(matches(text, "pencil "));
    EXPECT_EQ(scheme_of(text), "SCRAM-SHA-256");
    EXPECT_TRUE(matches(to_string(derive_scram_keys(ScramHash::sha1, "pencil", 4096)), "pencil"));
    for (std::string_view wrong :
         {"", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}4095,YQ==,",
          "{SCRAM-SHA-1}4096,YQ==,YQ==,YQ==", "{SCRAM-SHA-256}9999999999,YQ==,YQ==,YQ==", "{SHA}x", "{SCRAM-SHA-256"}) {
        EXPECT_FALSE(parse_scram_keys(wrong)) << wrong;
        EXPECT_FALSE(is_valid_hash(wrong)) << wrong;
    }
    EXPECT_FALSE(parse_scram_keys(text + ","));
    EXPECT_FALSE(parse_scram_keys(text + ",x"));
}

TEST(Scram, FindsTheKeysOfAHashAmongSeveral) {
    auto one = derive_scram_keys(ScramHash::sha1, "a", 4096), two = derive_scram_keys(ScramHash::sha256, "a", 4096);
    auto both = to_string(one) + to_string(two);
    EXPECT_EQ(find_scram_keys(both, ScramHash::sha1), one);
    EXPECT_EQ(find_scram_keys(both, ScramHash::sha256), two);
    EXPECT_EQ(find_scram_keys(to_string(one), ScramHash::sha256), std::nullopt);
    EXPECT_EQ(find_scram_keys("{PLAIN}x", ScramHash::sha1), std::nullopt);
    auto third = derive_scram_keys(ScramHash::sha1, "b", 4096);
    auto all = both + to_string(third);
    std::string_view left = all;
    EXPECT_EQ(take_scram_keys(left, ScramHash::sha1), one);
    EXPECT_EQ(take_scram_keys(left, ScramHash::sha1), third);
    EXPECT_EQ(take_scram_keys(left, ScramHash::sha1), std::nullopt);
}

TEST(Scram, PasswordsArePreparedAsRfc4013Says) {
    EXPECT_EQ(sasl_prepare("I\xc2\xadX"), "IX");
    EXPECT_EQ(sasl_prepare("user"), "user");
    EXPECT_EQ(sasl_prepare("\xc2\xaa"), "a");
    EXPECT_EQ(sasl_prepare("\xe2\x85\xa8"), "IX");
    EXPECT_EQ(sasl_prepare("\x07"), std::nullopt);
    EXPECT_EQ(sasl_prepare(std::string_view("a\0b", 3)), std::nullopt);
    auto keys = derive_scram_keys(ScramHash::sha256, "\xe2\x85\xa8", 4096);
    EXPECT_TRUE(matches(keys, "IX"));
}

TEST(Scram, PretendedKeysAreStableForANameAndDifferBetweenNames) {
    auto one = pretended_scram_keys(ScramHash::sha256, "secret", "a@example.org", {4096});
    EXPECT_EQ(one, pretended_scram_keys(ScramHash::sha256, "secret", "a@example.org", {4096}));
    EXPECT_NE(one.salt, pretended_scram_keys(ScramHash::sha256, "secret", "b@example.org", {4096}).salt);
    EXPECT_NE(one.salt, pretended_scram_keys(ScramHash::sha256, "other", "a@example.org", {4096}).salt);
    auto real = derive_scram_keys(ScramHash::sha256, "x", 4096);
    EXPECT_EQ(one.salt.size(), real.salt.size()) << "the length must not tell";
    EXPECT_EQ(one.stored_key.size(), real.stored_key.size());
    for (std::size_t octets : {1, 12, 64, 200})
        EXPECT_EQ(pretended_scram_keys(ScramHash::sha1, "s", "n", {4096, octets}).salt.size(), octets);
}

TEST(Scram, PretendedKindsAreAsFrequentAsRealOnesAndChangeForFewNames) {
    std::map<ScramKind, std::size_t> kinds{{{4096, 12}, 30}, {{15'000, 16}, 70}};
    auto name = [](int i) { return std::to_string(i) + "@example.org"; };
    int older = 0, changed = 0;
    auto more = kinds;
    more[{10'000, 8}] = 5;
    for (int i = 0; i < 2000; ++i) {
        auto kind = choose_scram_kind(kinds, "secret", name(i));
        EXPECT_EQ(kind, choose_scram_kind(kinds, "secret", name(i)));
        older += kind.salt_octets == 12;
        changed += choose_scram_kind(more, "secret", name(i)) != kind;
    }
    EXPECT_NEAR(older, 600, 90);
    EXPECT_NEAR(changed, 95, 50);
}

}  // namespace
}  // namespace poplar::auth
