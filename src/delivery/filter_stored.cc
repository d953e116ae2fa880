// A script over mail that was filed before. A message goes to other mailboxes, gets flags, or goes to the retained
// area; nothing is sent, and no octet of a message changes.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "delivery/filter.h"
#include "mailstore/keyword_table.h"
#include "mailstore/mailbox_name.h"
#include "sieve/message.h"

namespace poplar::delivery {

namespace {

using Kind = sieve::Action::Kind;
constexpr std::size_t kAtOnce = 100;  // messages whose entries are read together

constexpr std::array<std::pair<mailstore::Flag, std::string_view>, 5> kSystemFlags = {{
    {mailstore::Flag::seen, "\\Seen"},
    {mailstore::Flag::answered, "\\Answered"},
    {mailstore::Flag::flagged, "\\Flagged"},
    {mailstore::Flag::deleted, "\\Deleted"},
    {mailstore::Flag::draft, "\\Draft"},
}};

std::vector<std::string> names_of(const mailstore::Flags& flags, const mailstore::KeywordTable& keywords) {
    auto out = keywords.names_of(flags.keywords);
    for (const auto& [flag, name] : kSystemFlags)
        if (flags.has(flag)) out.emplace_back(name);
    return out;
}

bool has(const std::vector<std::string>& flags, std::string_view wanted) {
    return std::ranges::any_of(flags, [&](const auto& one) { return ascii::same(one, wanted); });
}

bool same_flags(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return a.size() == b.size() && std::ranges::all_of(a, [&](const auto& one) { return has(b, one); });
}

mailstore::FlagChange change_to(const std::vector<std::string>& flags) {
    mailstore::FlagChange change;
    for (const auto& flag : flags) {
        const auto* known =
            std::ranges::find_if(kSystemFlags, [&](const auto& one) { return ascii::same(one.second, flag); });
        if (known != kSystemFlags.end())
            change.system |= static_cast<std::uint8_t>(known->first);
        else if (mailstore::is_keyword(flag) && flag.size() <= mailstore::kLongestKeyword)
            change.keywords.push_back(flag);
    }
    return change;
}

/// The address of a trace field: between its angle brackets, if it has any.
std::optional<std::string> traced(const std::vector<sieve::Field>& fields, std::string_view name) {
    const auto found = std::ranges::find_if(fields, [&](const auto& field) { return ascii::same(field.name, name); });
    if (found == fields.end()) return std::nullopt;
    auto text = found->unfolded();
    if (text.starts_with('<') && text.ends_with('>')) text = text.substr(1, text.size() - 2);
    return text;
}

std::string words_of(const sieve::Action& action) {
    switch (action.kind) {
        case Kind::redirect: return fmt::format("redirect {}", action.address);
        case Kind::reject:
        case Kind::ereject: return "reject";
        case Kind::vacation: return fmt::format("vacation {}", action.address);
        case Kind::notify: return fmt::format("notify {}", action.method);
        case Kind::keep:
        case Kind::fileinto:
        case Kind::discard: break;
    }
    return {};
}

}  // namespace

class Filter::StoredWork {
public:
    StoredWork(Filter& filter, const StoredRun& run, StoredWatcher& watcher)
        : filter_(filter), store_(filter.store_), run_(run), watcher_(watcher) {}

    StoredTotals totals;

    Task<Result<StoredStep>> deal_with(mailstore::StoredMessage message) {
        message_ = std::move(message);
        step_ = StoredStep{message_.unique_id, {}, {}, {}};
        auto names = co_await store_.keywords(run_.account, run_.mailbox);
        if (!names) co_return pass_on(names);
        flags_ = names_of(message_.flags, mailstore::KeywordTable(std::move(*names)));
        auto outcome = co_await judge();
        ++totals.looked_at;
        if (!outcome && outcome.error().code() == Errc::not_found) co_return std::move(step_);  // it has gone meanwhile
        if (!outcome) co_return pass_on(outcome);
        if (outcome->error) {
            step_.error = fmt::format("line {}, column {}: {}", outcome->error->at.line, outcome->error->at.column,
                                      outcome->error->message);
            ++totals.failed;
            co_return std::move(step_);
        }
        plan(*outcome);
        if (auto found = co_await find_targets(); !found) co_return pass_on(found);
        if (auto done = co_await carry_out(); !done) co_return pass_on(done);
        if (!step_.skipped.empty()) ++totals.skipped;
        co_return std::move(step_);
    }

private:
    struct Target {
        sieve::Filing filing;
        std::optional<mailstore::MailboxId> id;  // nothing: it is made
    };

