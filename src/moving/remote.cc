#include "moving/remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "moving/header_digest.h"

namespace poplar::moving {

namespace {

constexpr std::size_t kLongestKey = 1000;  // api::ImportMessage::source

std::string bounded(std::string key, const std::string& scope) {
    if (key.size() <= kLongestKey) return key;
    Digest digest;
    digest.add(key);
    return scope + ":" + digest.finish();
}

std::string digest_of(std::string_view text, std::size_t digits) {
    Digest digest;
    digest.add(text);
    return digest.finish().substr(0, digits);
}

bool broke(const Error& error) { return error.code() == Errc::closed || error.code() == Errc::timed_out; }

}  // namespace

// Messages of INBOX by IMAP that no message of POP3 is known to be, by their header's digest.
struct RemoteSource::Unmatched {
    std::map<std::string, std::deque<const FetchedMessage*>> by_digest;
    std::set<std::uint32_t> read;  // whose headers are here, or were
    std::map<std::uint32_t, const FetchedMessage*> by_uid;

    /// One with this header, of this size if there is one. Null: none.
    const FetchedMessage* take(const std::string& digest, std::uint64_t octets) {
        auto found = by_digest.find(digest);
        if (found == by_digest.end() || found->second.empty()) return nullptr;
        auto& all = found->second;
        auto same_size = std::ranges::find(all, octets, [](const auto* one) { return *one->octets; });
        if (same_size == all.end()) same_size = all.begin();
        const auto* one = *same_size;
        all.erase(same_size);
        return one;
    }
};

// The host is no part of a key: behind the switch its name leads elsewhere, and the last round takes another.
std::string RemoteSource::pop3_scope(const std::string& user) { return "pop3/" + printable_key(user); }
std::string RemoteSource::imap_scope(const std::string& user) { return "imap/" + printable_key(user); }

// The size is, because unique-ids may be small numbers, and two servers may have a user of one name.
std::string RemoteSource::pop3_key(const std::string& user, std::uint64_t octets, const std::string& unique_id) {
    const auto scope = pop3_scope(user);
    return bounded(fmt::format("{}:{}:{}", scope, octets, printable_key(unique_id)), scope);
}

std::string RemoteSource::made_prefix(const std::string& scope) { return "i" + digest_of(scope, 8) + "-"; }

std::string RemoteSource::made_unique_id(const std::string& scope, const std::string& key) {
    return made_prefix(scope) + digest_of(key, 32);
}

RemoteSource::~RemoteSource() {
    pop3_.leave();
    imap_.leave();
}

Result<> RemoteSource::open_pop3() {
    if (pop3_.is_open()) return {};
    auto opened = pop3_.open(*options_.pop3, options_.credentials);
    if (!opened || places_.empty()) return opened;
    // In another session a message may have another number.
    auto all = pop3_.list();
    if (!all) return pass_on(all);
    std::unordered_map<std::string, std::uint32_t> numbers;
    for (const auto& one : *all)  // one that repeats tells no message
        if (!numbers.emplace(one.unique_id, one.number).second) numbers[one.unique_id] = 0;
    for (auto& [key, place] : places_)
        if (place.number != 0) place.number = numbers.contains(place.unique_id) ? numbers[place.unique_id] : 0;
    return {};
}

Result<> RemoteSource::open_imap() {
    if (imap_.is_open()) return {};
    examined_.reset();
    return imap_.open(*options_.imap, options_.credentials);
}

Result<> RemoteSource::examine(std::size_t folder) {
    if (auto opened = open_imap(); !opened) return opened;
    if (examined_ == folder) return {};
    examined_.reset();
    auto found = imap_.examine(folders_[folder].names.raw);
    if (!found) return pass_on(found);
    if (found->uid_validity != folders_[folder].uid_validity)
        return fail(Errc::not_found, fmt::format("{} was made anew meanwhile", folders_[folder].names.name));
    examined_ = folder;
    return {};
}

Result<Listing> RemoteSource::list() {
    Listing listing;
    if (options_.pop3)
        if (auto done = list_pop3(listing); !done) return pass_on(done);
    settle_unique_ids(listing.messages);
    for (auto& one : listing.messages)
        if (one.unique_id.empty()) one.made_id = made_unique_id(pop3_scope(options_.credentials.user), one.key);
    if (options_.imap)
        if (auto done = list_imap(listing); !done) return pass_on(done);
    if (!options_.pop3)
        listing.notes.emplace_back(
            "IMAP tells no unique-ids: clients that use POP will fetch all anew, but for --pop3");
    return listing;
}

Result<> RemoteSource::list_pop3(Listing& listing) {
    if (auto opened = open_pop3(); !opened) return opened;
    auto all = pop3_.list();
    if (!all) return pass_on(all);
    pop3_count_ = all->size();
    const auto& user = options_.credentials.user;
    std::size_t nameless = 0;
    for (auto& one : *all) {
        if (one.unique_id.empty()) {
            ++nameless;
            continue;
        }
        SourceMessage message;
        message.key = pop3_key(user, one.octets, one.unique_id);
        // The same again is another message.
        for (int nth = 2; places_.contains(message.key); ++nth)
            message.key =
                bounded(fmt::format("{}:{}", pop3_key(user, one.octets, one.unique_id), nth), pop3_scope(user));
        message.mailbox = "INBOX";
        message.unique_id = one.unique_id;
        message.octets = one.octets;
        message.called = fmt::format("message {} of POP3, {}", one.number, printable_key(one.unique_id));
        places_[message.key] = {one.number, std::move(one.unique_id), {}, {}};
        listing.messages.push_back(std::move(message));
    }
    if (nameless > 0) listing.whole = false;
    if (nameless > 0)
        listing.notes.push_back(
            fmt::format("{} messages are left out: the server tells no unique-id of them", nameless));
    return {};
}

Result<> RemoteSource::list_imap(Listing& listing) {
    if (auto opened = open_imap(); !opened) return opened;
    auto found = imap_.folders();
    if (!found) return pass_on(found);
    for (auto& note : found->notes) listing.notes.push_back(std::move(note));
    listing.whole = listing.whole && found->whole;
    for (auto& names : found->folders) {
        auto examined = imap_.examine(names.raw);
        if (!examined && examined.error().code() == Errc::denied) {
            listing.notes.push_back(fmt::format("{} is left out: {}", names.name, examined.error().detail()));
            listing.whole = false;
            continue;
        }
        if (!examined) return pass_on(examined);
        Folder folder{std::move(names), examined->uid_validity, {}};
        if (examined->messages > 0) {
            auto messages = imap_.list();
            if (!messages) return pass_on(messages);
            folder.messages = std::move(*messages);
        }
        if (folder.messages.size() < examined->messages) {
            listing.notes.push_back(fmt::format("{} of {} messages of {} are left out: they can't be read",
                                                examined->messages - folder.messages.size(), examined->messages,
                                                folder.names.name));
            listing.whole = false;
        }
        folders_.push_back(std::move(folder));
        examined_ = folders_.size() - 1;
        const auto& added = folders_.back();
        if (options_.pop3 && added.names.name == "INBOX") continue;  // POP3's messages are these
        for (const auto& message : added.messages) add_imap(listing, *examined_, message);
    }
    return {};
}

void RemoteSource::add_imap(Listing& listing, std::size_t number, const FetchedMessage& found) {
    const auto& folder = folders_[number];
    const auto scope = imap_scope(options_.credentials.user);
    SourceMessage message;
    message.key = bounded(fmt::format("{}:{}:{}:{}:{}", scope, printable_key(folder.names.name), folder.uid_validity,
                                      found.uid, *found.octets),
                          scope);
    message.mailbox = folder.names.name;
    message.flags = found.flags.value_or(std::vector<std::string>());
    message.received = found.received;
    message.called = fmt::format("message {} of {}", found.uid, folder.names.name);
    message.made_id = made_unique_id(scope, message.key);
    places_[message.key].imap = ImapPlace{number, found.uid};
    listing.messages.push_back(std::move(message));
}

/// Calls it a second time if the connection broke.
template <class Call>
auto RemoteSource::again(Call call) {
    auto done = call();
    if (done || !broke(done.error())) return done;
    pop3_.leave();
    imap_.leave();
    examined_.reset();
    return call();
}

Result<> RemoteSource::read_headers(const std::vector<std::uint32_t>& uids, Unmatched& unmatched) {
    auto take = [&](FetchedMessage found) {
        const auto known = unmatched.by_uid.find(found.uid);
        if (!found.text || known == unmatched.by_uid.end() || !unmatched.read.insert(found.uid).second) return;
        unmatched.by_digest[header_digest(*found.text)].push_back(known->second);
    };
    return again([&]() -> Result<> {
        if (auto done = examine(0); !done) return done;
        return imap_.headers(uids, take);
    });
}

// First come those of IMAP's that have the size of a wanted one. All others are asked for only if that was not enough.
Result<> RemoteSource::match(std::vector<SourceMessage*> wanted) {
    const auto& inbox = folders_.front();
    Unmatched unmatched;
    for (const auto& one : inbox.messages) unmatched.by_uid[one.uid] = &one;
    std::set<std::uint64_t> sizes;
    for (const auto* one : wanted) sizes.insert(*one->octets);
    for (bool all : {false, true}) {
        if (wanted.empty()) break;
        std::vector<std::uint32_t> uids;
        for (const auto& one : inbox.messages)
            if (!unmatched.read.contains(one.uid) && (all || sizes.contains(*one.octets))) uids.push_back(one.uid);
        if (!uids.empty())
            if (auto done = read_headers(uids, unmatched); !done) return done;
        std::vector<SourceMessage*> left;
        for (auto* one : wanted) {
            auto& place = places_.at(one->key);
            if (place.digest.empty()) {
                auto header = again([&]() -> Result<std::string> {
                    if (auto opened = open_pop3(); !opened) return pass_on(opened);
                    if (place.number == 0) return fail(Errc::denied, "the message is gone");
                    return pop3_.header(place.number);
                });
                if (!header && header.error().code() != Errc::denied) return pass_on(header);
                place.digest = header ? header_digest(*header) : "?";
            }
            const auto* found = unmatched.take(place.digest, *one->octets);
            if (!found) {
                left.push_back(one);
                continue;
            }
            place.imap = ImapPlace{0, found->uid};
            one->flags = found->flags.value_or(std::vector<std::string>());
            one->received = found->received;
        }
        wanted = std::move(left);
    }
    return {};
}

Result<> RemoteSource::prepare(Listing& listing, const std::function<bool(const std::string& key)>& known) {
    const bool both = options_.pop3 && !folders_.empty() && folders_.front().names.name == "INBOX";
    if (both) {
        const auto& inbox = folders_.front().messages;
        const bool more = inbox.size() > pop3_count_, all = more && options_.unnamed == Unnamed::bring;
        std::vector<SourceMessage*> wanted;
        for (auto& one : listing.messages)
            if (one.octets && (all || !known(one.key))) wanted.push_back(&one);
        if (!inbox.empty() && !wanted.empty())
            if (auto done = match(std::move(wanted)); !done) return done;
        if (more && !all)
            listing.held.push_back(
                fmt::format("{} messages of INBOX that IMAP shows and POP3 does not", inbox.size() - pop3_count_));
        if (all) {
            std::set<std::uint32_t> matched;
            for (const auto& [key, place] : places_)
                if (place.imap && place.imap->folder == 0) matched.insert(place.imap->uid);
            for (const auto& one : inbox)
                if (!matched.contains(one.uid)) add_imap(listing, 0, one);
        }
    }
    // The old server's user may want the maildrop that this session holds.
    const auto by_pop3 = [&](const auto& one) { return one.octets && !known(one.key) && !places_.at(one.key).imap; };
    if (options_.pop3 && std::ranges::none_of(listing.messages, by_pop3)) pop3_.leave();
    return {};
}

Result<std::string> RemoteSource::read_imap(const ImapPlace& place) {
    return again([&]() -> Result<std::string> {
        if (auto done = examine(place.folder); !done) return pass_on(done);
        return imap_.message(place.uid);
    });
}

Result<std::string> RemoteSource::read_pop3(Place& place) {
    return again([&]() -> Result<std::string> {
        if (auto opened = open_pop3(); !opened) return pass_on(opened);
        if (place.number == 0) return fail(Errc::not_found, "the message is gone");
        return pop3_.message(place.number);
    });
}

Result<> RemoteSource::read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take) {
    auto& place = places_.at(message.key);
    const bool has_pop3 = !place.unique_id.empty();
    if (message.octets && *message.octets > kLargestMessage)
        return fail(Errc::too_large, fmt::format("{} has {} octets", message.called, *message.octets));
    if (place.imap) {
        auto text = read_imap(*place.imap);
        // A unique-id must never come to another message.
        const bool is_it = text && (!has_pop3 || header_digest(*text) == place.digest);
        if (is_it) return take(*text);
        if (!has_pop3) return pass_on(text);
    }
    auto text = read_pop3(place);
    if (!text && text.error().code() == Errc::denied)
        return fail(Errc::not_found, fmt::format("{}: {}", message.called, text.error().detail()));
    if (!text) return pass_on(text);
    return take(*text);
}

}  // namespace poplar::moving
