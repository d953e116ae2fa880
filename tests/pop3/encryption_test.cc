// Logins to an account whose mail is encrypted, and what they read.
#include "auth/mail_keys.h"
#include "auth/scram.h"
#include "tests/pop3/world.h"

namespace poplar::test {
namespace {

using encryption::MailKeyPtr;

const std::string kText = "Subject: a secret\r\n\r\nbody\r\n";
constexpr std::string_view kPassword = " pass word ";

class EncryptedMaildrop : public Pop3World {
protected:
    EncryptedMaildrop() {
        authenticator_.mail_keys().on_begun([this](directory::AccountId account, const encryption::PublicKey& key) {
            begun_.emplace_back(account, key);
        });
    }
    directory::Account fred() { return run(directory_.account(fred_)).value(); }
    MailKeyPtr begin() {
        auto key = run(authenticator_.mail_keys().begin(fred(), std::string(kPassword)));
        EXPECT_TRUE(key);
        EXPECT_TRUE(run(store_.begin_encryption(fred_, (*key)->public_key())));
        return *key;
    }
    std::string with(std::string_view password, std::string_view commands = "RETR 1\r\nQUIT\r\n") {
        return say("USER fred@example.test\r\nPASS " + std::string(password) + "\r\n" + std::string(commands));
    }
    auth::DevicePassword add_device(std::uint32_t id, std::string name) {
        auto password = auth::make_device_password(id);
        directory::Device device{
            .id = id, .name = std::move(name), .secret = auth::hash_device_secret(password.secret)};
        EXPECT_TRUE(run(directory_.add_device(fred_, device)));
        EXPECT_TRUE(run(authenticator_.mail_keys().expect_device(fred(), device, password)));
        return password;
    }
    encryption::Keychain keychain() { return **run(directory_.keychain(fred_)); }

