#pragma once
// The actions that a run asks for. The caller does all of them, or none.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sieve/syntax.h"

namespace poplar::sieve {

/// The message at one moment of the run. Null members: as it came.
struct MessageState {
    std::shared_ptr<const std::string> header = nullptr;  ///< with the empty line
    std::shared_ptr<const std::string> body = nullptr;
    bool changed() const { return header != nullptr || body != nullptr; }
    /// `original` is the message as it came.
    std::string text(std::string_view original) const;
};

/// Where a message is to be filed.
struct Filing {
    std::string mailbox;      ///< "INBOX" for keep
    std::string special_use;  ///< if the mailbox is made, it gets this use
    std::vector<std::string> flags;
    bool create = false;
};

struct Action {
    enum class Kind : std::uint8_t { keep, fileinto, redirect, discard, reject, ereject, vacation, notify };
    Kind kind = Kind::keep;
    Position at = {};
    Filing filing = {};       ///< keep, fileinto
    MessageState state = {};  ///< keep, fileinto, redirect: as it was at that moment
    bool copy = false;

    std::string address = {};                     ///< redirect: to whom; vacation: whom it answers
    std::string text = {};                        ///< reject, ereject, vacation, notify
    std::string subject = {}, from = {};          ///< vacation; notify has a sender, too
    std::string method = {}, importance = {};     ///< notify
    std::vector<std::string> options = {};        ///< notify
    std::vector<std::string> recipients = {};     ///< notify, vacation, reject: of `message`
    std::string message = {};                     ///< vacation, notify, reject: all that is to be sent
    std::string envelope_from = {};               ///< redirect, vacation, notify, reject
    std::optional<Filing> fcc = {};               ///< vacation, notify: where a copy goes
    std::string dsn_notify = {}, dsn_ret = {};    ///< redirect: RFC 6009
    std::optional<std::int64_t> by_seconds = {};  ///< redirect: RFC 6009 s7
    std::string by_mode = {};
    bool by_trace = false;
};

/// To be remembered once all actions are done.
struct Memory {
    std::string key;
    std::chrono::seconds lasts{};
    bool renew = false;  ///< it counts from now, even if it is remembered already
};

struct Outcome {
    std::vector<Action> actions;  ///< in the order in which they take effect
    bool implicit_keep = true;    ///< beside them, the message goes to INBOX
    Filing implicit;              ///< with the flags at the end
    MessageState implicit_state;
    std::vector<Memory> memories;
    bool message_changed = false;
    /// The run failed: no action is taken, and the message is kept as it came.
    std::optional<Problem> error;
    std::vector<std::string> trace;  ///< with RunOptions::explain, a line for each test and command
    std::uint64_t instructions = 0;
};

}  // namespace poplar::sieve
