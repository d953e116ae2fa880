// CRAM-MD5, SCRAM and EXTERNAL: the client proves something and sends no secret. Each looks the account up, goes on in
// the same way whether there is one or not, and leaves the verdict to Authenticator::conclude.
#include "auth/exchanges.h"
#include "auth/mail_keys.h"
#include "auth/sasl.h"
#include "auth/scram.h"
#include "base/random.h"
#include "mail/address.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kNonceLength = 26;  // of random_text: 130 bits

class ProofExchange : public Exchange {
protected:
    using Exchange::Exchange;

    /// Errors: as Authenticator::conclude.
    Task<Result<Step>> conclude(std::optional<directory::Account> account, Result<> judgement) {
        auto done = co_await authenticator_.conclude(claim(), std::move(account), std::move(judgement));
        if (!done) co_return pass_on(done);
        co_return std::move(*done);
    }
};

/// The account's secret; if it has none, one that nobody knows, so that the work is the same.
std::string secret_of(const std::optional<directory::Account>& account) {
    return account && !account->shared_secret.empty() ? account->shared_secret : random_text(kNonceLength);
}

Result<> judge_secret(const std::optional<directory::Account>& account, bool matches) {
    if (account && account->shared_secret.empty()) return fail(Errc::denied, "the account has no shared secret");
    if (!matches) return fail(Errc::denied, "wrong digest");
    return {};
}

// RFC 2195 s2.
class CramMd5 final : public ProofExchange {
public:
    CramMd5(Authenticator& authenticator, const Channel& channel, std::string challenge)
        : ProofExchange(Mechanism::cram_md5, authenticator, channel), challenge_(std::move(challenge)) {}

    Task<Result<Step>> respond(std::string response) override {
        auto message = parse_cram(response);
        if (!message) co_return fail(Errc::invalid, "not a valid CRAM-MD5 response");
        name_ = message->name;
        auto account = co_await authenticator_.find(name_);
        if (!account) co_return pass_on(account);
        bool matches = cram_md5_matches(message->digest, challenge_, secret_of(*account));
        auto judgement = judge_secret(*account, matches);
        co_return co_await conclude(std::move(*account), std::move(judgement));
    }

private:
    Challenge opening() override { return {challenge_}; }
    bool takes_initial_response() const override { return false; }
    std::string challenge_;
};

// RFC 5802, RFC 7677. The server's last message is a challenge: POP3 has no place for it in its +OK (RFC 5034 s4), and
// the client answers it with nothing.
class Scram final : public ProofExchange {
public:
    Scram(Mechanism mechanism, Authenticator& authenticator, const Channel& channel, bool plus_offered)
        : ProofExchange(mechanism, authenticator, channel), plus_offered_(plus_offered) {}

    Task<Result<Step>> respond(std::string response) override {
        switch (state_) {
            case State::first: return first(std::move(response));
            case State::proof: return proof(std::move(response));
            case State::done: break;
        }
        return last(std::move(response));
    }

private:
    enum class State { first, proof, done };
    bool plus() const {
        return mechanism() == Mechanism::scram_sha_256_plus || mechanism() == Mechanism::scram_sha_1_plus;
    }
    ScramHash hash() const {
        bool sha1 = mechanism() == Mechanism::scram_sha_1 || mechanism() == Mechanism::scram_sha_1_plus;
        return sha1 ? ScramHash::sha1 : ScramHash::sha256;
    }

    Task<Result<Step>> first(std::string message) {
        auto first = parse_scram_client_first(message);
        if (!first) co_return fail(Errc::invalid, "not a valid SCRAM message");
        name_ = first->name;
        const auto& gs2 = first->gs2;
        std::string binding;
        // RFC 5802 s6
        if (plus() != (gs2.flag == 'p')) co_return fail(Errc::invalid, "channel binding and mechanism don't fit");
        if (gs2.flag == 'y' && plus_offered_)
            co_return fail(Errc::invalid, "channel binding was offered: somebody may have taken it off the list");
        if (gs2.flag == 'p') {
            binding = channel_.binding(gs2.binding);
            if (binding.empty()) co_return fail(Errc::invalid, "no channel binding of this type");
        }
        auto account = co_await authenticator_.find(name_);
        if (!account) co_return pass_on(account);
        auto keys = co_await authenticator_.scram_keys(name_, *account, hash());
        if (!keys) co_return pass_on(keys);
        account_ = std::move(*account);
        other_identity_ = !gs2.authorization_id.empty() && gs2.authorization_id != name_;
        server_.emplace(std::move(*first), *keys, random_text(kNonceLength), std::move(binding));
        keys_ = std::move(*keys);
        state_ = State::proof;
        co_return Challenge{server_->first_message()};
    }