    Task<Result<sieve::Outcome>> judge() {
        auto opened = co_await store_.open(run_.account, message_);
        auto octets = co_await filter_.read(std::move(opened), message_.octets, !run_.script->looks_into_body);
        if (!octets) co_return pass_on(octets);
        const auto fields = sieve::read_fields(octets->text);
        Filtered filtered;
        filtered.account = run_.account;
        filtered.content.octets = message_.octets;
        filtered.from = traced(fields, "return-path").value_or("");
        filtered.to = traced(fields, "delivered-to").value_or(run_.address);
        filtered.address = run_.address;
        filtered.host = run_.host;
        filtered.flags = flags_;
        filtered.stored = true;
        auto instructions = filter_.options_.sieve.instructions;
        co_return co_await filter_.run(filtered, run_.script, octets->text, instructions);
    }

    void plan(const sieve::Outcome& outcome) {
        targets_.clear();
        stays_ = false;
        bool discards = false, keeps = outcome.implicit_keep, changes = outcome.message_changed;
        auto kept = outcome.implicit.flags;
        for (const auto& action : outcome.actions) {
            changes |= action.state.changed();
            switch (action.kind) {
                case Kind::keep:
                    keeps = true;
                    kept = action.filing.flags;
                    break;
                case Kind::fileinto: targets_.push_back({action.filing, std::nullopt}); break;
                case Kind::discard: discards = true; break;
                case Kind::redirect:
                case Kind::reject:
                case Kind::ereject:
                    stays_ |= !action.copy;  // or nobody would have it
                    [[fallthrough]];
                case Kind::vacation:
                case Kind::notify: step_.skipped.push_back(words_of(action)); break;
            }
        }
        if (changes) step_.skipped.emplace_back("a change of the message");
        stays_ |= keeps || (!discards && targets_.empty());
        kept_flags_ = keeps ? std::move(kept) : flags_;
    }

    /// A mailbox that is not there and is not to be made leaves the message where it is. Its own mailbox does, too.
    Task<Result<>> find_targets() {
        std::vector<Target> found;
        for (auto& target : targets_) {
            auto mailbox = co_await store_.mailbox(run_.account, target.filing.mailbox);
            const auto why = mailbox ? Errc::io : mailbox.error().code();
            if (!mailbox && why != Errc::not_found && why != Errc::invalid) co_return pass_on(mailbox);
            const bool makes = target.filing.create || filter_.options_.create_mailboxes;
            if (!mailbox && (why == Errc::invalid || !makes)) {
                step_.skipped.push_back(fmt::format("fileinto {}: there is no such mailbox", target.filing.mailbox));
                stays_ = true;
                continue;
            }
            if (mailbox) target.id = mailbox->id;
            if (target.id == run_.mailbox) {
                stays_ = true;
                kept_flags_ = target.filing.flags;
                continue;
            }
            found.push_back(std::move(target));
        }
        targets_ = std::move(found);
        co_return Result<>();
    }

    Task<Result<mailstore::MailboxId>> make(const sieve::Filing& filing) {
        auto use = mailstore::SpecialUse::none;
        if (filing.special_use.size() > 1)
            use = mailstore::parse_special_use(ascii::to_lower(std::string_view(filing.special_use).substr(1)))
                      .value_or(mailstore::SpecialUse::none);
        auto made = co_await store_.add_mailbox(run_.account, filing.mailbox, use);
        if (!made && made.error().code() == Errc::exists) made = co_await store_.mailbox(run_.account, filing.mailbox);
        if (!made) co_return pass_on(made);
        co_return made->id;
    }

