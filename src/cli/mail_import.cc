#include "cli/mail_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "api/mailboxes.h"
#include "mail/wire_form.h"
#include "moving/remote.h"

namespace poplar::cli {

namespace {

using moving::SourceMessage;

std::unexpected<CallError> failed(const Error& error) { return std::unexpected(CallError{1, error.detail(), ""}); }

Result<std::string> text_of(moving::Source& source, const SourceMessage& message) {
    std::string text;
    auto done = source.read(message, [&](std::string_view part) {
        text += part;
        return Result<>();
    });
    if (!done) return pass_on(done);
    return text;
}

/// As LIST says: each line end counts as two octets.
std::uint64_t listed_octets(std::string_view text) {
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), 64 << 10))) {
        wire.clear();
        encoder.encode(text.substr(0, 64 << 10), wire);
    }
    encoder.finish(wire);
    return encoder.sizes().octets;
}

/// Whether the server said no to this message alone: the next one may fare better.
bool is_of_one_message(const CallError& refusal) {
    return refusal.code == "invalid" || refusal.code == "too_large" || refusal.code == "exists" ||
           refusal.code == "conflict" || refusal.code == "busy";
}

std::string called(const SourceMessage& message) {
    if (!message.called.empty()) return message.called;
    return message.digest.empty() ? message.file.string() : message.key;
}

}  // namespace

api::Json ImportReport::json() const {
    return {{"messages", messages},    {"stored", stored},
            {"there", there},          {"deleted_here", deleted},
            {"unique_ids_kept", kept}, {"unique_ids_new", stored - kept},
            {"not_kept", not_kept},    {"held", held},
            {"removed", removed},      {"gone", gone},
            {"refused", refused}};
}

api::Json ImportComparison::json() const {
    return {{"messages", messages},
            {"inbox", inbox},
            {"would_store", fresh},
            {"would_remove", would_remove},
            {"identical_unique_ids", ids},
            {"identical_sizes", sizes},
            {"in_order", in_order},
            {"without_unique_id", without},
            {"other_size", differing},
            {"not_kept", not_kept},
            {"held", held},
            {"clients", outlook()}};
}

std::string ImportComparison::outlook() const {
    if (ids == inbox && in_order == ids && held.empty())
        return "clients that leave their mail on the server will fetch none of it again";
    if (ids == inbox && held.empty())
        return "clients will fetch nothing again, but those that go by the order, in place of unique-ids, may";
    if (without > 0)
        return fmt::format(
            "clients that leave their mail on the server will fetch {} messages again, and what is "
            "not brought yet",
            without);
    return "clients that leave their mail on the server will fetch nothing again, once the rest is brought";
}

CallResult<> MailImport::list(moving::Source& source) {
    auto listing = source.list();
    if (!listing) return failed(listing.error());
    listing_ = std::move(*listing);
    return find_known(0);
}

CallResult<> MailImport::find_known(std::size_t from) {
    const auto& messages = listing_.messages;
    api::FindImported asked{address_, {}};
    for (auto i = from; i < messages.size(); ++i) {
        asked.sources.push_back(messages[i].key);
        if (asked.sources.size() < api::FindImported::kAtOnce && i + 1 < messages.size()) continue;
        auto found = server_.call(asked);
        if (!found) return std::unexpected(std::move(found.error()));
        for (auto& one : found->messages) known_.emplace(one.source, std::move(one));
        asked.sources.clear();
    }
    if (messages.empty())  // an account that is not there is said also when nothing is to come
        if (auto found = server_.call(api::ListMailboxes{address_}); !found)
            return std::unexpected(std::move(found.error()));
    return {};
}

CallResult<> MailImport::run(moving::Source& source) {
    const auto listed = listing_.messages.size();
    auto prepared = source.prepare(listing_, [this](const std::string& key) { return known_.contains(key); });
    report_.messages = listing_.messages.size();
    report_.held = listing_.held;
    if (!prepared) return failed(prepared.error());
    if (listing_.messages.size() > listed)
        if (auto found = find_known(listed); !found) return found;
    std::size_t seen = 0;
    for (const auto& message : listing_.messages) {
        progress_(++seen, listing_.messages.size());
        if (!message.not_kept.empty()) report_.not_kept.push_back(message.not_kept);
        if (auto known = known_.find(message.key); known != known_.end()) {
            ++(known->second.state == "there" ? report_.there : report_.deleted);
            continue;
        }
        auto done = bring(source, message);
        if (done) continue;
        if (!is_of_one_message(done.error())) return done;
        report_.refused.push_back(fmt::format("{}: {}", called(message), done.error().message));
    }
    return {};
}

CallResult<> MailImport::bring(moving::Source& source, const SourceMessage& message) {
    auto text = text_of(source, message);
    if (!text) {
        const auto& error = text.error();
        switch (error.code()) {
            case Errc::not_found:  // its client fetched and deleted it: the next round knows
                report_.gone.push_back(error.detail());
                return {};
            case Errc::too_large:
            case Errc::invalid:
            case Errc::denied: return std::unexpected(CallError{1, error.detail(), "invalid"});
            default: return failed(error);
        }
    }
    api::ImportMessage asked{address_, message.key, message.mailbox, {}, {}, {}};
    if (!message.unique_id.empty() || !message.made_id.empty())
        asked.unique_id = message.unique_id.empty() ? message.made_id : message.unique_id;
    std::string flags;
    for (const auto& flag : message.flags) flags += (flags.empty() ? "" : ",") + flag;
    if (!flags.empty()) asked.flags = flags;
    if (message.received) asked.received = static_cast<std::uint64_t>(message.received->time_since_epoch().count());
    auto octets = [&, at = std::size_t(0)](char* buffer, std::size_t size) mutable {
        const auto count = std::min(size, text->size() - at);
        std::copy_n(text->data() + at, count, buffer);
        at += count;
        return static_cast<std::ptrdiff_t>(count);
    };
    auto reply = server_.upload(asked, octets);
    if (!reply) return std::unexpected(std::move(reply.error()));
    ++(reply->state == "stored" ? report_.stored : reply->state == "there" ? report_.there : report_.deleted);
    if (reply->not_kept)
        report_.not_kept.push_back(fmt::format("{}: {}", *asked.unique_id, *reply->not_kept));
    else if (reply->state == "stored" && !message.unique_id.empty())
        ++report_.kept;
    known_.emplace(message.key, std::move(*reply));
    return {};
}