    Task<Result<Step>> proof(std::string message) {
        auto proof = server_->read_proof(message);
        if (!proof && proof.error().code() == Errc::invalid) co_return fail(Errc::invalid, "not a valid SCRAM message");
        auto claim = this->claim();  // the time of a failure's answer counts from before the devices are looked at
        if (!proof) co_return co_await refuse(std::move(claim), std::move(proof.error()));
        if (other_identity_)
            co_return co_await refuse(std::move(claim), {Errc::denied, "the authorization identity is another one"});
        if (auto answer = proof->answer(keys_)) {
            auto done = co_await authenticator_.conclude(std::move(claim), std::move(account_), Result<>());
            if (opens_mail(done))
                done->key = co_await authenticator_.mail_keys().after_scram(done->account, encryption::kNoDevice,
                                                                            std::move(keys_), proof->take_client_key());
            co_return welcome(std::move(done), std::move(*answer));
        }
        auto found = co_await authenticator_.find_device(account_, std::move(*proof));
        if (!found) co_return pass_on(found);
        if (!*found) co_return co_await refuse(std::move(claim), {Errc::denied, "wrong password"});
        const auto device = (*found)->device->id;
        auto done =
            co_await authenticator_.conclude(std::move(claim), std::move(*account_), std::move((*found)->device));
        if (opens_mail(done))
            done->key = co_await authenticator_.mail_keys().after_scram(
                done->account, device, std::move((*found)->keys), std::move((*found)->client_key));
        co_return welcome(std::move(done), std::move((*found)->answer));
    }

    /// Whether somebody is in whose mail is encrypted.
    static bool opens_mail(const Result<Verified>& login) {
        return login && !login->missing && login->account.settings.encryption == directory::Encryption::on;
    }

    Task<Result<Step>> refuse(Claim claim, Error why) {
        Result<> judgement = std::unexpected(std::move(why));
        auto refused = co_await authenticator_.conclude(std::move(claim), std::move(account_), std::move(judgement));
        co_return pass_on(refused);
    }

    Result<Step> welcome(Result<Verified> verified, std::string answer) {
        if (!verified) return pass_on(verified);
        verified_ = std::move(*verified);
        state_ = State::done;
        return Challenge{std::move(answer)};
    }

    Task<Result<Step>> last(std::string message) {
        if (!message.empty() || !verified_) co_return fail(Errc::invalid, "expected an empty response");
        co_return std::move(*verified_);
    }

    const bool plus_offered_;
    State state_ = State::first;
    bool other_identity_ = false;
    std::optional<directory::Account> account_;
    std::optional<Verified> verified_;
    std::optional<ScramServer> server_;
    ScramKeys keys_;  ///< that the challenge was made of
};

// RFC 4422 app. A. The certificate's mail addresses (rfc822Name) name accounts; the client may say which, and if it
// does not, it is the first that has one.
class External final : public ProofExchange {
public:
    External(Authenticator& authenticator, const Channel& channel)
        : ProofExchange(Mechanism::external, authenticator, channel) {}

    Task<Result<Step>> respond(std::string response) override {
        if (!mail::is_utf8(response) || response.find('\0') != std::string::npos)
            co_return fail(Errc::invalid, "not a valid EXTERNAL response");
        name_ = response;
        std::optional<directory::Account> wanted;
        if (!response.empty()) {
            auto found = co_await authenticator_.find(response);
            if (!found) co_return pass_on(found);
            wanted = std::move(*found);
        }
        std::optional<directory::Account> account;
        for (const auto& address : channel_.certificate_addresses()) {
            auto found = co_await authenticator_.find(address, Authenticator::NamedBy::proof);
            if (!found) co_return pass_on(found);
            if (!*found || (!response.empty() && (!wanted || wanted->id != (*found)->id))) continue;
            account = std::move(*found);
            if (name_.empty()) name_ = address;
            break;
        }
        if (name_.empty()) name_ = channel_.certificate_addresses().front();
        Result<> judgement;
        if (!account) judgement = fail(Errc::denied, "the certificate is not this account's");
        if (!account) account = std::move(wanted);
        co_return co_await conclude(std::move(account), std::move(judgement));
    }
};

}  // namespace

Task<Result<Verified>> check_apop(Authenticator& authenticator, const Channel& channel, std::string name,
                                  std::string timestamp, std::string digest) {
    Claim claim{name, std::string(channel.peer()), channel.peer_is_loopback(), Proof::shared_secret, channel.service()};
    auto account = co_await authenticator.find(std::move(name));
    if (!account) co_return pass_on(account);
    auto judgement = judge_secret(*account, apop_matches(digest, timestamp, secret_of(*account)));
    co_return co_await authenticator.conclude(std::move(claim), std::move(*account), std::move(judgement));
}

ExchangePtr make_cram_md5(Authenticator& authenticator, const Channel& channel, std::string challenge) {
    return std::make_unique<CramMd5>(authenticator, channel, std::move(challenge));
}

ExchangePtr make_scram(Mechanism mechanism, Authenticator& authenticator, const Channel& channel, bool plus_offered) {
    return std::make_unique<Scram>(mechanism, authenticator, channel, plus_offered);
}

ExchangePtr make_external(Authenticator& authenticator, const Channel& channel) {
    return std::make_unique<External>(authenticator, channel);
}

}  // namespace poplar::auth
