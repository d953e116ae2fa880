// Each step that concerns messages, and the comparison of the store with the list.
#include "tests/store/play.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace poplar::test::model {

namespace {

std::string text_of(std::uint64_t size, std::uint64_t seed) {
    std::string text = fmt::format("Subject: {}\r\n\r\n", seed);
    std::mt19937_64 random(seed);
    while (text.size() < size) text += fmt::format("{:016x}\r\n", random());
    return text;
}

}  // namespace

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

void Play::make(const ModelStep& step) {
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

void Play::compare() {
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

void Play::compare_all() {
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

void Play::expect_sound(const std::vector<engine::local::Damage>& damage) {
    for (const auto& one : damage) expect(false, "rebuild found {} at {}: {}", one.file, one.offset, one.what);
}

void Play::start() {
    engine_ = value_of(engine::local::LocalEngine::open(options_), "open");
    for (const auto& damage : engine_->status().damage)
        expect(false, "the start found {}: {}", damage.file, damage.what);
    store_ = std::make_unique<MailStore>(*engine_, clock_, mail_options_);
    told_.reset();
    store_->on_totals([this](mailstore::AccountId account, const mailstore::AccountTotals& totals) {
        if (account == kAccount) told_ = totals;
    });
}

void Play::stop() {
    sessions_ = {};
    store_.reset();
    engine_.reset();
}

mailstore::Content Play::stage(std::string text, std::size_t bodies) {
    auto writer = store_->stage();
    value_of(run(writer->write(text)), "writing");
    auto content = value_of(run(writer->finish(text.size(), bodies)), "finishing");
    expect(read(store_->read(content)) == text, "what was staged is read back as something else");
    return content;
}

void Play::append(const ModelStep& step) {
    auto serial = ++serial_;
    auto size = step.b % 16 == 0 ? 70'000 + step.a % 100'000 : step.a % 9'000;
    // Half of them answer one of the last before.
    auto text =
        (step.b % 2 == 0 ? fmt::format("Message-ID: <{}@x>\r\nReferences: <{}@x>\r\n\r\n", serial, serial - step.a % 5)
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

void Play::remove(const ModelStep& step) {
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < known_.size(); ++i)
        if (step.a >> (i * 11 % 61) & 1) ids.push_back(known_[i].message.unique_id);
    value_of(run(store_->remove(kAccount, ids, "admin")), "remove");
    for (const auto& id : ids) retain(id);
}

void Play::restore(const ModelStep& step) {
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

void Play::describe(const ModelStep& step) {
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

void Play::expire(const ModelStep& step) {
    clock_.advance(std::chrono::hours(step.a % (24 * 20)));
    value_of(run(store_->expire(kAccount, clock_.now())), "expire");
    std::erase_if(known_, [&](const Known& one) { return !one.live && one.expires <= clock_.now(); });
}

void Play::purge() {
    sessions_ = {};
    value_of(run(store_->purge(kAccount, mailstore::Afterwards::open)), "purge");
    known_.clear();
    purged_ = true;
    names_ = {{mailstore::kInbox, "INBOX"}};
    views_.clear();
}

Play::Known* Play::find(const std::string& id) {
    auto it = std::ranges::find(known_, id, [](const Known& one) { return one.message.unique_id; });
    return it == known_.end() ? nullptr : &*it;
}

void Play::retain(const std::string& id) {
    auto* one = find(id);
    if (!one || !one->live) return;
    one->live = false;
    one->deleted.clear();
    one->expires = clock_.now() + mail_options_.retention;
    const auto from = one->message.mailbox;
    one->retained_from = from == mailstore::kInbox ? "" : names_.at(from);
}

void Play::check_bytes(const Known& one) {
    auto found = value_of(run(store_->find(kAccount, one.message.unique_id)), "find");
    auto text = read(run(store_->open(kAccount, found)));
    expect(text == one.text, "other bytes of {}: {}", one.message.unique_id, text.substr(0, 60));
}

}  // namespace poplar::test::model