CallResult<> MailImport::each_message(const std::optional<std::string>& mailbox,
                                      const std::function<void(const api::Message&)>& take) {
    api::ListMessages asked;
    asked.address = address_;
    asked.mailbox = mailbox;
    asked.limit = 10'000;
    asked.headers = false;
    for (;;) {
        auto page = server_.call(asked);
        if (!page) return std::unexpected(std::move(page.error()));
        for (const auto& one : page->messages) {
            take(one);
            asked.after = one.order;
        }
        if (page->messages.size() < asked.limit) return {};
    }
}

// A message of the source is known by its unique-id: by one that was made for it, or by one that the account
// remembers with this size.
CallResult<std::vector<std::string>> MailImport::vanished(const MirroredSource& source) {
    if (!listing_.whole)
        return std::unexpected(
            CallError{1, "--mirror removes nothing now, because the source could not be listed as a whole", ""});
    std::set<std::string> present;
    for (const auto& message : listing_.messages)
        if (auto known = known_.find(message.key); known != known_.end()) present.insert(known->second.unique_id);
    const auto by_pop3 = moving::RemoteSource::made_prefix(moving::RemoteSource::pop3_scope(source.user)),
               by_imap = moving::RemoteSource::made_prefix(moving::RemoteSource::imap_scope(source.user));
    std::vector<std::string> gone;
    std::unordered_map<std::string, std::string> asked;  // unique-ids by the key that they had
    auto boxes = server_.call(api::ListMailboxes{address_});
    if (!boxes) return std::unexpected(std::move(boxes.error()));
    for (const auto& box : boxes->mailboxes) {
        auto take = [&](const api::Message& one) {
            const auto& id = one.unique_id;
            if (present.contains(id)) return;
            // With both, INBOX is POP3's.
            const bool imaps = source.imap && !(source.pop3 && box.name == "INBOX");
            if ((source.pop3 && id.starts_with(by_pop3)) || (imaps && id.starts_with(by_imap)))
                gone.push_back(id);
            else if (source.pop3)
                asked[moving::RemoteSource::pop3_key(source.user, one.octets, id)] = id;
        };
        if (auto done = each_message(box.name, take); !done) return std::unexpected(std::move(done.error()));
    }
    std::vector<std::string> keys;
    for (const auto& [key, id] : asked) keys.push_back(key);
    for (std::size_t at = 0; at < keys.size(); at += api::FindImported::kAtOnce) {
        const auto some = std::span(keys).subspan(at, std::min(keys.size() - at, api::FindImported::kAtOnce));
        auto found = server_.call(api::FindImported{address_, {some.begin(), some.end()}});
        if (!found) return std::unexpected(std::move(found.error()));
        for (const auto& one : found->messages)
            if (one.unique_id == asked[one.source] && one.state == "there") gone.push_back(one.unique_id);
    }
    return gone;
}

CallResult<> MailImport::mirror(const MirroredSource& source) {
    auto gone = vanished(source);
    if (!gone) return std::unexpected(std::move(gone.error()));
    for (const auto& id : *gone) {
        auto removed = server_.call(api::RemoveMessage{address_, id});
        if (!removed && removed.error().code != "not_found") return std::unexpected(std::move(removed.error()));
        if (removed) ++report_.removed;
    }
    return {};
}

CallResult<ImportComparison> MailImport::compare(moving::Source& source, const MirroredSource* mirrored) {
    Here here;
    auto take = [&](const api::Message& one) { here[one.unique_id] = {one.octets, one.order}; };
    if (auto listed = each_message(std::nullopt, take); !listed) return std::unexpected(std::move(listed.error()));
    ImportComparison result;
    result.messages = listing_.messages.size();
    result.held = listing_.held;
    std::uint64_t last = 0;
    for (const auto& message : listing_.messages) {
        if (!known_.contains(message.key)) ++result.fresh;
        if (!message.not_kept.empty()) result.not_kept.push_back(message.not_kept);
        if (message.mailbox != "INBOX") continue;
        ++result.inbox;
        if (message.unique_id.empty()) ++result.without;
        auto found = message.unique_id.empty() ? here.end() : here.find(message.unique_id);
        if (found == here.end()) continue;
        ++result.ids;
        if (found->second.second > last) ++result.in_order;
        last = found->second.second;
        auto octets = message.octets;
        if (!octets)
            if (auto text = text_of(source, message)) octets = listed_octets(*text);
        if (!octets) continue;
        if (*octets == found->second.first)
            ++result.sizes;
        else
            result.differing.push_back(message.unique_id);
    }
    if (mirrored) {
        auto gone = vanished(*mirrored);
        if (!gone) return std::unexpected(std::move(gone.error()));
        result.would_remove = gone->size();
    }
    return result;
}

}  // namespace poplar::cli
