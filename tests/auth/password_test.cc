// Every scheme: right and wrong passwords, malformed hashes, and costs over the limit.
#include "auth/password.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar::auth {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPassword = "correct horse";

struct Known {
    std::string_view stored, scheme;
};

// Made with openssl passwd, Python's crypt and hashlib, and (Argon2) the test vectors of the reference code.
constexpr Known kKnown[] = {
    {"{MD5-CRYPT}$1$saltsalt$NuzA7WTAelpl95xgBGWN60", "MD5-CRYPT"},
    {"{MD5}$1$saltsalt$NuzA7WTAelpl95xgBGWN60", "MD5-CRYPT"},
    {"{md5-crypt}$1$a$6B22QzZd2o90NQAIVNfPu/", "MD5-CRYPT"},
    {"{SHA256-CRYPT}$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/", "SHA256-CRYPT"},
    {"{SHA256-CRYPT}$5$rounds=1000$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8", "SHA256-CRYPT"},
    {"{SHA512-CRYPT}$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/"
     "uamSo5z0",
     "SHA512-CRYPT"},
    {"{SHA512-CRYPT}$6$rounds=1000$saltsalt$4GMtaIz3E1AdDi2SmCokEW0ehi.HdxNDcL3fGE1XXuzvo6kbx7UOloZKONqEk5H3JrQA4NOfU8"
     "BmqFPrpGqwA1",
     "SHA512-CRYPT"},
    {"{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", "BLF-CRYPT"},
    {"{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", "BLF-CRYPT"},
    {"{BLF-CRYPT}$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", "BLF-CRYPT"},
    {"{CRYPT}$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", "CRYPT"},
    {"{CRYPT}$y$j75$abcdefgh$Jakf0CHhzdQOivqISxvBXCIRIaxY0Fs1wJGsJSurry/", "CRYPT"},
    {"$y$j9T$abcdefghijklmnop$0Hi8KsZH/hAMRN9Bam6ce3nmi5QAIz3R/KeaXG/c7p9", "CRYPT"},
    {"$gy$j75$abcdefgh$E.8/7w02Y2Ed.Uc2CpVIdgpGTbWIWVYm/SoufLuoKA2", "CRYPT"},
    {"$7$A6....0....abcdefgh$DzgzKVgrQOQT37lj/bSTOMx2X8Q4HZxGk6UDqbyLG/2", "CRYPT"},
    {"$sha1$1000$abcdefgh$LpGT5uib.TPY6JU14eMS/Z58xRQB", "CRYPT"},
    {"$md5$abcdefgh$$A8TL8sY7.pGvXG33VEUpT0", "CRYPT"},
    {"$md5,rounds=100$abcdefgh$$pKi9KLr.1Vdfm0BG3Na9T.", "CRYPT"},
    {"$3$$cfc43211ba8dc470832267827cac1407", "CRYPT"},
    {"_J9..abcdtIvPUrZYa6w", "CRYPT"},
    {"abhfCpXqd4GrI", "CRYPT"},
    {"{DES-CRYPT}abhfCpXqd4GrI", "DES-CRYPT"},
    {"{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA"},
    {"{SHA1}2f9e53523b62abc141a2b4d6019d23cba835dbd0", "SHA1"},
    {"{SHA.hex}2f9e53523b62abc141a2b4d6019d23cba835dbd0", "SHA"},
    {"{SHA.HEX}2F9E53523B62ABC141A2B4D6019D23CBA835DBD0", "SHA"},
    {"{SSHA}BmrygidBGtynRkq4iMT3VTz5FbZOYUNsAP8=", "SSHA"},
    {"{SSHA.b64}BmrygidBGtynRkq4iMT3VTz5FbZOYUNsAP8=", "SSHA"},
    {"{SSHA.hex}066af28227411adca7464ab888c4f7553cf915b64e61436c00ff", "SSHA"},
    {"{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=", "SHA256"},
    {"{SHA256}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631", "SHA256"},
    {"{ssha256}kdH1E2HeeBOyn0yoUvZHT836jPU+gOZSF7m4m9v5SvJOYUNsAP8=", "SSHA256"},
    {"{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==", "SHA512"},
    {"{SHA512.HEX}56b698defedb5a435b634afe3320bbaf3fdcd920b6c503a446fc7b7a776b298d479d1ba6a8b617808eb0bf579ce9a95d66834"
     "7bcab7149085ac93cb27995197b",
     "SHA512"},
    {"{SSHA512}CiGrMCeIvB2tMC24OEitNXtoSglbxn7q+AUHCgs1qOBaf5K1/ivWj/7xKDPudCDSWlRy+++MKOxqGViyLQFrT05hQ2wA/w==",
     "SSHA512"},
    {"{PLAIN-MD5}3cb4e732631f47e6eb961f34554b7cde", "PLAIN-MD5"},
    {"{LDAP-MD5}PLTnMmMfR+brlh80VUt83g==", "LDAP-MD5"},
    {"{SMD5}8zRzoGN8a0w6klOtIK7NOE5hQ2wA/w==", "SMD5"},
    {"{PLAIN}correct horse", "PLAIN"},
    {"{CLEARTEXT}correct horse", "CLEARTEXT"},
    {"{PLAIN.b64}Y29ycmVjdCBob3JzZQ==", "PLAIN"},
};

