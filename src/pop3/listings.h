#pragma once
// The listings of one session: taken from what earlier sessions left (listing_cache.h), and left for later ones.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mailstore/mail_store.h"
#include "pop3/listing_cache.h"
#include "pop3/numbers.h"

namespace poplar::pop3 {

class Listings {
public:
    using Kind = ListingCache::Kind;
    using ListingPointer = std::shared_ptr<const Listing>;

    /// All outlive it. `cache` null: nothing is kept.
    Listings(ListingCache* cache, mailstore::Maildrop& maildrop, MessageNumbers& numbers)
        : cache_(cache), maildrop_(maildrop), numbers_(numbers) {}

    /// `number SP octets` or `number SP unique-id`, with its CRLF (RFC 1939 s5, s7).
    static void append_line(std::string& listing, MessageNumber number, const mailstore::Message& message, Kind kind);

    /// The kept listing with what came since added, which `numbers` learns; null if none is kept.
    Task<ListingPointer> kept(Kind kind);
    /// The unique-id of this message, if a kept listing has it; else "". `numbers` may know the message afterwards.
    Task<std::string> unique_id_of(MessageNumber number);

    /// A listing that is made while it is sent, to be kept once it is whole.
    class Draft {
    public:
        /// Whole lines.
        void add(std::string_view lines);
        void keep();

    private:
        friend class Listings;
        Draft(Listings* listings, Kind kind) : listings_(listings), kind_(kind) {}
        Listings* listings_;  // null: it is not to be kept
        Kind kind_;
        Listing listing_;
    };
    /// `whole`: it will have all messages. One that leaves out deleted ones is not kept.
    Draft draft(Kind kind, bool whole);

    /// Takes the messages that QUIT has removed (ascending) out of the kept listings.
    Task<> cut(const std::vector<MessageNumber>& removed);

private:
    mailstore::ViewOf of() const { return maildrop_.of(); }

    ListingCache* cache_;
    mailstore::Maildrop& maildrop_;
    MessageNumbers& numbers_;
    ListingPointer unique_ids_;  // as of the login; null: none was kept, or not looked for yet
    bool looked_for_unique_ids_ = false;
};

}  // namespace poplar::pop3
