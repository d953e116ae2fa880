#pragma once
// The classic view of INBOX that a POP session holds (RFC 1939 s4).
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "mailstore/changes.h"
#include "mailstore/mail_store.h"

namespace poplar::mailstore {

inline constexpr char kMaildropLease[] = "pop3:inbox";

class InboxMaildrop final : public Maildrop {
public:
    using Remove = std::function<Task<Result<>>(std::vector<Victim> victims, engine::Batch::Fence fence)>;

    /// `snapshot` is of the moment when `totals` were true; null if there are no messages.
    InboxMaildrop(engine::Engine& engine, AccountId account, std::unique_ptr<engine::Lease> lease,
                  const MailboxTotals& totals, std::shared_ptr<const engine::Snapshot> snapshot, Remove remove)
        : engine_(engine),
          account_(account),
          lease_(std::move(lease)),
          count_(totals.messages),
          octets_(totals.octets),
          ascii_octets_(totals.ascii_octets()),
          snapshot_(std::move(snapshot)),
          remove_(std::move(remove)) {}

    std::uint64_t message_count() const override { return count_; }
    std::uint64_t octets() const override { return octets_; }
    std::uint64_t ascii_octets() const override { return ascii_octets_; }
    Task<Result<engine::ChangeNumber>> version() override;
    Task<Result<const std::vector<Message>*>> messages() override;
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message) override;
    Task<Result<>> remove(std::vector<std::uint32_t> numbers) override;

private:
    Task<Result<>> load();

    engine::Engine& engine_;
    AccountId account_;
    std::unique_ptr<engine::Lease> lease_;
    std::uint64_t count_, octets_, ascii_octets_;
    std::shared_ptr<const engine::Snapshot> snapshot_;  // until the list is loaded
    std::optional<engine::ChangeNumber> version_;       // read while there is the snapshot
    std::vector<Message> messages_;
    std::unique_ptr<engine::BodySeries> bodies_;  // from the first open on
    Remove remove_;
};

}  // namespace poplar::mailstore
