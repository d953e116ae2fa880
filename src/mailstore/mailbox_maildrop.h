#pragma once
// The view of a mailbox that a POP session holds (RFC 1939 s4): the classic one, or another.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/steady.h"
#include "mailstore/changes.h"
#include "mailstore/content.h"
#include "mailstore/maildrop.h"
#include "mailstore/message_lists.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

/// The name of the lock that a session holds: a view has one of its own.
std::string lease_of(MailboxView view);

/// Of the list of all messages, or, with a view, of those that it shows.
ListVersion version_of(std::string generation, const MailboxRecord& mailbox, ViewId id, const ViewRecord* view);

class MailboxMaildrop final : public Maildrop {
public:
    /// Changes::delete_in.
    using Remove = std::function<Task<Result<>>(std::vector<Deletions> deletions)>;

    /// `view`: null for the classic view of a mailbox that has no other. `snapshot` is of the moment when `mailbox`,
    /// which is the account's of this generation, and `view` were true.
    MailboxMaildrop(engine::Engine& engine, MessageLists& lists, ViewOf of, std::unique_ptr<engine::Lease> lease,
                    std::string generation, const MailboxRecord& mailbox, std::unique_ptr<const ViewRecord> view,
                    std::shared_ptr<const engine::Snapshot> snapshot, Decoders decoders, Remove remove);

    ViewOf of() const override { return of_; }
    Task<Result<const std::vector<Message>*>> messages() override;
    Task<Result<std::span<const Message>>> messages_since(ListVersion older) override;
    Task<Result<const Message*>> message(std::uint32_t number, std::string unique_id) override;
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message) override;
    std::unique_ptr<engine::BodyReader> try_open_whole(const Message& message) override;
    void become_idle() override;
    Task<Result<>> remove(std::vector<std::uint32_t> numbers) override;

    /// To be filled with what goes.
    Deletions no_deletions() const;
    const MailboxTotals& totals() const { return totals_; }
    /// The account keeps what it deletes, though it has no other view.
    void only_hide() { hides_ = true; }

private:
    /// The messages of the snapshot from this place on; about so many are expected.
    Task<Result<MessageLists::List>> read(OrderKey first, std::uint64_t expected);
    Task<Result<>> load();
    /// A snapshot to read the list from. Errors: conflict.
    Task<Result<>> look_again();
    /// Errors: not_found (the mailbox or the view is gone).
    Task<Result<ListVersion>> version_in(std::shared_ptr<const engine::Snapshot> snapshot);
    /// The first place from this one on that the view may show.
    OrderKey shown_from(OrderKey order) const;
    engine::BodySeries& bodies();
    Task<Result<std::unique_ptr<engine::BodyReader>>> open_decoded(Message message);
    /// Null: not read yet.
    const Message* known(std::uint32_t number) const;

    engine::Engine& engine_;
    MessageLists& lists_;
    const ViewOf of_;
    const AccountId account_;
    std::unique_ptr<engine::Lease> lease_;
    const std::unique_ptr<const ViewRecord> view_;  // as of login; null: all messages are shown
    // Held until all messages are loaded, but not for a session's whole life, because it keeps old versions of
    // everybody's entries. A later one does as well, if there were only deliveries since.
    std::shared_ptr<const engine::Snapshot> snapshot_;
    SteadyTime taken_ = SteadyClock::now();
    bool later_ = false;           // snapshot_ is a later one than the login's
    bool complete_;                // all messages are loaded, or there are none
    MessageLists::List messages_;  // from number first_ on; null: none is loaded
    std::uint64_t first_ = 1;
    std::map<std::uint32_t, Message> single_;
    std::unique_ptr<engine::BodySeries> bodies_;  // from the first open on
    const Decoders decoders_;
    Remove remove_;
};

}  // namespace poplar::mailstore