TEST(Password, VerifiesTheKnownHashesOfEveryScheme) {
    for (auto [stored, scheme] : kKnown) {
        EXPECT_TRUE(is_valid_hash(stored)) << stored;
        EXPECT_EQ(scheme_of(stored), scheme) << stored;
        EXPECT_TRUE(matches(stored, kPassword)) << stored;
        EXPECT_FALSE(matches(stored, "corrent horse")) << stored;  // within DES's eight octets too
        EXPECT_FALSE(matches(stored, "")) << stored;
        EXPECT_TRUE(is_outdated(stored)) << stored;
    }
}

TEST(Password, RefusesAKnownHashThatWasCutOrChanged) {
    for (auto [stored, scheme] : kKnown) {
        if (scheme == "PLAIN" || scheme == "CLEARTEXT") continue;
        std::string cut(stored.substr(0, stored.size() - 1));
        // Without its last octet only a salt remains well formed.
        if (scheme.starts_with("SSHA") || scheme == "SMD5") cut = stored.substr(0, stored.find('}') + 9);
        EXPECT_FALSE(is_valid_hash(cut)) << cut;
        EXPECT_FALSE(matches(cut, kPassword)) << cut;
        std::string changed(stored);
        char& first =
            changed[scheme == "CRYPT" || scheme.ends_with("CRYPT") ? changed.size() - 3 : changed.find('}') + 1];
        first = first == '0' ? '1' : '0';
        EXPECT_FALSE(matches(changed, kPassword)) << changed;
    }
}

TEST(Password, VerifiesArgon2) {
    struct Case {
        std::string_view stored, password;
    };
    for (auto [stored, password] :
         {Case{"{ARGON2I}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
               "password"},
          {"{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
           "password"}}) {
        EXPECT_TRUE(is_valid_hash(stored)) << stored;
        EXPECT_TRUE(matches(stored, password)) << stored;
        EXPECT_FALSE(matches(stored, "Password")) << stored;
    }
}

TEST(Password, MakesArgon2idThatItVerifiesAndDoesNotCallOutdated) {
    std::string stored = hash_argon2id("p\xc3\xa4ss");
    EXPECT_TRUE(stored.starts_with("{ARGON2ID}$argon2id$v=19$"));
    EXPECT_TRUE(is_valid_hash(stored));
    EXPECT_TRUE(matches(stored, "p\xc3\xa4ss"));
    EXPECT_FALSE(matches(stored, "pass"));
    EXPECT_FALSE(is_outdated(stored));
    EXPECT_NE(stored, hash_argon2id("p\xc3\xa4ss")) << "the salt is fresh";
}

TEST(Password, CallsAWeakerArgon2OutdatedAndADearerOneNot) {
    constexpr std::string_view kTail = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    struct Case {
        std::string_view head;
        bool outdated;
    };
    for (auto [head, outdated] : {Case{"{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1", false},
                                  {"{ARGON2ID}$argon2id$v=19$m=131072,t=3,p=1", false},
                                  {"{ARGON2ID}$argon2id$v=19$m=65535,t=2,p=1", true},
                                  {"{ARGON2ID}$argon2id$v=19$m=131072,t=1,p=1", true},
                                  {"{ARGON2I}$argon2i$v=19$m=65536,t=4,p=1", true}})
        EXPECT_EQ(is_outdated(std::string(head) + std::string(kTail)), outdated) << head;
}

