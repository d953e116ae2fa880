// Makes each step in the real store and in the list, and compares all that either shows.
#include "tests/store/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "engine/local/local_engine.h"
#include "tests/engine/local_store.h"
#include "tests/support/flip_codec.h"
#include "tests/support/manual_clock.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {

namespace {

using mailstore::Mailbox;
using mailstore::MailboxId;
using mailstore::Maildrop;
using mailstore::MailStore;
using mailstore::Message;
using mailstore::StoredMessage;
using mailstore::Uid;
using Kind = ModelStep::Kind;

constexpr mailstore::AccountId kAccount{1024};
constexpr mailstore::AccountId kOther{1025};  // its mail shares the segments

struct Disagrees {
    std::string what;
};
template <class... Args>
void expect(bool agrees, fmt::format_string<Args...> what, Args&&... args) {
    if (!agrees) throw Disagrees{fmt::format(what, std::forward<Args>(args)...)};
}
template <class T>
T value_of(Result<T> result, std::string_view what) {
    expect(result.has_value(), "{} failed: {}", what, result ? "" : result.error().detail());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string text_of(std::uint64_t size, std::uint64_t seed) {
    std::string text = fmt::format("Subject: {}\r\n\r\n", seed);
    std::mt19937_64 random(seed);
    while (text.size() < size) text += fmt::format("{:016x}\r\n", random());
    return text;
}

std::string read(Result<std::unique_ptr<engine::BodyReader>> reader) {
    if (!reader) return "!" + reader.error().detail();
    std::string text;
    for (;;) {
        auto chunk = run((*reader)->next());
        if (!chunk) return "!" + chunk.error().detail();
        if (chunk->empty()) return text;
        text += *chunk;
    }
}

class Play {
public:
    Play() { start(); }
    ~Play() { stop(); }

    void make(const ModelStep& step) {
        switch (step.kind) {
            case Kind::append: return append(step);
            case Kind::open: return open_session(step);
            case Kind::list: return list_session(step);
            case Kind::quit: return quit(step);
            case Kind::drop: sessions_[step.a % 2].reset(); return;
            case Kind::remove: return remove(step);
            case Kind::restore: return restore(step);
            case Kind::expire: return expire(step);
            case Kind::purge: return purge();
            case Kind::copy:
                while (value_of(engine_->copy_segments(), "copying")) {
                }
                return;
            case Kind::scrub: return scrub();
            case Kind::reopen: stop(); return start();
            case Kind::crash:
            case Kind::torn:
            case Kind::rebuild: return crash(step);
            case Kind::back_up: return back_up();
            case Kind::put_back: return put_back();
            case Kind::make_mailbox: return make_mailbox(step);
            case Kind::rename_mailbox: return rename_mailbox(step);
            case Kind::remove_mailbox: return remove_mailbox(step);
            case Kind::flags: return change_flags(step);
            case Kind::copy_some:
            case Kind::move_some: return transfer(step);
            case Kind::expunge: return expunge(step);
            case Kind::views: return change_views(step);
            case Kind::describe: return describe(step);
            case Kind::follow: return follow(readers_[step.a % readers_.size()]);
        }
    }

    void compare() {
        value_of(run(store_->check(kAccount)), "check");
        mailstore::AccountTotals expected;
        std::map<std::string, std::string> retained;  // unique-id, mailbox
        for (const auto& one : known_) {
            (one.live ? expected.messages : expected.retained_messages) += 1;
            (one.live ? expected.octets : expected.retained_octets) += one.message.octets;
            if (!one.live) retained.emplace(one.message.unique_id, one.retained_from);
        }
        expect(value_of(run(store_->totals(kAccount)), "totals") == expected, "the counters differ");
        expect(!told_ || *told_ == expected, "quotas were told other counters");
        auto mailboxes = value_of(run(store_->mailboxes(kAccount)), "mailboxes");
        expect(mailboxes.size() == names_.size(), "{} mailboxes, not {}", mailboxes.size(), names_.size());
        for (const auto& mailbox : mailboxes) compare_mailbox(mailbox);
        auto kept = value_of(run(store_->list_retained(kAccount, 0, 100'000)), "list_retained");
        std::map<std::string, std::string> found;
        for (const auto& one : kept) found.emplace(one.message.unique_id, one.mailbox);
        expect(found == retained, "{} retained messages, not {}, or of other mailboxes", found.size(), retained.size());
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (known_.size() < 8 || i % 7 == turn_ % 7) check_bytes(known_[i]);
        ++turn_;
    }

    void compare_all() {
        compare();
        for (auto& reader : readers_) follow(reader);
        for (const auto& one : known_) check_bytes(one);
        std::string found;
        auto report = [&](const engine::local::Damage& damage) { found = damage.file + ": " + damage.what; };
        value_of(engine_->verify(report), "verify");
        expect(found.empty(), "verify found {}", found);
        stop();
        auto before = dump_index(options_.directory);
        auto damage = value_of(engine::local::LocalEngine::rebuild(options_), "rebuild");
        expect_sound(damage);
        auto anew = dump_index(options_.directory);
        for (const auto& [key, value] : before)
            expect(anew.contains(key) && anew[key] == value, "made anew from the segments, {} is {}, not {}",
                   testing::PrintToString(key), testing::PrintToString(anew[key]), testing::PrintToString(value));
        expect(anew.size() == before.size(), "the index made anew from the segments has other keys");
        start();
    }

private:
    static void expect_sound(const std::vector<engine::local::Damage>& damage) {
        for (const auto& one : damage) expect(false, "rebuild found {} at {}: {}", one.file, one.offset, one.what);
    }
    struct Known {
        StoredMessage message;  // its UID and flags, too, are as they should be
        std::string text;
        bool live = true;
        Timestamp expires{};
        std::set<mailstore::ViewId> deleted = {};  // in these views of the mailbox that it is in
        std::string retained_from = {};            // what its mailbox was called when it was deleted; "" for INBOX
    };
    using Names = std::map<MailboxId, std::string>;
    using Views = std::map<MailboxId, std::set<mailstore::ViewId>>;  // those that have a row; of some mailboxes none
    struct Backup {
        std::vector<Known> known;
        mailstore::OrderKey last_order;
        bool purged = false;
        Names names;
        Views views;
    };
    /// The knowledge of somebody who only reads the account's change log: the flags of each UID of each mailbox.
    struct Reader {
        mailstore::ModSequence number;
        std::map<MailboxId, std::map<std::uint64_t, std::uint32_t>> seen;
        bool begun = false;
    };
    struct Session {
        std::unique_ptr<Maildrop> maildrop;
        mailstore::WantedMaildrop wanted;
        std::vector<std::string> ids = {};  // as of its login

        bool sees(MailboxId id) const { return std::ranges::find(wanted.mailboxes, id) != wanted.mailboxes.end(); }
    };

    void start() {
        engine_ = value_of(engine::local::LocalEngine::open(options_), "open");
        for (const auto& damage : engine_->status().damage)
            expect(false, "the start found {}: {}", damage.file, damage.what);
        store_ = std::make_unique<MailStore>(*engine_, clock_, mail_options_);
        told_.reset();
        store_->on_totals([this](mailstore::AccountId account, const mailstore::AccountTotals& totals) {
            if (account == kAccount) told_ = totals;
        });
    }
    void stop() {
        sessions_ = {};
        store_.reset();
        engine_.reset();
    }

    mailstore::Content stage(std::string text, std::size_t bodies) {
        auto writer = store_->stage();
        value_of(run(writer->write(text)), "writing");
        auto content = value_of(run(writer->finish(text.size(), bodies)), "finishing");
        expect(read(store_->read(content)) == text, "what was staged is read back as something else");
        return content;
    }

    void append(const ModelStep& step) {
        auto serial = ++serial_;
        auto size = step.b % 16 == 0 ? 70'000 + step.a % 100'000 : step.a % 9'000;
        // Half of them answer one of the last before.
        auto text = (step.b % 2 == 0
                         ? fmt::format("Message-ID: <{}@x>\r\nReferences: <{}@x>\r\n\r\n", serial, serial - step.a % 5)
                         : std::string()) +
                    text_of(size, serial);
        std::string id = step.b % 5 == 1 ? fmt::format("given-{}", serial) : "";
        if (step.b % 5 == 2 && !known_.empty()) id = known_[step.a % known_.size()].message.unique_id;
        // For two accounts or one; half of those for two are told to be for so many that any body is worth sharing.
        const bool both = step.b % 3 == 0;
        const auto content = stage(text, both ? 2 + step.a % 2 * 5000 : 1);
        mailstore::NewMessage message{"Delivered-To: x\r\n", content, id};
        if (step.a % 3 == 0) message.mailbox = any_mailbox(step.b);
        auto done = run(store_->append(kAccount, message));
        if (step.b % 5 == 2 && !known_.empty()) {
            expect(!done, "a unique-id was given twice");
            return;
        }
        auto stored = value_of(std::move(done), "append");
        expect(given_.insert(stored.unique_id).second, "the unique-id {} came back", stored.unique_id);
        if (message.mailbox == mailstore::kInbox) {
            if (!known_.empty()) expect(stored.order > last_order_ || purged_, "a place in the order came back");
            last_order_ = stored.order;
            purged_ = false;
        }
        StoredMessage as_stored{stored, message.mailbox};
        known_.push_back({std::move(as_stored), "Delivered-To: x\r\n" + text});
        if (both) value_of(run(store_->append(kOther, {"", content, ""})), "append");
        if (step.b % 31 == 0) value_of(run(store_->purge(kOther, mailstore::Afterwards::open)), "purge");
    }

    void open_session(const ModelStep& step) {
        auto& session = sessions_[step.a % 2];
        if (session) return;
        // Mostly the classic view of INBOX: while it is the only one, what is deleted there leaves the mailbox.
        mailstore::WantedMaildrop wanted(mailstore::ViewId(step.b % 7 < 2 ? 1 + step.b % 2 : 0), {mailstore::kInbox});
        if (step.a % 5 == 0) wanted.mailboxes = {any_mailbox(step.b)};
        if (step.a % 5 == 1) wanted.mailboxes.push_back(any_mailbox(step.b));
        if (step.b % 11 == 0) wanted.when_all_deleted = mailstore::WhenAllDeleted::keep;
        const auto& beside = sessions_[1 - step.a % 2];
        auto is_held = [&](MailboxId id) { return beside && beside->wanted.view == wanted.view && beside->sees(id); };
        const bool held = std::ranges::any_of(wanted.mailboxes, is_held);
        if (wanted.view != mailstore::kClassicView)
            for (auto id : wanted.mailboxes) {
                value_of(run(store_->make_view(kAccount, {wanted.view, id}, mailstore::kFromTheFirst)), "make_view");
                views_[id].insert({mailstore::kClassicView, wanted.view});
            }
        auto opened = run(store_->open_maildrop(kAccount, wanted));
        expect(opened.has_value() != held, "{}", held ? "a second session got the maildrop" : "the maildrop is in use");
        if (!opened) return;
        session.emplace(std::move(*opened), wanted);
        std::vector<const Known*> shown;
        for (const auto& [id, name] : names_)
            for (const auto* one : live_in(id))
                if (session->sees(id) && !one->deleted.contains(wanted.view)) shown.push_back(one);
        // One mailbox has its own order; several together have that of arrival.
        if (wanted.mailboxes.front() != wanted.mailboxes.back())
            std::ranges::sort(shown, {}, [](const Known* one) {
                return std::tuple(one->message.received, one->message.mailbox, one->message.order);
            });
        std::uint64_t octets = 0;
        for (const auto* one : shown) {
            session->ids.push_back(one->message.unique_id);
            octets += one->message.octets;
        }
        expect(session->maildrop->message_count() == session->ids.size(), "the session counts otherwise");
        expect(session->maildrop->octets() == octets, "the session counts other octets");
    }

    const std::vector<Message>& list_of(Session& session) {
        const auto& list = *value_of(run(session.maildrop->messages()), "the session's list");
        expect(list.size() == session.ids.size(), "the session sees {} messages, not {}", list.size(),
               session.ids.size());
        for (std::size_t i = 0; i < list.size(); ++i)
            expect(list[i].unique_id == session.ids[i], "the session's message {} is another", i + 1);
        return list;
    }

    Session* any_session() {
        for (auto& session : sessions_)
            if (session) return &*session;
        return nullptr;
    }

    void list_session(const ModelStep& step) {
        auto* session = any_session();
        if (!session) return;
        const auto& list = list_of(*session);
        if (list.empty()) return;
        const auto& message = list[step.a % list.size()];
        auto text = read(run(session->maildrop->open(message)));
        if (auto known = find(message.unique_id))  // else its days are over
            expect(text == known->text, "the session reads other bytes of {}", message.unique_id);
    }

    void quit(const ModelStep& step) {
        auto* session = any_session();
        if (!session) return;
        const auto& list = list_of(*session);
        std::vector<std::uint32_t> numbers;
        for (std::size_t i = 0; i < list.size(); ++i)
            if (step.a >> (i * 7 % 61) & 1) numbers.push_back(static_cast<std::uint32_t>(i + 1));
        value_of(run(session->maildrop->remove(numbers)), "the session's deletions");
        const auto& wanted = session->wanted;
        const bool several = wanted.mailboxes.front() != wanted.mailboxes.back();
        for (auto number : numbers) {
            // One that was moved meanwhile is not in a maildrop of one mailbox any more, even if it came back to
            // another place. In one of several it is, as long as it is in one of them.
            auto* one = find(session->ids[number - 1]);
            const auto& listed = list[number - 1];
            if (!one || !one->live || !session->sees(one->message.mailbox)) continue;
            if (!several && one->message.order != listed.order) continue;
            auto& views = views_[one->message.mailbox];
            if (views.empty() && wanted.when_all_deleted == mailstore::WhenAllDeleted::keep)
                views.insert(mailstore::kClassicView);
            if (views.empty())
                retain(listed.unique_id);
            else
                one->deleted.insert(wanted.view);
        }
        for (auto& one : sessions_)
            if (one && &*one == session) one.reset();
    }

    void remove(const ModelStep& step) {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (step.a >> (i * 11 % 61) & 1) ids.push_back(known_[i].message.unique_id);
        value_of(run(store_->remove(kAccount, ids, "admin")), "remove");
        for (const auto& id : ids) retain(id);
    }

    void restore(const ModelStep& step) {
        if (known_.empty()) return;
        auto& one = known_[step.a % known_.size()];
        const auto before = one.message;
        auto restored = value_of(run(store_->restore(kAccount, before.unique_id)), "restore");
        if (one.live) return;
        // Where it was; if that is gone, where its name leads now.
        const auto was = one.retained_from.empty() ? "INBOX" : one.retained_from;
        if (names_.contains(before.mailbox)) {
            expect(restored.mailbox == before.mailbox, "the restored message is in another mailbox");
            expect(restored.order == before.order, "the restored message has another place");
            expect(restored.uid() > before.uid(), "the restored message has a UID that was gone");
        } else {
            const auto there = value_of(run(store_->mailbox(kAccount, was)), "the restored message's mailbox");
            expect(restored.mailbox == there.id, "the restored message is not in {}", was);
            read_names();
        }
        expect(restored.flags.system == before.flags.system, "the restored message has other flags");
        one.message = restored;
        one.live = true;
    }

    // Mailboxes

    std::vector<const Known*> live_in(MailboxId id) const {
        std::vector<const Known*> found;
        for (const auto& one : known_)
            if (one.live && one.message.mailbox == id) found.push_back(&one);
        std::ranges::sort(found, {}, [](const Known* one) { return one->message.order; });
        return found;
    }
    MailboxId any_mailbox(std::uint64_t n) const {
        auto it = names_.begin();
        std::advance(it, n % names_.size());
        return it->first;
    }
    /// Some of a mailbox's UIDs, and some that nobody has.
    std::vector<Uid> some_uids(MailboxId id, std::uint64_t bits) const {
        std::vector<Uid> uids{Uid(100'000 + bits % 7)};
        std::size_t i = 0;
        for (const auto* one : live_in(id))
            if (bits >> (i++ * 5 % 59) & 1) uids.push_back(one->message.uid());
        return uids;
    }
    Known* by_uid(MailboxId id, Uid uid) {
        for (auto& one : known_)
            if (one.live && one.message.mailbox == id && one.message.uid() == uid) return &one;
        return nullptr;
    }
    /// Names of mailboxes made on the way to another.
    void read_names() {
        const auto all = value_of(run(store_->mailboxes(kAccount)), "mailboxes");
        for (const auto& [id, name] : names_) {
            auto same = [&](const Mailbox& one) { return one.id == id && one.name == name; };
            expect(std::ranges::any_of(all, same), "the mailbox {} is gone", name);
        }
        for (const auto& one : all) names_.emplace(one.id, one.name);
    }

    void compare_mailbox(const Mailbox& mailbox) {
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
        expect(mailbox.totals.unseen() == unseen, "{} unseen in {}, not {}", mailbox.totals.unseen(), mailbox.name,
               unseen);
    }

    void make_mailbox(const ModelStep& step) {
        auto name = fmt::format("m{}", step.a % 4);
        if (step.b % 2 == 1) name += fmt::format("/n{}", step.b % 5);
        const bool there = std::ranges::any_of(names_, [&](const auto& one) { return one.second == name; });
        auto made = run(store_->add_mailbox(kAccount, name));
        expect(made.has_value() != there, "making {}: {}", name, made ? "it was there" : made.error().detail());
        if (made) read_names();
    }

    void rename_mailbox(const ModelStep& step) {
        const auto id = any_mailbox(step.a);
        const auto from = names_[id], to = fmt::format("m{}/r{}", step.b % 4, step.b % 3);
        const bool taken = std::ranges::any_of(names_, [&](const auto& one) {
            return one.second == to ||
                   (one.second.starts_with(from + "/") && std::ranges::any_of(names_, [&](const auto& other) {
                        return other.second == to + one.second.substr(from.size()) &&
                               !other.second.starts_with(from + "/");
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

    void remove_mailbox(const ModelStep& step) {
        const auto id = any_mailbox(step.a);
        const auto name = names_[id];
        auto done = run(store_->remove_mailbox(kAccount, name, "test"));
        expect(done.has_value() == (id != mailstore::kInbox), "removing {}", name);
        if (!done) return;
        for (const auto* one : live_in(id)) retain(one->message.unique_id);
        names_.erase(id);
        views_.erase(id);
    }

    void change_flags(const ModelStep& step) {
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

    void transfer(const ModelStep& step) {
        const auto from = any_mailbox(step.a), to = any_mailbox(step.a / 64);
        const auto uids = some_uids(from, step.b);
        const bool copies = step.kind == Kind::copy_some;
        if (copies && known_.size() > 300) return;
        auto done = value_of(
            run(copies ? store_->copy(kAccount, from, uids, to) : store_->move(kAccount, from, uids, to)), "transfer");
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

    void expunge(const ModelStep& step) {
        const auto id = any_mailbox(step.a);
        const auto uids = some_uids(id, step.b);
        auto gone = value_of(run(store_->expunge(kAccount, id, uids, "imap")), "expunge");
        expect(gone + 1 == uids.size(), "{} messages went, not {}", gone, uids.size() - 1);
        for (auto uid : uids)
            if (auto* one = by_uid(id, uid)) retain(one->message.unique_id);
    }

    void change_views(const ModelStep& step) {
        auto retain_if = [this](MailboxId id, auto is_unwanted) {
            std::vector<std::string> unwanted;
            for (const auto* one : live_in(id))
                if (is_unwanted(one->deleted)) unwanted.push_back(one->message.unique_id);
            for (const auto& unique_id : unwanted) retain(unique_id);
        };
        const mailstore::ViewId view(1 + step.b % 2);
        for (const auto& session : sessions_)
            if (session && session->wanted.view == view) return;
        if (step.a % 4 != 0) {
            value_of(run(store_->let_go(kAccount)), "let_go");
            for (const auto& [id, views] : views_)
                if (!views.empty()) retain_if(id, [&](const auto& deleted) { return deleted == views; });
            return;
        }
        const auto id = any_mailbox(step.a / 4);
        auto& views = views_[id];
        const bool alone = views == std::set{mailstore::kClassicView};  // what was deleted was kept
        value_of(run(store_->drop_view(kAccount, {view, id})), "drop_view");
        if (views.erase(view) == 0 && !alone) return;
        for (auto& one : known_)
            if (one.message.mailbox == id) one.deleted.erase(view);
        if (views.size() > 1) return;
        retain_if(id, [](const auto& deleted) { return !deleted.empty(); });
        views.clear();
    }

    /// Structures fit the messages. A thread is a message's for ever, whatever was kept of others meanwhile.
    void describe(const ModelStep& step) {
        const auto id = any_mailbox(step.a);
        const auto list = value_of(run(store_->list(kAccount, id, mailstore::OrderKey(0), 100'000)), "list");
        if (step.b % 7 == 0) value_of(run(store_->drop_structures(kAccount)), "drop_structures");
        const auto structures = run(store_->structures(kAccount, list));
        const auto threads = run(store_->threads(kAccount, list));
        for (std::size_t i = 0; i < list.size(); ++i) {
            const auto& structure = value_of(structures[i], "structure");
            const auto& whole = structure.parts.front();
            expect(whole.header_octets + whole.body_octets == list[i].octets, "a structure is of another message");
            const auto known = threads_.emplace(list[i].unique_id, value_of(threads[i], "thread")).first;
            expect(known->second == *threads[i], "the thread of {} is another", list[i].unique_id);
        }
    }

    // Readers of the change log

    std::map<std::uint64_t, std::uint32_t> flags_in(MailboxId id) {
        std::map<std::uint64_t, std::uint32_t> flags;
        auto list = run(store_->list_uids(kAccount, id));
        if (!list && list.error().code() == Errc::not_found && !names_.contains(id)) return flags;  // it went since
        for (const auto& one : value_of(std::move(list), "list_uids")->messages) flags[one.uid] = one.flags;
        return flags;
    }

    /// Catches up by what it is told alone; then it must know what there is.
    void follow(Reader& reader) {
        for (;;) {
            auto list = value_of(run(store_->changes_since(kAccount, reader.number, 3)), "changes_since");
            if (!reader.begun || list.forgotten) {
                reader.seen.clear();
                for (const auto& [id, name] : names_) reader.seen[id] = flags_in(id);
                reader.begun = true;
            } else {
                for (const auto& change : list.changes) apply(reader, change);
            }
            const bool all = reader.number == list.number || list.forgotten;
            reader.number = list.number;
            if (all) break;
        }
        std::map<MailboxId, std::map<std::uint64_t, std::uint32_t>> there;
        for (const auto& [id, name] : names_) there[id] = flags_in(id);
        expect(reader.seen == there, "a reader of the change log knows something else than there is");
    }

    void apply(Reader& reader, const mailstore::Change& change) {
        using What = mailstore::Change::Kind;
        auto each = [](const std::vector<mailstore::UidRange>& ranges, auto&& see) {
            for (const auto& range : ranges)
                for (auto uid = range.first.value; uid <= range.last.value; ++uid) see(uid);
        };
        // Their flags are asked for, as a session would; what went meanwhile is told of later.
        auto look = [&](MailboxId id, const std::vector<mailstore::UidRange>& ranges) {
            const auto now = flags_in(id);
            each(ranges, [&](std::uint64_t uid) {
                auto found = now.find(uid);
                if (found != now.end())
                    reader.seen[id][uid] = found->second;
                else if (change.kind != What::flags)
                    reader.seen[id][uid] = 0;
            });
        };
        switch (change.kind) {
            case What::added:
            case What::flags: look(change.mailbox, change.uids); break;
            case What::removed:
                each(change.uids, [&](std::uint64_t uid) { reader.seen[change.mailbox].erase(uid); });
                break;
            case What::moved:
                each(change.uids, [&](std::uint64_t uid) { reader.seen[change.mailbox].erase(uid); });
                look(change.to, change.to_uids);
                break;
            case What::mailbox: reader.seen[change.mailbox]; break;
            case What::mailbox_removed: reader.seen.erase(change.mailbox); break;
            case What::document: break;
        }
    }

    void expire(const ModelStep& step) {
        clock_.advance(std::chrono::hours(step.a % (24 * 20)));
        value_of(run(store_->expire(kAccount, clock_.now())), "expire");
        std::erase_if(known_, [&](const Known& one) { return !one.live && one.expires <= clock_.now(); });
    }

    void purge() {
        sessions_ = {};
        value_of(run(store_->purge(kAccount, mailstore::Afterwards::open)), "purge");
        known_.clear();
        purged_ = true;
        names_ = {{mailstore::kInbox, "INBOX"}};
        views_.clear();
    }

    void scrub() {
        std::string found;
        auto report = [&](const engine::local::Damage& damage) { found = damage.file + ": " + damage.what; };
        value_of(engine_->verify(report), "verify");
        expect(found.empty(), "verify found {}", found);
    }

    // The directory as it is now goes on, not as a clean stop would leave it.
    void crash(const ModelStep& step) {
        auto abandoned = directory_.path() / "abandoned";
        copy_directory(options_.directory, abandoned);
        stop();
        fs::remove_all(options_.directory);
        fs::rename(abandoned, options_.directory);
        if (step.kind == Kind::torn) tear(step);
        if (step.kind == Kind::rebuild) {
            auto damage = value_of(engine::local::LocalEngine::rebuild(options_), "rebuild");
            expect_sound(damage);
        }
        start();
    }

    void back_up() {
        stop();
        fs::remove_all(directory_.path() / "backup");
        copy_directory(options_.directory, directory_.path() / "backup");
        backup_ = Backup{known_, last_order_, purged_, names_, views_};
        start();
    }

    void put_back() {
        if (!backup_) return;
        stop();
        fs::remove_all(options_.directory);
        copy_directory(directory_.path() / "backup", options_.directory);
        known_ = backup_->known;
        last_order_ = backup_->last_order;
        purged_ = backup_->purged;
        names_ = backup_->names;
        views_ = backup_->views;
        threads_.clear();
        for (auto& reader : readers_) reader = {};  // numbers that were given out come again
        start();
    }

    // Octets behind the log's end, as of a group that was never synced: what a record begins with, and some of it.
    void tear(const ModelStep& step) {
        fs::path newest;
        for (const auto& file : fs::directory_iterator(options_.directory / "log/0"))
            newest = std::max(newest, file.path());
        auto log = read_whole(newest);
        auto end = log.find_last_not_of('\0') + 1;
        if (end <= 128) return;
        auto piece = log.substr(64, 8 + step.a % (end - 72));
        end += 16;  // the last record may end in zeros
        if (log.size() < end + piece.size()) log.resize(end + piece.size(), '\0');
        log.replace(end, piece.size(), piece);
        std::ofstream(newest, std::ios::binary | std::ios::trunc) << log;
    }

    Known* find(const std::string& id) {
        auto it = std::ranges::find(known_, id, [](const Known& one) { return one.message.unique_id; });
        return it == known_.end() ? nullptr : &*it;
    }
    void retain(const std::string& id) {
        auto* one = find(id);
        if (!one || !one->live) return;
        one->live = false;
        one->deleted.clear();
        one->expires = clock_.now() + mail_options_.retention;
        const auto from = one->message.mailbox;
        one->retained_from = from == mailstore::kInbox ? "" : names_.at(from);
    }
    void check_bytes(const Known& one) {
        auto found = value_of(run(store_->find(kAccount, one.message.unique_id)), "find");
        auto text = read(run(store_->open(kAccount, found)));
        expect(text == one.text, "other bytes of {}: {}", one.message.unique_id, text.substr(0, 60));
    }

    TempDir directory_;
    engine::local::Options options_ = [this] {
        auto options = small_options(directory_.path() / "store", 64 << 10);
        options.large_body = 64 << 10;
        return options;
    }();
    ManualClock clock_;
    mailstore::Options mail_options_ = [] {
        mailstore::Options options;
        options.commit_messages = 25;
        options.change_log_rows = 40;
        options.view_unused = std::chrono::days(36'500);
        options.codec = codec_of_tests();
        return options;
    }();
    std::unique_ptr<engine::local::LocalEngine> engine_;
    std::unique_ptr<MailStore> store_;
    std::optional<mailstore::AccountTotals> told_;  // by MailStore::on_totals, since the store was opened
    std::array<std::optional<Session>, 2> sessions_;
    std::vector<Known> known_;
    Names names_{{mailstore::kInbox, "INBOX"}};
    Views views_;
    std::array<Reader, 3> readers_;
    std::vector<std::pair<Known*, StoredMessage>> moved_;
    std::optional<Backup> backup_;
    std::map<std::string, mailstore::ThreadId> threads_;  // that were told, by unique-id
    std::set<std::string> given_;                         // in all lives
    mailstore::OrderKey last_order_;
    bool purged_ = false;
    std::uint64_t serial_ = 0, turn_ = 0;
};

}  // namespace

std::string to_string(const ModelStep& step) {
    constexpr auto kNames = std::to_array<std::string_view>(
        {"append",    "open",      "list",     "quit",         "drop",           "remove",         "restore",
         "expire",    "purge",     "copy",     "scrub",        "reopen",         "crash",          "torn",
         "rebuild",   "back_up",   "put_back", "make_mailbox", "rename_mailbox", "remove_mailbox", "flags",
         "copy_some", "move_some", "expunge",  "views",        "describe",       "follow"});
    static_assert(kNames.size() == static_cast<std::size_t>(Kind::last) + 1);
    return fmt::format("{{Kind::{}, {}, {}}}", kNames[static_cast<std::size_t>(step.kind)], step.a, step.b);
}

std::vector<ModelStep> random_history(std::uint64_t seed, std::size_t steps) {
    std::mt19937_64 random(seed);
    // How often of each kind.
    constexpr auto kWeights =
        std::to_array<int>({40, 6, 6, 6, 2, 8, 6, 8, 1, 8, 1, 2, 3, 2, 1, 1, 2, 6, 3, 3, 12, 8, 8, 5, 6, 4, 12});
    static_assert(kWeights.size() == static_cast<std::size_t>(Kind::last) + 1);
    std::discrete_distribution<int> kinds(kWeights.begin(), kWeights.end());
    std::vector<ModelStep> history;
    for (std::size_t i = 0; i < steps; ++i) history.push_back({static_cast<Kind>(kinds(random)), random(), random()});
    return history;
}

std::optional<Disagreement> play(const std::vector<ModelStep>& history) {
    std::size_t step = 0;
    try {
        Play play;
        for (; step < history.size(); ++step) {
            play.make(history[step]);
            play.compare();
        }
        play.compare_all();
    } catch (const Disagrees& disagrees) {
        return Disagreement{step, disagrees.what};
    }
    return std::nullopt;
}

std::vector<ModelStep> shrink(std::vector<ModelStep> history, const Fails& fails) {
    auto keep_if_it_fails = [&](std::vector<ModelStep> shorter) {
        auto found = fails(shorter);
        if (!found) return false;
        if (found->step < shorter.size()) shorter.resize(found->step + 1);
        history = std::move(shorter);
        return true;
    };
    for (auto part = history.size() / 2; part > 0; part /= 2)
        for (std::size_t at = 0; at < history.size();) {
            auto shorter = history;
            auto begin = shorter.begin() + static_cast<std::ptrdiff_t>(at);
            shorter.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, history.size() - at)));
            if (!keep_if_it_fails(std::move(shorter))) at += part;
        }
    for (std::size_t i = 0; i < history.size(); ++i)
        for (auto member : {&ModelStep::a, &ModelStep::b})
            for (std::uint64_t smaller : {std::uint64_t{0}, std::uint64_t{1}, history[i].*member % 1000}) {
                if (history[i].*member <= smaller) continue;
                auto simpler = history;
                simpler[i].*member = smaller;
                if (keep_if_it_fails(std::move(simpler)) && i >= history.size()) return history;
            }
    return history;
}

}  // namespace poplar::test
