// Mailboxes, flags, copies and moves, and what a mailbox shows.
#include "tests/store/play.h"

#include <algorithm>
#include <iterator>

namespace poplar::test::model {

std::vector<const Play::Known*> Play::live_in(MailboxId id) const {
    std::vector<const Known*> found;
    for (const auto& one : known_)
        if (one.live && one.message.mailbox == id) found.push_back(&one);
    std::ranges::sort(found, {}, [](const Known* one) { return one->message.order; });
    return found;
}

MailboxId Play::any_mailbox(std::uint64_t n) const {
    auto it = names_.begin();
    std::advance(it, n % names_.size());
    return it->first;
}

std::vector<Uid> Play::some_uids(MailboxId id, std::uint64_t bits) const {
    std::vector<Uid> uids{Uid(100'000 + bits % 7)};
    std::size_t i = 0;
    for (const auto* one : live_in(id))
        if (bits >> (i++ * 5 % 59) & 1) uids.push_back(one->message.uid());
    return uids;
}

Play::Known* Play::by_uid(MailboxId id, Uid uid) {
    for (auto& one : known_)
        if (one.live && one.message.mailbox == id && one.message.uid() == uid) return &one;
    return nullptr;
}

void Play::read_names() {
    const auto all = value_of(run(store_->mailboxes(kAccount)), "mailboxes");
    for (const auto& [id, name] : names_) {
        auto same = [&](const Mailbox& one) { return one.id == id && one.name == name; };
        expect(std::ranges::any_of(all, same), "the mailbox {} is gone", name);
    }
    for (const auto& one : all) names_.emplace(one.id, one.name);
}

void Play::compare_mailbox(const Mailbox& mailbox) {
    auto named = names_.find(mailbox.id);
    expect(named != names_.end() && named->second == mailbox.name, "the mailbox {} should not be", mailbox.name);
    const auto expected = live_in(mailbox.id);
    auto list = value_of(run(store_->list(kAccount, mailbox.id, mailstore::OrderKey(0), 100'000)), "list");
    expect(list.size() == expected.size(), "{} messages are listed in {}, not {}", list.size(), mailbox.name,
           expected.size());
    std::uint64_t unseen = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto& message = expected[i]->message;
        expect(list[i].unique_id == message.unique_id, "message {} is {}, not {}", i + 1, list[i].unique_id,
               message.unique_id);
        expect(list[i].order == message.order, "message {} has another place", i + 1);
        expect(list[i].uid() == message.uid(), "message {} has another UID", i + 1);
        expect(list[i].flags.system == message.flags.system, "message {} has other flags", i + 1);
        expect(list[i].mod_sequence() <= mailbox.changed, "message {} changed after its mailbox", i + 1);
        expect(list[i].uid() < mailbox.uid_next, "message {} has a UID to come", i + 1);
        if (!message.flags.has(mailstore::Flag::seen)) ++unseen;
    }
    expect(mailbox.totals.unseen() == unseen, "{} unseen in {}, not {}", mailbox.totals.unseen(), mailbox.name, unseen);
}

void Play::make_mailbox(const ModelStep& step) {
    auto name = fmt::format("m{}", step.a % 4);
    if (step.b % 2 == 1) name += fmt::format("/n{}", step.b % 5);
    const bool there = std::ranges::any_of(names_, [&](const auto& one) { return one.second == name; });
    auto made = run(store_->add_mailbox(kAccount, name));
    expect(made.has_value() != there, "making {}: {}", name, made ? "it was there" : made.error().detail());
    if (made) read_names();
}

void Play::rename_mailbox(const ModelStep& step) {
    const auto id = any_mailbox(step.a);
    const auto from = names_[id], to = fmt::format("m{}/r{}", step.b % 4, step.b % 3);
    const bool taken = std::ranges::any_of(names_, [&](const auto& one) {
        return one.second == to ||
               (one.second.starts_with(from + "/") && std::ranges::any_of(names_, [&](const auto& other) {
                    return other.second == to + one.second.substr(from.size()) && !other.second.starts_with(from + "/");
                }));
    });
    const bool allowed = id != mailstore::kInbox && !taken && to != from && !to.starts_with(from + "/");
    auto done = run(store_->rename_mailbox(kAccount, from, to));
    if (id != mailstore::kInbox && to == from) return;  // what it answers is no matter
    expect(done.has_value() == allowed, "{} to {}: {}", from, to, done ? "should not be" : done.error().detail());
    if (!done) return;
    for (auto& [below, name] : names_)
        if (name == from || name.starts_with(from + "/")) name = to + name.substr(from.size());
    read_names();
}

void Play::remove_mailbox(const ModelStep& step) {
    const auto id = any_mailbox(step.a);
    const auto name = names_[id];
    auto done = run(store_->remove_mailbox(kAccount, name, "test"));
    expect(done.has_value() == (id != mailstore::kInbox), "removing {}", name);
    if (!done) return;
    for (const auto* one : live_in(id)) retain(one->message.unique_id);
    names_.erase(id);
    views_.erase(id);
}

void Play::change_flags(const ModelStep& step) {
    using How = mailstore::FlagChange::How;
    const auto id = any_mailbox(step.a);
    const auto uids = some_uids(id, step.b);
    const mailstore::FlagChange change{
        static_cast<How>(step.a / 7 % 3), static_cast<std::uint8_t>(step.b % (mailstore::kAllFlags + 1)), {}, {}};
    value_of(run(store_->change_flags(kAccount, id, uids, change)), "flags");
    for (auto uid : uids) {
        auto* one = by_uid(id, uid);
        if (!one) continue;
        auto& flags = one->message.flags.system;
        if (change.how == How::set) flags = change.system;
        if (change.how == How::add) flags = static_cast<std::uint8_t>(flags | change.system);
        if (change.how == How::remove) flags = static_cast<std::uint8_t>(flags & ~change.system);
    }
}

void Play::transfer(const ModelStep& step) {
    const auto from = any_mailbox(step.a), to = any_mailbox(step.a / 64);
    const auto uids = some_uids(from, step.b);
    const bool copies = step.kind == Kind::copy_some;
    if (copies && known_.size() > 300) return;
    auto done = value_of(run(copies ? store_->copy(kAccount, from, uids, to) : store_->move(kAccount, from, uids, to)),
                         "transfer");
    expect(done.size() + 1 == uids.size(), "{} messages went, not {}", done.size(), uids.size() - 1);
    const auto list = value_of(run(store_->list(kAccount, to, mailstore::OrderKey(0), 100'000)), "list");
    std::vector<Known> copied;
    for (const auto& [source, target] : done) {
        auto* one = by_uid(from, source);
        expect(one != nullptr, "UID {} was nobody's", source.value);
        auto there = std::ranges::find(list, target, &StoredMessage::uid);
        expect(there != list.end(), "UID {} is not there", target.value);
        if (copies) {
            expect(given_.insert(there->unique_id).second, "the unique-id {} came back", there->unique_id);
            copied.push_back({*there, one->text});
            copied.back().message.flags = one->message.flags;
        } else {
            expect(there->unique_id == one->message.unique_id, "a moved message has another unique-id");
            const auto flags = one->message.flags;
            moved_.emplace_back(one, *there);
            moved_.back().second.flags = flags;
        }
    }
    for (auto& [one, message] : moved_) {
        one->message = message;
        std::erase_if(one->deleted, [&](auto view) { return !views_[to].contains(view); });
    }
    moved_.clear();
    for (auto& one : copied) known_.push_back(std::move(one));
    for (const auto& one : known_)
        if (one.live && one.message.mailbox == mailstore::kInbox)
            last_order_ = std::max(last_order_, one.message.order);
}

void Play::expunge(const ModelStep& step) {
    const auto id = any_mailbox(step.a);
    const auto uids = some_uids(id, step.b);
    auto gone = value_of(run(store_->expunge(kAccount, id, uids, "imap")), "expunge");
    expect(gone + 1 == uids.size(), "{} messages went, not {}", gone, uids.size() - 1);
    for (auto uid : uids)
        if (auto* one = by_uid(id, uid)) retain(one->message.unique_id);
}

}  // namespace poplar::test::model