    Task<Result<>> set_flags(mailstore::MailboxId mailbox, mailstore::Uid uid, std::vector<std::string> flags) {
        if (same_flags(flags, flags_)) co_return Result<>();
        step_.done.push_back(fmt::format("flags {}", fmt::join(flags, " ")));
        ++totals.flagged;
        if (run_.dry_run) co_return Result<>();
        auto change = change_to(flags);
        auto done = co_await store_.change_flags(run_.account, mailbox, {uid}, change);
        if (!done && done.error().code() == Errc::too_large) {  // the mailbox has as many keywords as it may
            change.keywords.clear();
            done = co_await store_.change_flags(run_.account, mailbox, {uid}, change);
        }
        if (!done) co_return pass_on(done);
        co_return Result<>();
    }

    Task<Result<>> transfer(Target target, bool moves) {
        step_.done.push_back(fmt::format("{} {}", moves ? "fileinto" : "copy to", target.filing.mailbox));
        ++(moves ? totals.moved : totals.copied);
        if (run_.dry_run) co_return co_await set_flags(run_.mailbox, message_.uid(), std::move(target.filing.flags));
        if (!target.id) {
            auto made = co_await make(target.filing);
            if (!made) co_return pass_on(made);
            target.id = *made;
        }
        std::optional<quota::Reservation> room;
        if (!moves) {
            auto kept = co_await watcher_.room(message_.octets);
            if (!kept) co_return pass_on(kept);
            room.emplace(std::move(*kept));
        }
        auto task = moves ? store_.move(run_.account, run_.mailbox, {message_.uid()}, *target.id)
                          : store_.copy(run_.account, run_.mailbox, {message_.uid()}, *target.id);
        auto done = co_await std::move(task);
        if (!done) co_return pass_on(done);
        if (done->empty()) co_return Result<>();  // it has gone meanwhile
        co_return co_await set_flags(*target.id, done->front().to, std::move(target.filing.flags));
    }

    Task<Result<>> carry_out() {
        while (!targets_.empty()) {
            const bool moves = !stays_ && targets_.size() == 1;  // last, because it takes the message away
            auto target = std::move(targets_.front());
            targets_.erase(targets_.begin());
            if (auto done = co_await transfer(std::move(target), moves); !done) co_return done;
            if (moves) co_return Result<>();
        }
        if (stays_) co_return co_await set_flags(run_.mailbox, message_.uid(), kept_flags_);
        step_.done.emplace_back("discard");
        ++totals.discarded;
        if (run_.dry_run) co_return Result<>();
        auto gone = co_await store_.expunge(run_.account, run_.mailbox, {message_.uid()}, "sieve");
        if (!gone) co_return pass_on(gone);
        co_return Result<>();
    }

    Filter& filter_;
    mailstore::MailStore& store_;
    const StoredRun& run_;
    StoredWatcher& watcher_;
    mailstore::StoredMessage message_;
    std::vector<std::string> flags_, kept_flags_;
    std::vector<Target> targets_;
    bool stays_ = true;
    StoredStep step_;
};

Task<Result<StoredTotals>> Filter::run_over(StoredRun run, StoredWatcher& watcher) {
    StoredWork work(*this, run, watcher);
    auto all = co_await store_.mailboxes(run.account);
    if (!all) co_return pass_on(all);
    const auto found = std::ranges::find(*all, run.mailbox, &mailstore::Mailbox::id);
    if (found == all->end()) co_return fail(Errc::not_found, "the mailbox has gone");
    work.totals.messages = found->totals.messages;
    const auto end = found->uid_next.value;  // what comes from now on is not looked at
    mailstore::OrderKey after{0};
    for (;;) {
        auto page = co_await store_.list(run.account, run.mailbox, after, kAtOnce);
        if (!page) co_return pass_on(page);
        for (auto& message : *page) {
            after = message.order;
            if (message.order.value >= end) co_return work.totals;
            auto step = co_await work.deal_with(std::move(message));
            if (!step) co_return pass_on(step);
            if (auto told = co_await watcher.on_step(std::move(*step), work.totals); !told) co_return pass_on(told);
        }
        if (page->size() < kAtOnce) co_return work.totals;
    }
}

}  // namespace poplar::delivery
