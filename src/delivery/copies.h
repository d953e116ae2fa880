#pragma once
// The copies of a message, one for each account that its recipients lead to: room for them, storing them, verdicts.
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "delivery/envelope.h"
#include "delivery/filter.h"
#include "delivery/verdict.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"

namespace poplar::delivery {

/// A message that came in whole and passed its checks: what all its copies have.
struct CheckedMessage {
    mailstore::Content content;
    std::string results;           ///< fields that tell of the checks of a stranger's mail; above Received
    std::string added;             ///< fields that it lacked, and those an inspector puts on top; below Received
    bool needs_downgrade = false;  ///< of the content as it is stored
    std::int64_t growth = 0;       ///< octets that downgrading adds to it
    std::optional<unsigned> spam_percent;
    bool junk = false;
};

/// mailstore::NewMessage::ascii_octets of a copy with this head.
std::uint64_t ascii_octets(std::string_view head, const CheckedMessage& message);

/// Where one account's copy comes from: the first recipient that leads to it names it in Delivered-To.
struct Copy {
    directory::AccountId account;
    std::size_t recipient;
};

/// One a different account, in the recipients' order.
std::vector<Copy> copies_of(const Envelope& envelope);

class Copies {
public:
    Copies(std::shared_ptr<Envelope> envelope, std::vector<Copy> wanted, CheckedMessage message,
           mailstore::MailStore& store, directory::Directory& directory, Filter& filter)
        : envelope_(std::move(envelope)),
          wanted_(std::move(wanted)),
          message_(std::move(message)),
          store_(store),
          directory_(directory),
          filter_(filter) {}

    const CheckedMessage& message() const { return message_; }
    /// Claims the room that was kept. Accounts in which there is too little after all get no copy. An error: nobody
    /// gets one, because the sender has to come again for all recipients.
    std::expected<void, Verdict> claim_room();
    /// Stores them all at the same time. One verdict a recipient, in order.
    Task<std::vector<Verdict>> store();

private:
    struct Delivered {
        std::optional<std::string> rejected;  ///< by the account's filter: its reason
    };

    std::string head_for(const Recipient& recipient) const;
    void find_refused();
    const Verdict* refusal_of(const Recipient& recipient) const;
    Verdict one_verdict() const;
    void leave_out_refused();
    bool may_reject(const Recipient& recipient) const;
    Task<Result<Delivered>> deliver(Copy copy);
    Task<std::string> address_of(Copy copy);
    Task<Result<std::string>> junk_mailbox(directory::AccountId account);
    Task<Result<Delivered>> filter(Copy copy, mailstore::NewMessage message, std::string mailbox, Scripts::Chain chain,
                                   std::string address);
    Task<Result<mailstore::Message>> append(directory::AccountId account, mailstore::NewMessage message,
                                            std::string mailbox);
    Task<Result<mailstore::Message>> file(directory::AccountId account, mailstore::NewMessage message,
                                          std::string name);
    Verdict verdict_on(const Recipient& recipient, const std::map<directory::AccountId, const Error*>& failed) const;

    const std::shared_ptr<Envelope> envelope_;
    std::vector<Copy> wanted_;
    std::map<directory::AccountId, Verdict> refused_;  // accounts without room, and why
    const CheckedMessage message_;
    mailstore::MailStore& store_;
    directory::Directory& directory_;
    Filter& filter_;
};

}  // namespace poplar::delivery
