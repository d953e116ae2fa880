#pragma once
// A message's content on its way in and out, through the codec if there is one.
#include <memory>
#include <span>
#include <string>

#include "base/asio.h"
#include "base/error.h"
#include "encryption/keychain.h"
#include "engine/engine.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

class Codec;

/// A message's content on its way in: wire form, shared by all its recipients.
struct Content {
    std::shared_ptr<const engine::StagedBody> staged;  ///< wire form, encoded if it has a key
    std::uint64_t octets = 0;                          ///< its size unstuffed
    std::shared_ptr<const std::string> key = nullptr;  ///< as Message::key
    std::uint64_t encoded_wire_octets = 0;             ///< its size in wire form, if it has a key
    std::uint64_t wire_octets() const { return key ? encoded_wire_octets : staged ? staged->size() : 0; }
};

/// Takes a message's content in wire form, as BodyWriter does.
class ContentWriter {
public:
    virtual ~ContentWriter() = default;  ///< dropping it before finish() drops the content
    virtual std::span<char> room() = 0;
    virtual Task<Result<>> write(std::string_view wire) = 0;
    /// `octets`: unstuffed, of what was written. `recipients`: how many accounts are going to get it.
    virtual Task<Result<Content>> finish(std::uint64_t octets, std::size_t recipients) = 0;
};

std::unique_ptr<ContentWriter> write_content(engine::Engine& engine, const Codec* codec, std::uint64_t size_hint);

/// By which bodies are read that are not stored as they are. What it points to must outlive every reader.
struct Decoders {
    const Codec* codec = nullptr;          ///< null: nothing was encoded by one
    encryption::MailKeyPtr mail_key = {};  ///< of the account; null: nobody who has it asks
};

/// A reader of what `stored` decodes to with the message's key: `octets` of them. Errors: denied (there is nothing to
/// decode it by), corrupt (the message's key can't be opened).
Result<std::unique_ptr<engine::BodyReader>> decoded(std::unique_ptr<engine::BodyReader> stored, Decoders decoders,
                                                    std::shared_ptr<const std::string> key, std::uint64_t octets);

}  // namespace poplar::mailstore