    std::vector<std::pair<directory::AccountId, encryption::PublicKey>> begun_;
};

TEST_F(EncryptedMaildrop, IsReadByThePasswordHashedAndRemembered) {
    begin();
    append(kText);
    for (int n = 0; n < 3; ++n) {
        if (n == 1) authenticator_.forget(fred_);
        const auto said = with(kPassword);
        EXPECT_TRUE(said.contains(kText)) << said;
    }
    EXPECT_TRUE(with(kPassword, "TOP 1 0\r\nQUIT\r\n").contains("Subject: a secret\r\n"));
    EXPECT_FALSE(with("another").contains("encrypted")) << "a stranger is told nothing";
}

TEST_F(EncryptedMaildrop, BeginsWithTheNextLoginByThePasswordWhereThatIsWanted) {
    append(kText);
    ASSERT_TRUE(run(directory_.want_encryption(fred_, directory::Directory::Wanted::yes)));
    EXPECT_TRUE(with(kPassword).contains(kText));
    ASSERT_EQ(begun_.size(), 1u);
    EXPECT_EQ(begun_.front().first, fred_);
    EXPECT_EQ(fred().settings.encryption, directory::Encryption::on);
    ASSERT_TRUE(run(store_.begin_encryption(fred_, begun_.front().second)));
    append("Subject: sealed\r\n\r\n");
    EXPECT_TRUE(with(kPassword, "RETR 2\r\nQUIT\r\n").contains("Subject: sealed"));
    EXPECT_EQ(begun_.size(), 1u) << "it began once";
}

TEST_F(EncryptedMaildrop, ADeviceReadsItAfterTheNextLoginByThePassword) {
    const auto before = add_device(5, "phone");
    begin();
    append(kText);
    const auto after = add_device(6, "tablet");
    for (const auto& device : {before, after}) {
        const auto refused = with(auth::grouped(device));
        EXPECT_TRUE(refused.contains("-ERR [AUTH] the mail is encrypted")) << refused;
        EXPECT_FALSE(refused.contains("a secret"));
    }
    EXPECT_TRUE(with(kPassword).contains(kText));
    for (const auto& device : {before, after}) {
        const auto said = with(auth::grouped(device));
        EXPECT_TRUE(said.contains(kText)) << said;
    }
    ASSERT_TRUE(run(directory_.remove_device(fred_, 6)));
    ASSERT_TRUE(run(authenticator_.mail_keys().drop_device(fred_, 6)));
    EXPECT_TRUE(with(auth::grouped(after)).contains("-ERR [AUTH] wrong name or password"));
    EXPECT_TRUE(with(auth::grouped(before)).contains(kText));
    EXPECT_EQ(keychain().wraps.size(), 2u);
}

TEST_F(EncryptedMaildrop, OpensByTheClientKeyOfScramOnceThePasswordWasTyped) {
    const std::string password(kPassword);
    const auto keys = auth::derive_scram_keys(auth::ScramHash::sha256, password, 4096);
    begin();
    ASSERT_TRUE(run(directory_.set_password("fred@example.test",
                                            directory::Password("{PLAIN}" + password, auth::to_string(keys)))));
    auto by_scram = [&] {
        return run(authenticator_.mail_keys().after_scram(
            fred(), encryption::kNoDevice, keys,
            auth::scram_client_key(keys.hash, password, keys.salt, keys.iterations)));
    };
    EXPECT_FALSE(by_scram());
    with(kPassword);
    EXPECT_TRUE(by_scram());
}

TEST_F(EncryptedMaildrop, KeepsItsMailThroughANewPassword) {
    const auto key = begin();
    append(kText);
    auto& keys = authenticator_.mail_keys();
    auto code = run(keys.new_recovery_code(fred(), key));
    ASSERT_TRUE(code);
    EXPECT_FALSE(run(keys.open(fred(), "wrong")));
    auto opened = run(keys.open(fred(), std::string(kPassword)));
    ASSERT_TRUE(opened);
    auto wraps = run(keys.wraps_of(*opened, "next", ""));
    ASSERT_TRUE(wraps);
    ASSERT_TRUE(run(keys.add(fred_, *wraps)));
    ASSERT_TRUE(run(directory_.set_password("fred@example.test", "{PLAIN}next")));
    authenticator_.forget(fred_);
    EXPECT_TRUE(with("next").contains(kText)) << "a crash here loses nothing";
    ASSERT_TRUE(run(keys.keep_only(fred_, *wraps)));
    EXPECT_TRUE(with("next").contains(kText));
    EXPECT_FALSE(run(keys.open(fred(), std::string(kPassword)))) << "the old one opens nothing";
    auto by_code = run(keys.open_by_recovery_code(fred(), " " + *code));
    ASSERT_TRUE(by_code);
    EXPECT_EQ((*by_code)->public_key(), key->public_key());
    EXPECT_FALSE(run(keys.open_by_recovery_code(fred(), code->substr(1))));
}

TEST_F(EncryptedMaildrop, TellsWhoHasAPasswordThatOpensNothingThatTheMailIsEncrypted) {
    begin();
    append(kText);
    ASSERT_TRUE(run(directory_.set_password("fred@example.test", "{PLAIN}reset")));
    authenticator_.forget(fred_);
    const auto said = with("reset");
    EXPECT_TRUE(said.contains("-ERR [AUTH] the mail is encrypted")) << said;
    EXPECT_FALSE(said.contains("a secret"));
}

TEST_F(EncryptedMaildrop, DamagedMailIsNeverShown) {
    const auto key = begin();
    append(kText);
    auto message = run(store_.list(fred_, mailstore::OrderKey(0), 1)).value().front();
    auto damaged = *message.key;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    message.key = std::make_shared<const std::string>(damaged);
    auto reader = run(store_.open(fred_, message, key));
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().code(), Errc::corrupt) << "which POP3 says as [SYS/PERM]";
}

}  // namespace
}  // namespace poplar::test
