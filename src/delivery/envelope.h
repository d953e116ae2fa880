#pragma once
// The envelope of a message on its way in: its sender, its recipients, and where each of them leads to.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "delivery/sender_rights.h"
#include "directory/directory.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/trace.h"
#include "queue/record.h"
#include "queue/sending_limits.h"
#include "quota/quotas.h"

namespace poplar::delivery {

/// One RCPT of the envelope.
struct Recipient {
    std::string address;                 ///< as the client gave it
    std::uint32_t first = 0, count = 0;  ///< its part of Envelope::accounts
    bool away = false;                   ///< it leads to somebody elsewhere, too: some of Envelope::away
};

/// An address elsewhere that the message goes on to, by the queue.
struct Away {
    std::string address;
    mail::Notify notify = {};
    std::string orcpt = {};
};

/// A sender's wishes for the whole message, and the account of one who logged in.
struct Sending {
    std::string envelope_id;  ///< RFC 3461 s4.4
    mail::ReturnContent ret = mail::ReturnContent::unspecified;
    std::chrono::seconds hold{};  ///< RFC 4865: so long from now it does not leave
    std::optional<Submitter> submitter;
    std::optional<queue::SendingLimits::Sending> limits;  ///< what the message takes of the submitter's
};

/// Room that is kept for a message in the accounts of one recipient, or of all.
using Room = std::vector<std::shared_ptr<quota::Reservation>>;
using RoomView = std::span<const std::shared_ptr<quota::Reservation>>;
/// Whether some of it may turn out too small, because nobody knows the message's size.
bool is_uncertain(const Room& room);
std::size_t memory_of(const Room& room);  ///< octets, about

/// One reply may have to tell what became of a message for all its recipients, as in SMTP.
enum class Replies : std::uint8_t { each, one };

/// Keeps little of each recipient, because a stranger says how many there are, and each may lead to many accounts.
struct Envelope {
    std::string reverse_path;  ///< "" for the null reverse-path
    std::vector<Recipient> recipients;
    std::vector<directory::AccountId> accounts;  ///< of all recipients, in the recipients' order
    mail::Received received;                     ///< `recipient` and `time` are filled in here
    std::size_t address_octets = 0;              ///< of all recipients, and of the mailboxes' names
    /// Mailboxes that recipients name, by the recipient's number. A list, because hardly any recipient names one.
    std::vector<std::pair<std::uint32_t, std::string>> mailboxes;
    Room room;  ///< of accounts with a limit; others need none
    /// With one, a message that has no room with some recipient is stored for nobody.
    Replies replies = Replies::each;
    bool known_client = false;  ///< a stranger whom the operator trusts: no greylisting
    bool stranger = false;      ///< it comes from outside, from received.peer: it is checked, if anything is
    bool ours = false;          ///< made by this server itself: what leaves of it is signed, as what our users submit
    queue::TlsWish tls = queue::TlsWish::usual;  ///< RFC 8689; a header may say `optional`, too
    std::vector<Away> away;  ///< of all recipients; each address once, with the wishes of its first recipient
    std::vector<std::uint32_t> away_order;  ///< the numbers of `away` in the order of their addresses
    std::shared_ptr<Sending> sending;       ///< null: nothing of it is known

    /// `mailbox`: the mailbox of the one account it leads to that the mail goes to, if it exists; "" for INBOX.
    void add(std::string address, std::span<const directory::AccountId> leads_to, std::string mailbox = "");
    /// The same for all that a resolution leads to; `asked` is what the sender wants to be told of it.
    void add(std::string address, const directory::Resolution& resolution, std::string mailbox, const Away& asked = {});
    /// One elsewhere.
    void add_away(std::string address, Away away);
    /// How many accounts and addresses elsewhere the recipients lead to.
    std::size_t destinations() const { return accounts.size() + away.size(); }
    std::string mailbox_of(std::size_t recipient) const;
    std::size_t memory() const;  ///< octets, about, that the recipients take
    std::span<const directory::AccountId> accounts_of(const Recipient& recipient) const {
        return std::span(accounts).subspan(recipient.first, recipient.count);
    }

private:
    void bring_away(Away one);
};

/// The address that mail elsewhere goes to: its domain in the spelling that the DNS knows.
std::string address_elsewhere(const mail::Address& address);

}  // namespace poplar::delivery
