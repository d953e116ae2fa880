#pragma once
// A program of somebody else's that looks at each message before it is stored.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "engine/engine.h"

namespace poplar::delivery {

struct Envelope;

/// The program's verdict on a message, and the changes that it wants.
struct Judgement {
    enum class Action : std::uint8_t { accept, reject, defer };
    Action action = Action::accept;
    std::string text = {};                         ///< for the sender, of reject and defer: ASCII, one line
    std::string added = {};                        ///< header fields for its top, complete, with CRLF
    std::vector<std::string> removed = {};         ///< names of fields that are taken out, in lower case
    std::optional<std::string> subject = {};       ///< in place of its own, UTF-8
    std::optional<std::string> header = {};        ///< in place of its own: plain, CRLF line ends, with the blank line
    std::shared_ptr<const std::string> body = {};  ///< in place of its own, plain
    std::optional<unsigned> spam_percent = {};     ///< 0 to 100, for spamtest (RFC 5235); nothing: nobody looked
    bool junk = false;  ///< it goes into the mailbox for junk, where the account's filter does not decide
};

/// May be used from any thread.
class Inspector {
public:
    virtual ~Inspector() = default;
    /// `wire`: the message without our own trace fields, in wire form; `octets` of it when it is unstuffed. Never
    /// fails: an inspector that can't tell says what its configuration wants then.
    virtual Task<Judgement> judge(std::shared_ptr<const Envelope> envelope, std::unique_ptr<engine::BodyReader> wire,
                                  std::uint64_t octets) = 0;
};

}  // namespace poplar::delivery
