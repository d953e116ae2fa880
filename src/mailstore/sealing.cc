#include "mailstore/sealing.h"

#include "base/turn.h"
#include "encryption/stream.h"

namespace poplar::mailstore {

namespace {

/// Encrypts a head and all that a reader gives, null for nothing, into a body of the engine.
Task<Result<Content>> encrypt(engine::Engine& engine, std::shared_ptr<encryption::Sealer> sealer, std::string head,
                              std::unique_ptr<engine::BodyReader> plain, std::uint64_t wire_octets) {
    auto key = sealer->make();
    auto body = engine.write_body(encryption::encrypted_octets(wire_octets));
    encryption::StreamSealer stream(key.key);
    std::string encrypted;
    std::uint64_t seen = head.size();
    stream.push(head, encrypted);
    while (plain) {
        auto chunk = co_await plain->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        seen += chunk->size();
        stream.push(*chunk, encrypted);
        if (!encrypted.empty())
            if (auto written = co_await body->write(encrypted); !written) co_return pass_on(written);
        encrypted.clear();
        if (turn::over()) co_await turn::let_others();
    }
    if (seen != wire_octets) co_return fail(Errc::corrupt, "a body has not its size");
    stream.finish(encrypted);
    if (auto written = co_await body->write(encrypted); !written) co_return pass_on(written);
    auto staged = co_await body->finish();
    if (!staged) co_return pass_on(staged);
    co_return Content{.staged = std::move(*staged),
                      .key = std::make_shared<const std::string>(std::move(key.sealed)),
                      .encoded_wire_octets = wire_octets};
}

}  // namespace

std::shared_ptr<encryption::Sealer> Sealers::of(AccountId account, const encryption::PublicKey& key) {
    std::lock_guard hold(mutex_);
    if (auto found = sealers_.find(account); found != sealers_.end()) {
        if (found->second->account() == key) return found->second;
        sealers_.erase(found);
    }
    if (sealers_.size() >= kMost) sealers_.clear();
    return sealers_.emplace(account, std::make_shared<encryption::Sealer>(key)).first->second;
}

Task<Result<Content>> seal(engine::Engine& engine, const Codec* codec, std::shared_ptr<encryption::Sealer> sealer,
                           std::string head, Content content) {
    std::unique_ptr<engine::BodyReader> plain;
    if (content.staged) plain = content.staged->read();
    if (content.staged && content.key) {
        auto reader = decoded(std::move(plain), {.codec = codec}, content.key, content.wire_octets());
        if (!reader) co_return pass_on(reader);
        plain = std::move(*reader);
    }
    const auto wire_octets = head.size() + content.wire_octets();
    auto sealed = co_await encrypt(engine, std::move(sealer), std::move(head), std::move(plain), wire_octets);
    co_return sealed;
}

Task<Result<Content>> seal(engine::Engine& engine, std::shared_ptr<encryption::Sealer> sealer,
                           std::unique_ptr<engine::BodyReader> plain, std::uint64_t wire_octets) {
    return encrypt(engine, std::move(sealer), {}, std::move(plain), wire_octets);
}

}  // namespace poplar::mailstore
