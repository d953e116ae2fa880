// Bearer tokens: how clients bring them, and JWTs with good and bad signatures and claims.
#include "auth/token.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <nlohmann/json.hpp>

#include "auth/jwks.h"
#include "auth/jwt.h"
#include "auth/sasl.h"
#include "tests/support/manual_clock.h"

namespace poplar::auth {
namespace {

using Json = nlohmann::json;

TEST(BearerMessage, ReadsTheExampleOfRfc7628) {
    auto raw = base64_decode(
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
        "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB");
    ASSERT_TRUE(raw);
    auto message = parse_oauthbearer(*raw);
    ASSERT_TRUE(message) << message.error().detail();
    EXPECT_EQ(message->name, "user@example.com");
    EXPECT_EQ(message->token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
}

TEST(BearerMessage, RefusesWhatIsMalformed) {
    EXPECT_TRUE(parse_oauthbearer("n,,\1auth=bearer abc\1\1"));
    for (std::string_view wrong :
         {"", "n,,", "n,,\1", "n,,\1\1", "n,,\1auth=Bearer abc\1", "n,,\1auth=Bearer \1\1", "n,,\1auth=Basic abc\1\1",
          "n,,\1auth=Bearer a b\1\1", "n,,\1auth=Bearer a\1auth=Bearer b\1\1", "p=x,,\1auth=Bearer a\1\1",
          "n,,\1auth=Bearer a\1\1x", "n,,auth=Bearer a\1\1", "n,a=\xff,\1auth=Bearer a\1\1",
          "n,,\1=x\1auth=Bearer a\1\1"})
        EXPECT_FALSE(parse_oauthbearer(wrong)) << wrong;
    auto old =
        parse_xoauth2("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1");
    ASSERT_TRUE(old);
    EXPECT_EQ(old->name, "someuser@example.com");
    EXPECT_EQ(old->token, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    EXPECT_FALSE(parse_xoauth2("user=x\1\1"));
    EXPECT_FALSE(parse_xoauth2(""));
}

TEST(BearerMessage, TheAnswerToABadTokenIsJson) {
    TokenOptions options;
    options.scope = "mail";
    options.configuration_url = "https://id.example.org/.well-known/openid-configuration";
    auto json = Json::parse(token_failure(options));
    EXPECT_EQ(json["status"], "invalid_token");
    EXPECT_EQ(json["scope"], "mail");
    EXPECT_EQ(json["openid-configuration"], options.configuration_url);
    EXPECT_EQ(Json::parse(xoauth2_failure({}))["status"], "401");
}

std::string base64url(std::string_view bytes) {
    auto text = base64_encode(bytes);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    while (text.ends_with('=')) text.pop_back();
    return text;
}

class Signer {
public:
    explicit Signer(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}

    std::string public_pem() const {
        BIO* bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PUBKEY(bio, key_.get());
        char* data = nullptr;
        auto size = BIO_get_mem_data(bio, &data);
        std::string out(data, static_cast<std::size_t>(size));
        BIO_free(bio);
        return out;
    }

    /// As RFC 7517 writes its public half.
    Json jwk(const std::string& id) const {
        auto number = [&](const char* name) {
            BIGNUM* value = nullptr;
            EVP_PKEY_get_bn_param(key_.get(), name, &value);
            std::string octets(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
            BN_bn2bin(value, reinterpret_cast<unsigned char*>(octets.data()));
            BN_free(value);
            return base64url(octets);
        };
        switch (EVP_PKEY_get_base_id(key_.get())) {
            case EVP_PKEY_RSA: return {{"kty", "RSA"}, {"kid", id}, {"n", number("n")}, {"e", number("e")}};
            case EVP_PKEY_EC: {
                std::string point(65, '\0');
                std::size_t size = 0;
                EVP_PKEY_get_octet_string_param(key_.get(), "pub", reinterpret_cast<unsigned char*>(point.data()),
                                                point.size(), &size);
                return {{"kty", "EC"},
                        {"crv", "P-256"},
                        {"kid", id},
                        {"x", base64url(std::string_view(point).substr(1, 32))},
                        {"y", base64url(std::string_view(point).substr(33, 32))}};
            }
            default: {
                std::string octets(32, '\0');
                auto size = octets.size();
                EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(octets.data()), &size);
                return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", id}, {"x", base64url(octets)}};
            }
        }
    }

    std::string token(const std::string& algorithm, const Json& claims, const Json& more = Json::object()) const {
        Json header{{"alg", algorithm}, {"typ", "JWT"}};
        header.update(more);
        auto text = base64url(header.dump()) + "." + base64url(claims.dump());
        return text + "." + base64url(sign(text));
    }

private:
    std::string sign(const std::string& text) const {
        bool eddsa = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519;
        EVP_MD_CTX* context = EVP_MD_CTX_new();
        auto* octets = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t size = 0;
        EVP_DigestSignInit(context, nullptr, eddsa ? nullptr : EVP_sha256(), nullptr, key_.get());
        EVP_DigestSign(context, nullptr, &size, octets, text.size());
        std::string out(size, '\0');
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, octets, text.size());
        out.resize(size);
        EVP_MD_CTX_free(context);
        if (EVP_PKEY_get_base_id(key_.get()) != EVP_PKEY_EC) return out;
        auto* der = reinterpret_cast<const unsigned char*>(out.data());
        ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(out.size()));
        std::string raw(64, '\0');
        BN_bn2binpad(ECDSA_SIG_get0_r(pair), reinterpret_cast<unsigned char*>(raw.data()), 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
        ECDSA_SIG_free(pair);
        return raw;
    }
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

class JwtTest : public testing::Test {
protected:
    JwtTest() {
        options.issuer = "https://id.example.org";
        options.audience = "poplar";
    }
    Json claims() const {
        return {
            {"iss", "https://id.example.org"}, {"aud", "poplar"}, {"exp", 1'000'000'100}, {"email", "bob@example.org"}};
    }
    Json with(const std::string& name, Json value) const {
        auto made = claims();
        made[name] = std::move(value);
        return made;
    }
    Json without(const std::string& name) const {
        auto made = claims();
        made.erase(name);
        return made;
    }
    /// The account, or why not.
    std::string outcome(const std::string& token, const Signer& trusted) {
        auto keys = JwtKeys::parse(options, trusted.public_pem(), "key.pem");
        if (!keys) return keys.error().detail();
        auto holder = keys->holder_of(token, now);
        return holder ? holder->name : holder.error().detail();
    }
    std::string outcome(const Json& json) { return outcome(ed.token("EdDSA", json), ed); }

    Timestamp now{std::chrono::seconds(1'000'000'000)};
    TokenOptions options;
    inline static const Signer rsa{EVP_RSA_gen(2048)};
    inline static const Signer ec{EVP_EC_gen("P-256")};
    inline static const Signer ed{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
};

TEST_F(JwtTest, AcceptsEachAlgorithmWithItsOwnKeyOnly) {
    struct Case {
        const Signer& signer;
        std::string algorithm;
    };
    const Case cases[] = {{rsa, "RS256"}, {ec, "ES256"}, {ed, "EdDSA"}};
    for (const auto& one : cases)
        for (const auto& trusted : cases) {
            auto token = one.signer.token(one.algorithm, claims());
            auto expected = &one == &trusted ? "bob@example.org" : "token: signed by none of the keys";
            EXPECT_EQ(outcome(token, trusted.signer), expected) << one.algorithm << " with " << trusted.algorithm;
        }
}

TEST_F(JwtTest, TheTokenDoesNotChooseTheAlgorithm) {
    for (auto name : {"none", "HS256", "RS512", "ES256", ""})
        EXPECT_EQ(outcome(rsa.token(name, claims()), rsa), "token: signed by none of the keys") << name;
    // RFC 8725 s3.1: the public key as an HMAC secret.
    auto parts = base64url(Json{{"alg", "none"}}.dump()) + "." + base64url(claims().dump()) + ".";
    EXPECT_EQ(outcome(parts, rsa), "token: signed by none of the keys");
    EXPECT_EQ(outcome(ed.token("EdDSA", claims(), {{"crit", {"x"}}}), ed),
              "token: an extension that must be understood");
    options.algorithms = {"RS256"};
    EXPECT_TRUE(outcome(ed.token("EdDSA", claims()), ed).contains("the algorithms don't allow"));
}

TEST_F(JwtTest, ChecksTheClaims) {
    const std::string good = "bob@example.org";
    EXPECT_EQ(outcome(claims()), good);
    EXPECT_EQ(outcome(with("aud", {"other", "poplar"})), good);
    EXPECT_EQ(outcome(with("nbf", 1'000'000'000)), good);
    EXPECT_EQ(outcome(with("nbf", 1'000'000'060)), good) << "within the leeway";
    EXPECT_EQ(outcome(with("exp", 999'999'941)), good) << "within the leeway";
    EXPECT_EQ(outcome(with("exp", 999'999'940)), "token: expired");
    EXPECT_EQ(outcome(with("exp", 1'000'000'000.5)), good) << "a NumericDate may have a fraction";
    EXPECT_EQ(outcome(with("exp", "1000000100")), "token: expired") << "a text is no time";
    EXPECT_EQ(outcome(without("exp")), "token: no expiry");
    EXPECT_EQ(outcome(with("nbf", 1'000'000'061)), "token: not valid yet");
    EXPECT_EQ(outcome(with("iss", "https://evil.example")), "token: another issuer");
    EXPECT_EQ(outcome(without("iss")), "token: another issuer");
    EXPECT_EQ(outcome(with("aud", "other")), "token: for another audience");
    EXPECT_EQ(outcome(with("aud", {1, "other"})), "token: for another audience");
    EXPECT_EQ(outcome(without("aud")), "token: for another audience");
    EXPECT_EQ(outcome(without("email")), "token: no claim \"email\"");
    EXPECT_EQ(outcome(with("email", 7)), "token: no claim \"email\"");
    for (const Json& no :
         {Json(false), Json("false"), Json(0), Json(1), Json(nullptr), Json(""), Json("True"), Json::array()})
        EXPECT_EQ(outcome(with("email_verified", no)), "token: the address is not verified") << no;
    for (const Json& yes : {Json(true), Json("true")}) EXPECT_EQ(outcome(with("email_verified", yes)), good) << yes;
    options.audience = "";
    EXPECT_EQ(outcome(claims()), "token: for another audience") << "an audience that nobody configured is nobody's";
    options.audience = "*";
    EXPECT_EQ(outcome(with("aud", "other")), good);
    EXPECT_EQ(outcome(without("aud")), good);
    options.scope = "mail";
    EXPECT_EQ(outcome(claims()), "token: not this scope");
    EXPECT_EQ(outcome(with("scope", "openid mailx")), "token: not this scope");
    EXPECT_EQ(outcome(with("scope", "openid mail")), good);
    EXPECT_EQ(outcome(with("scp", {"mail"})), good);
    options.account_claim = "upn";
    EXPECT_EQ(outcome(with("scope", "mail")), "token: no claim \"upn\"");
}

TEST_F(JwtTest, TakesTheKeysOfAKeySet) {
    const Json set{{"keys", {rsa.jwk("r"), ec.jwk("e"), ed.jwk("d")}}};
    auto keys = JwtKeys::parse_jwks(options, set.dump());
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->size(), 3u);
    for (const auto& token : {rsa.token("RS256", claims()), ec.token("ES256", claims()), ed.token("EdDSA", claims())}) {
        auto holder = keys->holder_of(token, now);
        ASSERT_TRUE(holder) << holder.error().detail();
        EXPECT_EQ(holder->name, "bob@example.org");
        EXPECT_TRUE(keys->signed_by_one(token));
    }
    EXPECT_FALSE(keys->signed_by_one("no token"));
}

TEST_F(JwtTest, KnowsATokenOfAnotherKeyWhateverNameThatHas) {
    const Json set{{"keys", {rsa.jwk("r")}}};
    auto keys = JwtKeys::parse_jwks(options, set.dump());
    ASSERT_TRUE(keys);
    EXPECT_FALSE(keys->signed_by_one(ec.token("ES256", claims(), {{"kid", "r"}})));
    EXPECT_TRUE(keys->signed_by_one(rsa.token("RS256", claims(), {{"kid", "another"}})));
    EXPECT_TRUE(keys->signed_by_one(rsa.token("RS256", {{"exp", 1}}))) << "what it says does not matter";
}

TEST_F(JwtTest, PassesOverKeysThatAreOfNoUse) {
    auto encrypting = ec.jwk("x");
    encrypting["use"] = "enc";
    auto weak = Signer(EVP_RSA_gen(1024)).jwk("weak");
    auto off_curve = ec.jwk("y");
    off_curve["y"] = off_curve["x"];
    auto cut = ed.jwk("z");
    cut["x"] = "AAAA";
    const Json useless{encrypting, weak, off_curve, cut, {{"kty", "oct"}, {"k", "AAAA"}}, 7, Json::object()};
    EXPECT_FALSE(JwtKeys::parse_jwks(options, Json{{"keys", useless}}.dump()));
    auto mixed = useless;
    mixed.push_back(ed.jwk("good"));
    auto keys = JwtKeys::parse_jwks(options, Json{{"keys", mixed}}.dump());
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->size(), 1u);
    for (auto wrong : {"", "[]", "{}", R"({"keys": 1})", R"({"keys": []})", R"({"keys": [[[[[[[[[[]]]]]]]]]]})"})
        EXPECT_FALSE(JwtKeys::parse_jwks(options, wrong)) << wrong;
}

TEST(IssuersConfiguration, IsTakenFromTheIssuerAlone) {
    const std::string issuer = "https://id.example.org";
    EXPECT_EQ(parse_discovery(R"({"issuer": "https://id.example.org", "jwks_uri": "https://x/keys"})", issuer),
              "https://x/keys");
    for (auto wrong : {"", "{}", R"({"issuer": "https://id.example.org"})", R"({"jwks_uri": "https://x/keys"})",
                       R"({"issuer": "https://id.example.org/", "jwks_uri": "https://x/keys"})",
                       R"({"issuer": "https://id.example.org", "jwks_uri": 7})"})
        EXPECT_FALSE(parse_discovery(wrong, issuer)) << wrong;
}

TEST_F(JwtTest, TellsWhetherTheIssuerSawASecondFactor) {
    auto shown = [&](const Json& json) {
        auto keys = JwtKeys::parse(options, ed.public_pem(), "key.pem");
        auto holder = keys->holder_of(ed.token("EdDSA", json), now);
        return holder && holder->second_factor;
    };
    options.audience = "*";
    const auto amr = with("amr", {"pwd", "mfa"}), acr = with("acr", "urn:two");
    EXPECT_FALSE(shown(amr)) << "nobody configured what counts";
    options.required_amr = {"hwk", "mfa"};
    EXPECT_TRUE(shown(amr));
    EXPECT_FALSE(shown(with("amr", {"pwd"})));
    EXPECT_FALSE(shown(with("amr", {"mfax"})));
    EXPECT_FALSE(shown(claims()));
    EXPECT_FALSE(shown(acr));
    options.required_acr = {"urn:two"};
    EXPECT_TRUE(shown(acr));
    EXPECT_TRUE(shown(amr)) << "one of them is enough";
    EXPECT_FALSE(shown(with("acr", "urn:one")));
}

TEST_F(JwtTest, RefusesWhatIsMalformedOrChanged) {
    auto token = ed.token("EdDSA", claims());
    for (std::size_t i = 0; i < token.size(); ++i) {
        auto changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_NE(outcome(changed, ed), "bob@example.org") << i;
    }
    for (std::string_view wrong : {"", ".", "..", "...", "a.b.c", "e30.e30.", "!.!.!"})
        EXPECT_TRUE(outcome(std::string(wrong), ed).starts_with("token: ")) << wrong;
    EXPECT_TRUE(outcome(token + "=", ed).starts_with("token: "));
    EXPECT_EQ(outcome(std::string(17'000, 'a'), ed), "token: too long");
    std::string deep = base64url(R"({"alg":"EdDSA","x":)" + std::string(500, '[') + std::string(500, ']') + "}");
    EXPECT_EQ(outcome(deep + ".e30.AA", ed), "token: a malformed JWT header");
}

TEST_F(JwtTest, KeysThatAreTooWeakOrUnknownAreRefused) {
    EXPECT_TRUE(outcome("", Signer(EVP_RSA_gen(1024))).contains("less than 2048"));
    EXPECT_TRUE(outcome("", Signer(EVP_EC_gen("P-384"))).contains("not P-256"));
    EXPECT_FALSE(JwtKeys::parse(options, "", "x"));
    EXPECT_FALSE(JwtKeys::parse(options, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "x"));
    auto two = JwtKeys::parse(options, rsa.public_pem() + ed.public_pem(), "x");
    ASSERT_TRUE(two);
    EXPECT_TRUE(two->holder_of(ed.token("EdDSA", claims()), now));
    EXPECT_TRUE(two->holder_of(rsa.token("RS256", claims()), now));
}

}  // namespace
}  // namespace poplar::auth
