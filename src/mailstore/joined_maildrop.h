#pragma once
// Several mailboxes as one maildrop: a program that knows a single one gets what a filter has sorted into others, too.
#include <memory>
#include <optional>
#include <vector>

#include "mailstore/mailbox_maildrop.h"

namespace poplar::mailstore {

/// The messages of all parts, in order of their arrival. A message that moves from one part to another keeps its
/// unique-id, so to a client nothing has happened.
class JoinedMaildrop final : public Maildrop {
public:
    using Part = std::unique_ptr<MailboxMaildrop>;

    /// `parts`: two or more views of one name, and of different mailboxes of one account, as of one moment.
    JoinedMaildrop(std::vector<Part> parts, MailboxMaildrop::Remove remove);

    ViewOf of() const override;
    std::uint64_t message_count() const override;
    std::uint64_t octets() const override;
    std::uint64_t ascii_octets() const override;
    bool has_utf8() const override;
    /// Continues no other version: a message that moves from one mailbox to another comes to its old place.
    const ListVersion* version() const override { return version_ ? &*version_ : nullptr; }
    Task<Result<const std::vector<Message>*>> messages() override;
    Task<Result<std::span<const Message>>> messages_since(ListVersion older) override;
    /// Reads all others, too.
    Task<Result<const Message*>> message(std::uint32_t number, std::string unique_id) override;
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message) override;
    std::unique_ptr<engine::BodyReader> try_open_whole(const Message& message) override;
    void become_idle() override;
    /// One commit, whatever mailboxes the messages are in. Those that moved from one part to another are found there.
    Task<Result<>> remove(std::vector<std::uint32_t> numbers) override;

private:
    struct Place {
        std::size_t part;
        const Message* message;
    };

    std::vector<Part> parts_;
    MailboxMaildrop::Remove remove_;
    std::optional<ListVersion> version_;
    std::optional<std::vector<Message>> messages_;  // nothing: not loaded yet
    std::vector<std::size_t> part_of_;              // of each message
};

}  // namespace poplar::mailstore
