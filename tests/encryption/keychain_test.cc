#include "encryption/keychain.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace poplar::encryption {
namespace {

Keychain with_all(const MailKey& key, const Secret& device, const Secret& client_key) {
    Keychain keychain{key.public_key(), {}};
    keychain.wraps.push_back(wrap_password(key, "correct horse").value());
    keychain.wraps.push_back(wrap(key, WrapKind::device, device, 7));
    keychain.wraps.push_back(wrap(key, WrapKind::scram, client_key, kNoDevice, "tag"));
    keychain.wraps.push_back(pending_wrap(key.public_key(), WrapKind::recovery, device));
    return keychain;
}

TEST(Keychain, IsOpenedByEachCredentialAndByNoOther) {
    const MailKey key(Secret::random());
    const auto device = Secret::random(), client_key = Secret::random();
    const auto keychain = with_all(key, device, client_key);
    auto by_password = open_by_password(keychain, "correct horse");
    ASSERT_TRUE(by_password && *by_password);
    EXPECT_EQ((*by_password)->secret().view(), key.secret().view());
    EXPECT_TRUE(open(keychain, WrapKind::device, device));
    EXPECT_TRUE(open(keychain, WrapKind::scram, client_key));
    auto wrong = open_by_password(keychain, "Correct horse");
    ASSERT_TRUE(wrong);
    EXPECT_FALSE(*wrong);
    EXPECT_FALSE(open(keychain, WrapKind::device, client_key));
    EXPECT_FALSE(open(keychain, WrapKind::scram, device)) << "a wrap is for its kind alone";
}

TEST(Keychain, MakesWrapsThatWaitedOnceSomebodyHasTheSecretHalf) {
    const MailKey key(Secret::random());
    const auto device = Secret::random();
    auto keychain = with_all(key, device, Secret::random());
    EXPECT_FALSE(open(keychain, WrapKind::recovery, device)) << "still waits";
    EXPECT_TRUE(complete(keychain, key));
    EXPECT_FALSE(complete(keychain, key));
    EXPECT_TRUE(open(keychain, WrapKind::recovery, device));
}

TEST(Keychain, IsReadBackAsItWasWritten) {
    const MailKey key(Secret::random());
    const auto keychain = with_all(key, Secret::random(), Secret::random());
    auto decoded = decode_keychain(encode(keychain));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, keychain);
}

TEST(Keychain, WithAnyOctetMissingIsCorrupt) {
    const MailKey key(Secret::random());
    const auto encoded = encode(with_all(key, Secret::random(), Secret::random()));
    for (std::size_t size = 0; size < encoded.size(); ++size)
        EXPECT_FALSE(decode_keychain(std::string_view(encoded).substr(0, size))) << size;
    EXPECT_FALSE(decode_keychain(encoded + "x"));
}

TEST(Keychain, OfAnotherAccountOpensNothing) {
    const MailKey key(Secret::random()), other(Secret::random());
    const auto device = Secret::random();
    auto keychain = with_all(key, device, Secret::random());
    keychain.public_key = other.public_key();
    EXPECT_FALSE(open(keychain, WrapKind::device, device));
}

TEST(MailKey, OpensWhatItsSealerMade) {
    const MailKey key(Secret::random());
    Sealer sealer(key.public_key());
    Sealer another(key.public_key());
    for (int n = 0; n < 3; ++n)
        for (auto* one : {&sealer, &another}) {
            auto made = one->make();
            EXPECT_TRUE(is_sealed_key(made.sealed));
            auto opened = key.open(made.sealed);
            ASSERT_TRUE(opened);
            EXPECT_EQ(opened->view(), made.key.view());
        }
}

TEST(MailKey, FindsDamageAndKeysOfOthersCorrupt) {
    const MailKey key(Secret::random());
    const auto made = Sealer(key.public_key()).make();
    for (std::size_t at = 0; at < made.sealed.size(); ++at) {
        auto damaged = made.sealed;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        auto opened = key.open(damaged);
        ASSERT_FALSE(opened) << at;
        EXPECT_EQ(opened.error().code(), Errc::corrupt);
    }
    EXPECT_FALSE(MailKey(Secret::random()).open(made.sealed));
}

}  // namespace
}  // namespace poplar::encryption
