#pragma once
// Several mailboxes as one maildrop: a program that knows a single one gets what a filter has sorted into others, too.
#include <memory>
#include <optional>
#include <vector>

#include "mailstore/mailbox_maildrop.h"

namespace poplar::mailstore {

/// The messages of all parts, in order of their arrival. A message that moves from one part to another keeps its
/// unique-id, so to a client nothing has happened. Its version continues no other, because such a message comes to its
/// old place.
class JoinedMaildrop final : public Maildrop {
public:
    using Part = std::unique_ptr<MailboxMaildrop>;

    /// `parts`: two or more views of one name, and of different mailboxes of one account, as of one moment.
    JoinedMaildrop(std::vector<Part> parts, MailboxMaildrop::Remove remove);

    ViewOf of() const override;
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
    static bool comes_before(const Place& a, const Place& b);
    /// Sorts them, and lets others of the thread have their turns.
    static Task<std::vector<Place>> in_order(std::vector<Place> places);
    void count_parts();

    std::vector<Part> parts_;
    MailboxMaildrop::Remove remove_;
    std::optional<std::vector<Message>> messages_;  // nothing: not loaded yet
    std::vector<std::size_t> part_of_;              // of each message
};

}  // namespace poplar::mailstore
