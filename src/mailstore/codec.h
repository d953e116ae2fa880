#pragma once
// How bodies are stored: as they are, or encoded. A message's key, in its record, tells its decoder how to read it; a
// message without a key is stored as it is.
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::mailstore {

/// Encodes one message's content, which all its recipients share.
class Encoding {
public:
    virtual ~Encoding() = default;
    /// Appends what becomes of `plain` to `out`, now or with a later part.
    virtual void encode(std::string_view plain, std::string& out) = 0;
    virtual void finish(std::string& out) = 0;
    /// The key for the records of all messages with this content. Not empty.
    virtual std::string key() const = 0;
};

/// Decodes a body from its beginning: a head, and the content behind it.
class Decoding {
public:
    virtual ~Decoding() = default;
    /// Appends what `stored` decodes to. Errors: corrupt.
    virtual Result<> decode(std::string_view stored, std::string& out) = 0;
    /// To be called at the body's end; appends the rest. Errors: corrupt (there should be more).
    virtual Result<> finish(std::string& out) = 0;
};

/// All functions may be called from any thread.
class Codec {
public:
    virtual ~Codec() = default;
    virtual std::unique_ptr<Encoding> begin() const = 0;
    /// A recipient's own head of a message, to stand before the content that has this key.
    virtual std::string encode_head(std::string_view head, std::string_view key) const = 0;
    /// Errors: denied (the key can't be used).
    virtual Result<std::unique_ptr<Decoding>> open(std::string_view key) const = 0;
};

}  // namespace poplar::mailstore
