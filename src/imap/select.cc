// SELECT, EXAMINE, CLOSE, UNSELECT; CONDSTORE and QRESYNC (RFC 7162).
#include <algorithm>

#include "imap/client.h"
#include "imap/mailbox_name.h"

namespace poplar::imap {

namespace {

/// A client's account of its cache (RFC 7162 s3.2.5).
struct Known {
    std::uint32_t uid_validity = 0;
    ModSequence mod_sequence;
    std::optional<SequenceSet> uids = {};  ///< nothing: any
};

}  // namespace

struct Client::Opening {
    std::string name;
    bool read_only = false;
    bool condstore = false;
    std::optional<Known> known;  ///< QRESYNC
    bool has_numbers = false;    ///< message numbers, with UIDs
};

std::optional<Client::Opening> Client::parse_opening(Cursor& in) const {
    Opening opening;
    auto name = mailbox_name(in);
    if (!name) return std::nullopt;
    opening.name = std::move(*name);
    if (in.at_end()) return opening;
    if (!in.take_word(" (")) return std::nullopt;
    do {
        const auto word = parse_keyword(in);
        if (word && *word == "CONDSTORE") {
            opening.condstore = true;
            continue;
        }
        if (!word || *word != "QRESYNC" || opening.known || !in.take_word(" (")) return std::nullopt;
        // RFC 7162 s3.2.5: the message numbers and their UIDs at the end only help a server that has forgotten.
        auto& known = opening.known.emplace();
        const auto validity = in.nonzero();
        if (!validity || !in.space()) return std::nullopt;
        known.uid_validity = *validity;
        const auto number = parse_number63(in);
        if (!number || *number == 0) return std::nullopt;
        known.mod_sequence = ModSequence(*number);
        if (in.take_word(" (")) {
            opening.has_numbers = true;
            if (!skip_match_data(in)) return std::nullopt;
        } else if (in.space()) {
            known.uids = SequenceSet::parse(in);
            if (!known.uids || known.uids->has_star()) return std::nullopt;
            known.uids->resolve(0);
            if (in.take_word(" (")) {
                opening.has_numbers = true;
                if (!skip_match_data(in)) return std::nullopt;
            }
        }
        if (!in.take(')')) return std::nullopt;
    } while (in.space());
    if (!in.take(')') || !in.at_end()) return std::nullopt;
    return opening;
}

bool Client::skip_match_data(Cursor& in) {
    return SequenceSet::parse(in) && in.space() && SequenceSet::parse(in) && in.take(')');
}

Task<Result<>> Client::select(Cursor in) { return open(in, false); }
Task<Result<>> Client::examine(Cursor in) { return open(in, true); }

// RFC 9051 s6.3.2: a mailbox that was selected before is closed in any case.
Task<Result<>> Client::open(Cursor in, bool read_only) {
    auto opening = parse_opening(in);
    if (!opening) co_return co_await bad_arguments();
    if (opening->known && !qresync_) co_return co_await bad("ENABLE QRESYNC first");
    if (opening->has_numbers && uids_only_) co_return co_await refuse_numbers();
    opening->read_only = read_only || !may_change();
    condstore_ = condstore_ || opening->condstore;
    if (selected_) {
        close_selected();
        untagged("OK [CLOSED] the mailbox before is closed");
    }
    auto mailbox = co_await find_mailbox(opening->name);
    if (!mailbox) co_return co_await no(mailbox.error(), "no such mailbox");
    // The list is read after the numbers, so what these promise is in it.
    auto list = co_await services_.store.list_uids(account(), mailbox->id);
    if (!list) co_return co_await no(list.error(), "the mailbox can't be read");
    auto keywords = co_await services_.store.keywords(account(), mailbox->id);
    if (!keywords) co_return co_await no(keywords.error(), "the mailbox can't be read");
    selected_.emplace(*mailbox, opening->read_only, std::move(*list), std::move(*keywords));
    co_return co_await say_opened(*mailbox, std::move(*opening));
}

Task<Result<>> Client::say_opened(const mailstore::Mailbox& mailbox, Opening opening) {
    const auto& messages = selected_->list().messages;
    tell_flag_names();
    untagged("{} EXISTS", messages.size());
    if (!rev2_) {
        untagged("0 RECENT");
        const auto seen = static_cast<std::uint32_t>(mailstore::Flag::seen);
        const auto unseen = std::ranges::find_if(messages, [&](const auto& one) { return (one.flags & seen) == 0; });
        if (unseen != messages.end() && !uids_only_)
            untagged("OK [UNSEEN {}] the first that is not seen", unseen - messages.begin() + 1);
    }
    untagged("OK [UIDVALIDITY {}] UIDs hold", mailbox.uid_validity);
    // One that came after the numbers were read is in the list.
    const auto next = std::max<std::uint64_t>(mailbox.uid_next.value, std::uint64_t(selected_->greatest_uid()) + 1);
    untagged("OK [UIDNEXT {}] the next UID", next);
    untagged("OK [HIGHESTMODSEQ {}] the last change", std::max<std::uint64_t>(mailbox.changed.value, 1));
    untagged("OK [MAILBOXID (M{})] its id", mailbox.id.value);
    if (rev2_) {
        out_.append("* LIST () \"/\" ");
        write_mailbox(out_, mailbox.name);
        out_.append("\r\n");
    }
    if (opening.known && opening.known->uid_validity == mailbox.uid_validity)
        if (auto told = co_await resynchronize(opening, mailbox); !told) co_return told;
    co_return co_await ok(selected_->read_only() ? "[READ-ONLY] done" : "[READ-WRITE] done");
}

// RFC 7162 s3.2.5.
Task<Result<>> Client::resynchronize(const Opening& opening, const mailstore::Mailbox& mailbox) {
    const auto& known = *opening.known;
    // A client that has seen what is not here any more, because an older copy of the data was put back, is told all.
    const bool from_future = known.mod_sequence > mailbox.changed;
    const auto since = from_future ? ModSequence() : known.mod_sequence;
    auto vanished = co_await vanished_since(since, known.uids, from_future);
    if (!vanished) co_return pass_on(vanished);
    if (!vanished->empty()) untagged("VANISHED (EARLIER) {}", vanished->text());
    for (std::uint32_t index = 0; index < selected_->count(); ++index) {
        const auto& message = selected_->list().messages[index];
        if (message.changed <= since || (known.uids && !known.uids->contains(message.uid))) continue;
        begin_fetch(index);
        if (!uids_only_) fmt::format_to(std::back_inserter(out_), "UID {} ", message.uid);
        fmt::format_to(std::back_inserter(out_), "MODSEQ ({}) FLAGS ({}))\r\n", message.changed.value,
                       selected_->flags_of(message));
        if (auto sent = co_await send_some(); !sent) co_return sent;
    }
    co_return Result<>();
}

// The change log knows what was removed since; of what it has forgotten, all UIDs without a message are gone.
Task<Result<SequenceSet>> Client::vanished_since(ModSequence since, std::optional<SequenceSet> known, bool all) {
    std::vector<SequenceSet::Range> gone;
    for (auto from = since; !all;) {
        auto told = co_await services_.store.changes_since(account(), from);
        if (!told) co_return pass_on(told);
        if (told->forgotten) {
            all = true;
            break;
        }
        for (const auto& change : told->changes) {
            using Kind = mailstore::Change::Kind;
            if (change.mailbox != selected_->id() || (change.kind != Kind::removed && change.kind != Kind::moved))
                continue;
            for (const auto& range : change.uids)
                gone.push_back(
                    {static_cast<std::uint32_t>(range.first.value), static_cast<std::uint32_t>(range.last.value)});
        }
        if (told->changes.empty() || told->number <= from) break;
        from = told->number;
    }
    if (all) gone = known ? known->ranges() : std::vector<SequenceSet::Range>{{1, std::max(selected_->last_uid(), 1u)}};
    SequenceSet vanished(without_messages(SequenceSet(std::move(gone)).ranges(), selected_->list()));
    if (known && !all) vanished = SequenceSet(common(vanished.ranges(), known->ranges()));
    co_return vanished;
}

void Client::close_selected() { selected_.reset(); }

// RFC 9051 s6.4.1: nothing is told of what it removes.
Task<Result<>> Client::close(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    if (!selected_->read_only()) {
        auto removed = co_await expunge_deleted(std::nullopt);
        if (!removed) co_return co_await no(removed.error(), "the messages can't be removed");
    }
    close_selected();
    co_return co_await ok("done");
}

Task<Result<>> Client::unselect(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    close_selected();
    co_return co_await ok("done");
}

}  // namespace poplar::imap