TEST(Password, RefusesCostsThatWouldEatTheMachine) {
    constexpr std::string_view kArgon2Tail = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    for (std::string_view head : {"m=4294967295,t=1,p=1"sv, "m=1048577,t=1,p=1"sv, "m=1048576,t=5,p=1"sv,
                                  "m=65536,t=65,p=1"sv, "m=8,t=4294967295,p=1"sv, "m=65536,t=2,p=17"sv,
                                  "m=99999999999999999999,t=1,p=1"sv, "m=65536,t=99999999999999999999,p=1"sv}) {
        auto stored = "{ARGON2ID}$argon2id$v=19$" + std::string(head) + std::string(kArgon2Tail);
        EXPECT_FALSE(is_valid_hash(stored)) << head;
        EXPECT_FALSE(matches(stored, "password")) << head;
    }
    EXPECT_TRUE(is_valid_hash("{ARGON2ID}$argon2id$v=19$m=1048576,t=4,p=1" + std::string(kArgon2Tail)));
    for (std::string_view stored : {
             "{BLF-CRYPT}$2y$17$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"sv,
             "{BLF-CRYPT}$2y$31$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"sv,
             "{SHA256-CRYPT}$5$rounds=2000001$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8"sv,
             "{CRYPT}$5$rounds=999999999$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8"sv,
             "$sha1$4000000000$abcdefgh$LpGT5uib.TPY6JU14eMS/Z58xRQB"sv,
             "$md5,rounds=4000000000$abcdefgh$$pKi9KLr.1Vdfm0BG3Na9T."sv,
             "$y$jGT$abcdefgh$Jakf0CHhzdQOivqISxvBXCIRIaxY0Fs1wJGsJSurry/"sv,
             "$y$jzT$abcdefgh$Jakf0CHhzdQOivqISxvBXCIRIaxY0Fs1wJGsJSurry/"sv,
             "$y$j75zzz$abcdefgh$Jakf0CHhzdQOivqISxvBXCIRIaxY0Fs1wJGsJSurry/"sv,
             "$gy$jzT$abcdefgh$E.8/7w02Y2Ed.Uc2CpVIdgpGTbWIWVYm/SoufLuoKA2"sv,
             "$7$z6....0....abcdefgh$DzgzKVgrQOQT37lj/bSTOMx2X8Q4HZxGk6UDqbyLG/2"sv,
             "$7$Azzzzz0....abcdefgh$DzgzKVgrQOQT37lj/bSTOMx2X8Q4HZxGk6UDqbyLG/2"sv,
             "$7$A6....zzzzzabcdefgh$DzgzKVgrQOQT37lj/bSTOMx2X8Q4HZxGk6UDqbyLG/2"sv,
         }) {
        EXPECT_FALSE(is_valid_hash(stored)) << stored;
        EXPECT_FALSE(matches(stored, kPassword)) << stored;
    }
    EXPECT_TRUE(is_valid_hash("$y$jFT$abcdefgh$Jakf0CHhzdQOivqISxvBXCIRIaxY0Fs1wJGsJSurry/"));  // 1 GiB
}

TEST(Password, RefusesWhatIsMalformed) {
    for (std::string_view stored :
         {""sv,
          "{"sv,
          "{}"sv,
          "{}abc"sv,
          "{PLAIN}"sv,
          "{CLEARTEXT}"sv,
          "{NO-SUCH}abc"sv,
          "{CRYPT}"sv,
          "*"sv,
          "!"sv,
          "x"sv,
          "{CRYPT}*"sv,
          "{CRYPT}!$6$saltsalt$hRM5XZ86KXEw9"sv,
          "{SHA.}L55TUjtiq8FBorTWAZ0jy6g129A="sv,
          "{SHA.b32}L55TUjtiq8FBorTWAZ0jy6g129A="sv,
          "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A"sv,
          "{SHA}zzzz"sv,
          "{SHA.b64}2f9e53523b62abc141a2b4d6019d23cba835dbd0"sv,
          "{SSHA}"sv,
          "{SSHA}AAAA"sv,
          "{PLAIN-MD5}zz"sv,
          "{ARGON2ID}"sv,
          "{ARGON2ID}$argon2id$"sv,
          "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"sv,
          "{ARGON2ID}$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"sv,
          "{ARGON2ID}$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"sv,
          "{ARGON2ID}$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"sv,
          "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"sv,
          "{ARGON2ID}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"sv,
          "{ARGON2ID.b64}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"sv,
          "{BLF-CRYPT}$1$saltsalt$NuzA7WTAelpl95xgBGWN60"sv,
          "{SHA512-CRYPT}$5$saltsalt$myjXcpMpE2Ofk7fj9hq"sv,
          "$9$saltsalt$NuzA7WTAelpl95xgBGWN60"sv,
          "$1$salt:salt$NuzA7WTAelpl95xgBGWN60"sv,
          "$"sv,
          "$$$"sv,
          "$2"sv,
          "$7$"sv,
          "$1$saltsalt$NuzA7WTAelpl95xgBGWN6\0"sv}) {
        EXPECT_FALSE(is_valid_hash(stored)) << stored;
        EXPECT_FALSE(matches(stored, kPassword)) << stored;
        EXPECT_FALSE(matches(stored, "")) << stored;
        EXPECT_TRUE(is_outdated(stored)) << stored;
    }
    EXPECT_EQ(scheme_of("{NO-SUCH}abc"), "");
    EXPECT_EQ(scheme_of(""), "CRYPT");
}

TEST(Password, IsNotCutAtANulByCrypt) {
    EXPECT_FALSE(matches("$1$saltsalt$NuzA7WTAelpl95xgBGWN60", "correct horse\0"sv));
    EXPECT_FALSE(matches("$1$saltsalt$NuzA7WTAelpl95xgBGWN60", "correct horse\0tail"sv));
    EXPECT_TRUE(matches("{PLAIN}a\0b"sv, "a\0b"sv));
    EXPECT_FALSE(matches("{PLAIN}a\0b"sv, "a"sv));
}

TEST(Password, MayBeVeryLong) {
    std::string password(100'000, 'p');
    EXPECT_FALSE(matches("$1$saltsalt$NuzA7WTAelpl95xgBGWN60", password));
    EXPECT_TRUE(matches("{PLAIN}" + password, password));
    EXPECT_TRUE(matches(hash_argon2id(password), password));
}

}  // namespace
}  // namespace poplar::auth
