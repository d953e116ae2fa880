#pragma once
// Messages of encrypted accounts on their way to the engine: head and content are encrypted together, under a key of
// the message's own, which is sealed with the account's public key. Nothing secret of the account is needed.
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "encryption/mail_key.h"
#include "mailstore/content.h"

namespace poplar::mailstore {

inline bool is_sealed(const Message& message) { return message.key && encryption::is_sealed_key(*message.key); }

/// The sealers of accounts that get mail. May be used from any thread.
class Sealers {
public:
    std::shared_ptr<encryption::Sealer> of(AccountId account, const encryption::PublicKey& key);

private:
    static constexpr std::size_t kMost = 10'000;  // then all are forgotten, and made anew
    std::mutex mutex_;
    std::unordered_map<AccountId, std::shared_ptr<encryption::Sealer>> sealers_;
};

/// The message as it is stored: one content with the head in it. `codec`: by which `content` is encoded, if it is.
Task<Result<Content>> seal(engine::Engine& engine, const Codec* codec, std::shared_ptr<encryption::Sealer> sealer,
                           std::string head, Content content);
/// The same for a message that is stored in clear: `wire_octets` of them.
Task<Result<Content>> seal(engine::Engine& engine, std::shared_ptr<encryption::Sealer> sealer,
                           std::unique_ptr<engine::BodyReader> plain, std::uint64_t wire_octets);

}  // namespace poplar::mailstore
