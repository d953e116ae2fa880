// STORE (RFC 9051 s6.4.6, RFC 7162 s3.1.3), EXPUNGE and UID EXPUNGE.
#include <algorithm>

#include "imap/client.h"

namespace poplar::imap {

namespace {

constexpr std::string_view kReadOnly = "[CANNOT] the mailbox is open read-only";

struct Storing {
    mailstore::FlagChange change;
    bool silent = false;
};

/// Reads the item and flags behind the set. Nothing: not of the grammar, or flags that nobody can set.
std::optional<Storing> parse_storing(Cursor& in) {
    Storing storing;
    auto& change = storing.change;
    if (in.take_word("(UNCHANGEDSINCE ")) {
        const auto number = parse_number63(in);
        if (!number || !in.take(')') || !in.space()) return std::nullopt;
        change.unchanged_since = ModSequence(*number);
    }
    using How = mailstore::FlagChange::How;
    if (in.take('+'))
        change.how = How::add;
    else if (in.take('-'))
        change.how = How::remove;
    const auto word = parse_keyword(in);
    if (!word || (*word != "FLAGS" && *word != "FLAGS.SILENT") || !in.space()) return std::nullopt;
    storing.silent = *word == "FLAGS.SILENT";
    std::vector<std::string> names;
    if (in.at('(')) {
        auto list = parse_flag_list(in);
        if (!list) return std::nullopt;
        names = std::move(*list);
    } else {
        do {
            auto one = parse_flag(in);
            if (!one) return std::nullopt;
            names.push_back(std::move(*one));
        } while (in.space());
    }
    auto flags = sort_flags(names);
    if (!flags) return std::nullopt;
    change.system = flags->system;
    change.keywords = std::move(flags->keywords);
    return storing;
}

}  // namespace

Task<Result<>> Client::store(Cursor in) {
    auto indexes = parse_messages(in);
    if (!indexes || !in.space()) co_return co_await bad_arguments();
    auto storing = parse_storing(in);
    if (!storing || !in.at_end()) co_return co_await bad_arguments();
    const bool conditional = storing->change.unchanged_since.has_value();
    condstore_ = condstore_ || conditional;
    if (selected_->read_only()) co_return co_await no(std::string(kReadOnly));
    auto uids = uids_at(*indexes);
    // Changes by others are told even if the client wants to hear nothing of its own change.
    if (auto told = co_await update(expunges_); !told) co_return told;
    auto outcome = co_await services_.store.change_flags(account(), selected_->id(), uids, std::move(storing->change));
    if (!outcome && outcome.error().code() == Errc::invalid) co_return co_await bad("not a keyword");
    if (!outcome) co_return co_await no(outcome.error(), "the flags can't be changed");
    SequenceSet refused;
    std::ranges::sort(outcome->refused);
    for (auto uid : outcome->refused) {
        const auto index = selected_->find(static_cast<std::uint32_t>(uid.value));
        if (index) refused.append(by_uid() ? static_cast<std::uint32_t>(uid.value) : *index + 1);
    }
    // The client is told below of those that it changed, or not at all.
    for (auto uid : uids)
        if (!std::ranges::binary_search(outcome->refused, uid))
            selected_->told[static_cast<std::uint32_t>(uid.value)] =
                storing->silent ? outcome->number : ModSequence(UINT64_MAX);
    if (auto told = co_await update(expunges_); !told) co_return told;
    for (auto uid : uids) {
        const auto number = static_cast<std::uint32_t>(uid.value);
        const auto index = selected_->find(number);
        if (!index || std::ranges::binary_search(outcome->refused, uid)) continue;
        if (!storing->silent) {
            tell_flags(*index);
        } else if (condstore_) {  // RFC 7162 s3.1.3: .SILENT is about the flags alone
            begin_fetch(*index);
            fmt::format_to(std::back_inserter(out_), "{}MODSEQ ({}))\r\n",
                           !uids_only_ && (by_uid() || qresync_) ? fmt::format("UID {} ", number) : "",
                           selected_->list().messages[*index].changed.value);
        }
        if (auto sent = co_await send_some(); !sent) co_return sent;
    }
    if (!refused.empty())
        co_return co_await ok(fmt::format("[MODIFIED {}] not all: some were changed", refused.text()));
    co_return co_await ok("done");
}

// RFC 9051 s6.4.3, s6.4.9.
Task<Result<>> Client::expunge(Cursor in) {
    std::optional<SequenceSet> uids;
    if (by_uid()) {
        if (in.take('$')) {
            uids = selected_->saved;
        } else {
            uids = SequenceSet::parse(in);
            if (!uids) co_return co_await bad_arguments();
            uids->resolve(selected_->greatest_uid());
        }
    }
    if (!in.at_end()) co_return co_await bad_arguments();
    if (selected_->read_only()) co_return co_await no(std::string(kReadOnly));
    auto removed = co_await expunge_deleted(std::move(uids));
    if (!removed) co_return co_await no(removed.error(), "the messages can't be removed");
    if (!qresync_ || *removed == 0) co_return co_await ok("done");
    // RFC 7162 s3.2.7, s3.2.9. The number is read before the client is told of all changes up to it.
    auto mailboxes = co_await services_.store.mailboxes(account());
    if (!mailboxes) co_return co_await ok("done");
    const auto mailbox = std::ranges::find(*mailboxes, selected_->id(), &mailstore::Mailbox::id);
    if (mailbox == mailboxes->end()) co_return co_await ok("done");
    co_return co_await ok(fmt::format("[HIGHESTMODSEQ {}] done", mailbox->changed.value));
}

// Also those that the client has not been told of.
Task<Result<std::uint64_t>> Client::expunge_deleted(std::optional<SequenceSet> uids) {
    auto list = co_await services_.store.list_uids(account(), selected_->id());
    if (!list) co_return pass_on(list);
    std::vector<Uid> deleted;
    for (const auto& message : (*list)->messages)
        if ((message.flags & static_cast<std::uint32_t>(mailstore::Flag::deleted)) != 0 &&
            (!uids || uids->contains(message.uid)))
            deleted.emplace_back(message.uid);
    if (deleted.empty()) co_return std::uint64_t{0};
    const auto begun = access_->visit.now();
    const auto before = (*list)->messages.size();
    auto removed = co_await services_.store.expunge(account(), selected_->id(), std::move(deleted), "imap");
    if (!removed) co_return removed;
    done_.expunged += *removed;
    if (*removed > 0)
        access_->note_deleted(
            {.messages = *removed, .begun = begun, .mailbox = selected_->id().value, .before = before});
    co_return removed;
}

}  // namespace poplar::imap
