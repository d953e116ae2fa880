#include "pop3/listings.h"

#include <fmt/format.h>

#include "base/turn.h"

namespace poplar::pop3 {

void Listings::append_line(std::string& listing, MessageNumber number, const mailstore::Message& message, Kind kind) {
    fmt::format_int digits(number);
    listing.append(digits.data(), digits.size());
    listing.push_back(' ');
    if (kind != Kind::unique_ids) {
        const bool ascii = kind == Kind::ascii_octets && message.ascii_octets != 0;
        fmt::format_int octets(ascii ? message.ascii_octets : message.octets);
        listing.append(octets.data(), octets.size());
    } else {
        listing.append(message.unique_id);
    }
    listing.append("\r\n");
}

Task<Listings::ListingPointer> Listings::kept(Kind kind) {
    const auto* version = maildrop_.version();
    if (!version || !cache_) co_return nullptr;
    auto kept = cache_->find(of(), kind, *version);
    if (kept.listing && kept.version != *version) {
        auto since = co_await maildrop_.messages_since(kept.version);
        if (!since) co_return nullptr;  // the caller then reads all, and reports the error
        const auto first = kept.version.messages + 1;
        numbers_.learn(first, *since);
        auto longer = std::make_shared<Listing>(*kept.listing);
        std::string block;
        auto number = static_cast<MessageNumber>(first);
        for (const auto& message : *since) {
            append_line(block, number++, message, kind);
            if (block.size() < Listing::kBlock) continue;
            longer->append(block);
            block.clear();
            if (turn::over()) co_await turn::let_others();
        }
        longer->append(block);
        kept = {*version, std::move(longer)};
        cache_->keep(of(), kind, kept);
    }
    if (kind == Kind::unique_ids) unique_ids_ = kept.listing;
    co_return kept.listing;
}

Task<std::string> Listings::unique_id_of(MessageNumber number) {
    if (!unique_ids_ && !looked_for_unique_ids_) {
        looked_for_unique_ids_ = true;
        unique_ids_ = co_await kept(Kind::unique_ids);
    }
    if (!unique_ids_) co_return std::string();
    co_return std::string(unique_ids_->find(number));
}

Listings::Draft Listings::draft(Kind kind, bool whole) {
    return {whole && cache_ && maildrop_.version() ? this : nullptr, kind};
}

void Listings::Draft::add(std::string_view lines) {
    if (listings_ && listing_.octets() <= listings_->cache_->longest()) listing_.append(lines);
}

void Listings::Draft::keep() {
    if (!listings_ || listing_.octets() > listings_->cache_->longest()) return;
    const auto* version = listings_->maildrop_.version();
    if (!version) return;
    listings_->cache_->keep(listings_->of(), kind_, {*version, std::make_shared<const Listing>(std::move(listing_))});
}

// Later polls then need not read anew what is left. Only listings of this session's version are cut; completing an
// older one first is not worth it.
Task<> Listings::cut(const std::vector<MessageNumber>& removed) {
    const auto* version = maildrop_.version();
    if (!version || !cache_) co_return;
    auto left = *version;
    for (auto number : removed) left.take_out(*numbers_.at_hand(number));
    for (auto kind : ListingCache::kKinds) {
        auto kept = cache_->find(of(), kind, *version);
        if (!kept.listing || kept.version != *version) continue;
        Listing listing;
        if (left.messages != 0) listing = co_await kept.listing->without(removed);
        cache_->keep(of(), kind, {left, std::make_shared<const Listing>(std::move(listing))});
    }
}

}  // namespace poplar::pop3
