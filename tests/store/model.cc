#include "tests/store/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "engine/local/local_engine.h"
#include "tests/engine/local_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {

namespace {

using mailstore::Maildrop;
using mailstore::MailStore;
using mailstore::Message;
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
        }
    }

    void compare() {
        std::sort(known_.begin(), known_.end(),
                  [](const auto& x, const auto& y) { return x.message.order < y.message.order; });
        value_of(run(store_->check(kAccount)), "check");
        mailstore::MailboxTotals expected;
        std::vector<const Known*> live;
        std::set<std::string> retained;
        for (const auto& one : known_) {
            (one.live ? expected.messages : expected.retained_messages) += 1;
            (one.live ? expected.octets : expected.retained_octets) += one.message.octets;
            if (one.live)
                live.push_back(&one);
            else
                retained.insert(one.message.unique_id);
        }
        expect(value_of(run(store_->totals(kAccount)), "totals") == expected, "the counters differ");
        auto list = value_of(run(store_->list(kAccount, mailstore::OrderKey(0), 100'000)), "list");
        expect(list.size() == live.size(), "{} messages are listed, not {}", list.size(), live.size());
        for (std::size_t i = 0; i < list.size(); ++i) {
            expect(list[i].unique_id == live[i]->message.unique_id, "message {} is {}, not {}", i + 1,
                   list[i].unique_id, live[i]->message.unique_id);
            expect(list[i].order == live[i]->message.order, "message {} has another place", i + 1);
        }
        auto kept = value_of(run(store_->list_retained(kAccount, 0, 100'000)), "list_retained");
        std::set<std::string> found;
        for (const auto& one : kept) found.insert(one.message.unique_id);
        expect(found == retained, "{} retained messages, not {}", found.size(), retained.size());
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (known_.size() < 8 || i % 7 == turn_ % 7) check_bytes(known_[i]);
        ++turn_;
    }

    void compare_all() {
        compare();
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
        Message message;
        std::string text;
        bool live = true;
        Timestamp expires{};
    };
    struct Backup {
        std::vector<Known> known;
        mailstore::OrderKey last_order;
        bool purged = false;
    };
    struct Session {
        std::unique_ptr<Maildrop> maildrop;
        std::vector<std::string> ids;  // as of its login
    };

    void start() {
        engine_ = value_of(engine::local::LocalEngine::open(options_), "open");
        for (const auto& damage : engine_->status().damage)
            expect(false, "the start found {}: {}", damage.file, damage.what);
        store_ = std::make_unique<MailStore>(*engine_, clock_, mail_options_);
    }
    void stop() {
        sessions_ = {};
        store_.reset();
        engine_.reset();
    }

    std::shared_ptr<const engine::StagedBody> stage(std::string text, std::size_t bodies) {
        auto writer = engine_->write_body(0);
        value_of(run(writer->write(text)), "writing");
        return value_of(run(writer->finish(bodies)), "finishing");
    }

    void append(const ModelStep& step) {
        auto serial = ++serial_;
        auto size = step.b % 16 == 0 ? 70'000 + step.a % 100'000 : step.a % 9'000;
        auto text = text_of(size, serial);
        std::string id = step.b % 5 == 1 ? fmt::format("given-{}", serial) : "";
        if (step.b % 5 == 2 && !known_.empty()) id = known_[step.a % known_.size()].message.unique_id;
        // For two accounts or one; then and now of so many bodies that any is worth sharing.
        const bool both = step.b % 3 == 0;
        const mailstore::Content content{stage(text, both ? 2 + step.a % 2 * 5000 : 1), text.size()};
        mailstore::NewMessage message{"Delivered-To: x\r\n", content, id};
        auto done = run(store_->append(kAccount, message));
        if (step.b % 5 == 2 && !known_.empty()) {
            expect(!done, "a unique-id was given twice");
            return;
        }
        auto stored = value_of(std::move(done), "append");
        expect(given_.insert(stored.unique_id).second, "the unique-id {} came back", stored.unique_id);
        if (!known_.empty()) expect(stored.order > last_order_ || purged_, "a place in the order came back");
        last_order_ = stored.order;
        purged_ = false;
        known_.push_back({stored, "Delivered-To: x\r\n" + text, true, {}});
        if (both) value_of(run(store_->append(kOther, {"", content, ""})), "append");
        if (step.b % 31 == 0) value_of(run(store_->purge(kOther, mailstore::Afterwards::open)), "purge");
    }

    void open_session(const ModelStep& step) {
        auto& session = sessions_[step.a % 2];
        if (session) return;
        bool other = sessions_[1 - step.a % 2].has_value();
        auto opened = run(store_->open_maildrop(kAccount));
        expect(opened.has_value() != other, "{}",
               other ? "a second session got the maildrop" : "the maildrop is in use");
        if (!opened) return;
        session.emplace();
        session->maildrop = std::move(*opened);
        std::uint64_t octets = 0;
        for (const auto& one : known_) {
            if (!one.live) continue;
            session->ids.push_back(one.message.unique_id);
            octets += one.message.octets;
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
        for (auto number : numbers) retain(session->ids[number - 1]);
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
        auto restored = value_of(run(store_->restore(kAccount, one.message.unique_id)), "restore");
        expect(restored.order == one.message.order, "the restored message has another place");
        one.live = true;
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
        backup_ = Backup{known_, last_order_, purged_};
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
        one->expires = clock_.now() + mail_options_.retention;
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
    mailstore::Options mail_options_;
    std::unique_ptr<engine::local::LocalEngine> engine_;
    std::unique_ptr<MailStore> store_;
    std::array<std::optional<Session>, 2> sessions_;
    std::vector<Known> known_;
    std::optional<Backup> backup_;
    std::set<std::string> given_;  // in all lives
    mailstore::OrderKey last_order_;
    bool purged_ = false;
    std::uint64_t serial_ = 0, turn_ = 0;
};

}  // namespace

std::string to_string(const ModelStep& step) {
    constexpr auto kNames = std::to_array<std::string_view>({"append", "open", "list", "quit", "drop", "remove",
                                                             "restore", "expire", "purge", "copy", "scrub", "reopen",
                                                             "crash", "torn", "rebuild", "back_up", "put_back"});
    static_assert(kNames.size() == static_cast<std::size_t>(Kind::last) + 1);
    return fmt::format("{{Kind::{}, {}, {}}}", kNames[static_cast<std::size_t>(step.kind)], step.a, step.b);
}

std::vector<ModelStep> random_history(std::uint64_t seed, std::size_t steps) {
    std::mt19937_64 random(seed);
    // How often of each kind.
    constexpr auto kWeights = std::to_array<int>({40, 6, 6, 6, 2, 8, 6, 8, 1, 8, 1, 2, 3, 2, 1, 1, 2});
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
