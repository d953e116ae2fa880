#pragma once
// Envelope + message in; for each recipient: resolve and store. SMTP, LMTP and `poplar deliver` all end here.
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/envelope.h"
#include "delivery/filter.h"
#include "delivery/inspector.h"
#include "delivery/sender_rights.h"
#include "delivery/sent_copies.h"
#include "delivery/verdict.h"
#include "directory/directory.h"
#include "mail/address.h"
#include "mail/wire_form.h"
#include "mailstore/mail_store.h"
#include "queue/queue.h"
#include "queue/sending_limits.h"
#include "quota/quotas.h"

namespace poplar::screening {
class Screener;
}

namespace poplar::delivery {

class Greylist;
class SigningStore;

struct Limits {
    std::uint64_t message_octets = 50u << 20;
    std::uint32_t hops = 100;  ///< Received fields; RFC 5321 s6.3 wants at least 100
    std::uint64_t header_octets = 1u << 20;
    std::uint32_t header_fields = 2000;
    std::vector<std::string> copy_to_sent = {};  ///< accounts whose sent mail is kept (SentCopies)
    bool detail_files = false;  ///< mail to user+Name@ goes to the mailbox "Name", if the account has one
    FilterOptions filter = {};
    ForwardOptions forward = {};
};

/// Takes a message's octets in wire form and stores it for every recipient.
class Incoming {
public:
    virtual ~Incoming() = default;  ///< before finish(): nothing is stored
    /// Room for the octets of the next write(), which does not copy them if they stand there. Not empty; valid until
    /// any other call.
    virtual std::span<char> room() = 0;
    /// An error settles what becomes of the message: the session swallows what still comes of it, answers with the
    /// error, and must not call finish().
    virtual Task<std::expected<void, Verdict>> write(std::string_view wire) = 0;
    /// Stores the message once in each account that recipients lead to. All commits are under way at the same time, so
    /// that they share syncs. Returns one verdict a recipient, in order: `stored` only when the message is durable in
    /// every account of the recipient's that is still there; `gone` if none is. An error concerns the message as a
    /// whole. `sizes`: as the decoder counted them.
    virtual Task<std::expected<std::vector<Verdict>, Verdict>> finish(mail::WireSizes sizes) = 0;
};

/// Where a recipient of a submitter's is.
using Where = queue::SendingLimits::Sending::Where;

class Delivery {
public:
    /// `queue`: takes what leaves; null: nothing does. `sending_limits`: of those who submit; null: none.
    Delivery(directory::Directory& directory, mailstore::MailStore& store, quota::Quotas& quotas, const Clock& clock,
             Limits limits, queue::Queue* queue = nullptr, queue::SendingLimits* sending_limits = nullptr);

    /// One more inspector, behind those before: it sees mail of strangers and users before it is stored, as those left
    /// it, and must outlive this. To be called before anything else is.
    void inspect_with(Inspector& inspector) { inspectors_.push_back(&inspector); }
    /// Runs the administrator's filter scripts, too, which are in the engine. To be called before anything else is.
    void use_common_scripts(engine::Engine& engine);
    CommonScripts* common_scripts() const { return common_scripts_.get(); }  ///< null: they are not used
    /// The keys that sign what leaves; they must outlive it. To be called before anything else is.
    void sign_with(SigningStore& keys);
    SigningStore* signing_keys() const { return signing_; }  ///< null: there are none
    /// Checks the mail of strangers; it must outlive this. To be called before anything else is.
    void screen_with(const screening::Screener& screener) { screener_ = &screener; }

    /// Mail of strangers may have to come twice; it must outlive this. To be called before anything else is.
    void greylist_with(Greylist& greylist) { greylist_ = &greylist; }
    /// Why a stranger at this address is refused: a list has it. "": none has.
    Task<std::string> refusal_of_client(std::string address) const;
    bool refuses_clients() const;

    /// As the directory does; the sender of mail that went on (srs.h) leads back to who that was.
    Task<Result<directory::Resolution>> resolve(mail::Address address);
    /// Whether the address may be such a sender's: only a bounce has business there.
    bool is_wrapped(const mail::Address& address) const { return srs_.is_wrapped(address); }
    std::optional<directory::Resolution> resolve_at_hand(const mail::Address& address);  ///< directory::Directory's
    /// Keeps room for a message of `size` octets (nothing: nobody has said) in each account that the resolution leads
    /// to and that has a limit; in all of them or in none. The room goes into Envelope::room. To be asked before a
    /// recipient is accepted; where nothing has a limit, it need not be asked at all (Resolution::bounds). An account
    /// in which `kept` is room for the message already is passed over, because it gets one copy.
    Task<std::expected<Room, Verdict>> admit(directory::Resolution resolution, std::optional<std::uint64_t> size,
                                             RoomView kept = {}, quota::Binding binding = quota::Binding::limits);
    /// Whether such a message would find room now, in each account by itself; none is kept.
    Task<std::expected<void, Verdict>> would_admit(directory::Resolution resolution, std::optional<std::uint64_t> size);
    /// The message's room is kept from now on until it is stored or given up.
    std::unique_ptr<Incoming> begin(std::shared_ptr<Envelope> envelope, std::uint64_t size_hint);
    const Limits& limits() const { return limits_; }
    Scripts& scripts() { return filter_.scripts(); }
    Filter& filter() { return filter_; }
    bool takes_away() const { return queue_ != nullptr; }

    /// Begins a message of the submitter's. False: over a limit. Errors: those of the engine.
    Task<Result<bool>> begin_sending(Sending& sending);
    /// Counts one more recipient of it. False: over a limit. Errors: as above.
    static Task<Result<bool>> add_recipient(Sending& sending, mail::Address address, Where where);
    Task<Result<bool>> may_send_as(const Submitter& submitter, mail::Address address) {
        return delivery::may_send_as(directory_, submitter, std::move(address));
    }
    /// The mailbox that the address names by its detail; "" for INBOX.
    std::string mailbox_in(const directory::Resolution& resolution) const {
        return limits_.detail_files ? resolution.detail : std::string();
    }

private:
    Task<Result<directory::Resolution>> resolve_wrapped(mail::Address address);
    quota::Need need(std::optional<std::uint64_t> size) const;

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    quota::Quotas& quotas_;
    const Clock& clock_;
    Limits limits_;
    queue::Queue* queue_;
    queue::SendingLimits* sending_limits_;
    std::vector<Inspector*> inspectors_;
    SigningStore* signing_ = nullptr;
    const screening::Screener* screener_ = nullptr;
    Greylist* greylist_ = nullptr;
    Srs srs_;
    SentCopies sent_;
    Dispatch dispatch_;
    Filter filter_;
    std::unique_ptr<CommonScripts> common_scripts_;
};

}  // namespace poplar::delivery
