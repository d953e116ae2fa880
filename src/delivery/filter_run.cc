// Runs the scripts of one delivery, one behind the other, and makes one outcome of what they ask for.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/ascii.h"
#include "base/log.h"
#include "base/version.h"
#include "delivery/filter.h"
#include "mailstore/mailbox_name.h"

namespace poplar::delivery {

namespace {

using Kind = sieve::Action::Kind;
constexpr std::string_view kDefaultBook = "urn:ietf:params:sieve:addrbook:default";

/// The store as a run may ask it. A run can't wait, and so a question whose answer is not at hand is noted, and the run
/// begins again once it is: runs are cheap, and nothing is done before the last one.
class StoreWorld final : public sieve::World {
public:
    std::optional<std::vector<mailstore::Mailbox>> mailboxes;
    std::map<std::string, bool, std::less<>> facts;
    std::map<std::pair<sieve::ScriptPlace, std::string>, Included> scripts;
    bool wants_mailboxes = false;
    std::set<std::string> wanted_facts;
    std::set<std::pair<sieve::ScriptPlace, std::string>> wanted_scripts;

    bool asked() const { return wants_mailboxes || !wanted_facts.empty() || !wanted_scripts.empty(); }

    bool has_mailbox(std::string_view name) override {
        const auto canonical = mailstore::canonical_name(name);
        return canonical && find([&](const auto& one) { return one.name == *canonical; }) != nullptr;
    }
    std::vector<std::string> mailboxes_for(std::string_view use) override {
        std::vector<std::string> out;
        const auto wanted =
            use.starts_with('\\') ? mailstore::parse_special_use(ascii::to_lower(use.substr(1))) : std::nullopt;
        if (!wanted || *wanted == mailstore::SpecialUse::none) return out;
        find([&](const auto& one) {
            if (one.use == *wanted) out.push_back(one.name);
            return false;
        });
        return out;
    }
    std::optional<std::string> mailbox_by_id(std::string_view id) override {
        const auto* found = find([&](const auto& one) { return std::to_string(one.id.value) == id; });
        return found ? std::optional(found->name) : std::nullopt;
    }
    // Mailboxes have no annotations yet, and there are no lists but an empty book of addresses (RFC 6134 s2.6).
    std::optional<std::string> metadata(std::string_view, std::string_view) override { return std::nullopt; }
    std::optional<std::string> server_metadata(std::string_view) override { return std::nullopt; }
    std::optional<std::vector<std::string>> list(std::string_view name) override {
        if (name == kDefaultBook) return std::vector<std::string>();
        return std::nullopt;
    }
    Included script(sieve::ScriptPlace place, std::string_view name) override {
        const std::pair key(place, std::string(name));
        if (const auto found = scripts.find(key); found != scripts.end()) return found->second;
        wanted_scripts.insert(key);
        return {};
    }
    bool remembers(std::string_view key) override {
        if (const auto found = facts.find(key); found != facts.end()) return found->second;
        wanted_facts.emplace(key);
        return false;
    }

private:
    template <class Wanted>
    const mailstore::Mailbox* find(Wanted wanted) {
        if (!mailboxes) {
            wants_mailboxes = true;
            return nullptr;
        }
        const auto found = std::ranges::find_if(*mailboxes, wanted);
        return found == mailboxes->end() ? nullptr : &*found;
    }
};

std::chrono::minutes local_zone(Timestamp now) {
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    std::tm local{};
    return localtime_r(&seconds, &local) ? std::chrono::minutes(local.tm_gmtoff / 60) : std::chrono::minutes(0);
}

bool is_filed(const sieve::Action& one) { return one.kind == Kind::keep || one.kind == Kind::fileinto; }

/// Whether the scripts behind the user's see the message: not what that drops, refuses, or takes for junk.
bool goes_on(const sieve::Outcome& outcome) {
    const auto is_junk = [](const sieve::Filing& filing) {
        return ascii::same(filing.mailbox, "Junk") || ascii::same(filing.special_use, "\\Junk");
    };
    return outcome.implicit_keep || std::ranges::any_of(outcome.actions, [&](const auto& one) {
               return one.kind == Kind::redirect || (is_filed(one) && !is_junk(one.filing));
           });
}

/// What the scripts of a sequence asked for up to now. Each sees the message as those before it left it.
class Sequence {
public:
    explicit Sequence(std::string_view original) : original_(original), text_(original) {}

    std::string_view text() const { return text_; }
    /// The next script runs: nothing has taken the message away, and nothing failed.
    bool goes_on() const { return out_.implicit_keep && !out_.error; }
    /// What was kept by name up to now was only left to those that follow.
    void forget_keep() { keeps_ = false; }

    /// `one` is of a run over text().
    void add(sieve::Outcome one) {
        for (auto& action : one.actions) behind(action.state);
        behind(one.implicit_state);
        const auto refuses = [](const sieve::Action& action) {
            return action.kind == Kind::reject || action.kind == Kind::ereject;
        };
        // RFC 5429 s2: a message that is refused is neither filed nor sent on.
        if (std::ranges::any_of(one.actions, refuses))
            std::erase_if(out_.actions,
                          [](const auto& earlier) { return is_filed(earlier) || earlier.kind == Kind::redirect; });
        const auto answers = [](const sieve::Action& action) { return action.kind == Kind::vacation; };
        const bool answered = std::ranges::any_of(out_.actions, answers);  // then no other answer is sent
        auto flags = std::move(out_.implicit.flags);
        out_.implicit = std::move(one.implicit);
        out_.implicit_keep = one.implicit_keep;
        out_.implicit_state = std::move(one.implicit_state);
        keeps_ = keeps_ && one.implicit_keep;
        for (auto& action : one.actions) {
            if (action.kind == Kind::keep) {  // the next script decides, and the last one for good
                keeps_ = out_.implicit_keep = true;
                out_.implicit = std::move(action.filing);
                out_.implicit_state = std::move(action.state);
            } else {
                add_action(std::move(action));
            }
        }
        for (auto& flag : flags)
            if (std::ranges::none_of(out_.implicit.flags, [&](const auto& known) { return ascii::same(known, flag); }))
                out_.implicit.flags.push_back(std::move(flag));
        for (auto& memory : one.memories)
            if (!answered || !memory.key.starts_with("sieve/vacation/")) out_.memories.push_back(std::move(memory));
        if (!out_.implicit_state.changed()) return;
        text_ = changed_ = out_.implicit_state.text(original_);
    }

    /// The message is kept as it came; what earlier scripts asked for stays.
    void fail(sieve::Problem problem) {
        out_.error = std::move(problem);
        out_.implicit_keep = true;
        out_.implicit = {};
        out_.implicit_state = {};
    }

    sieve::Outcome end() {
        if (keeps_ && out_.implicit_keep && !out_.error) {  // what was said stays, even if a forward keeps nothing
            sieve::Action keep{.kind = Kind::keep};
            keep.filing = std::move(out_.implicit);
            keep.state = std::move(out_.implicit_state);
            out_.actions.push_back(std::move(keep));
            out_.implicit_keep = false;
        }
        return std::move(out_);
    }

private:
    /// A state is one of the message as it came, whatever the run took for that.
    void behind(sieve::MessageState& state) const {
        if (!state.header) state.header = out_.implicit_state.header;
        if (!state.body) state.body = out_.implicit_state.body;
    }
    void add_action(sieve::Action action);

    const std::string_view original_;
    std::string changed_;  // behind text_
    std::string_view text_;
    sieve::Outcome out_;
    bool keeps_ = false;  // a script said "keep", and none behind it took the message away
};

/// Whether an action asks for what others did already: a message is answered once, and goes on to an address once.
bool is_there(const std::vector<sieve::Action>& actions, const sieve::Action& wanted) {
    return std::ranges::any_of(actions, [&](const sieve::Action& known) {
        if (known.kind != wanted.kind) return false;
        return wanted.kind == Kind::vacation ||
               (wanted.kind == Kind::redirect && ascii::same(known.address, wanted.address));
    });
}

void Sequence::add_action(sieve::Action action) {
    if (!is_there(out_.actions, action)) out_.actions.push_back(std::move(action));
}

}  // namespace

Task<Result<ReadyScript>> Filter::included(mailstore::AccountId account, sieve::ScriptPlace place, std::string name) {
    if (place == sieve::ScriptPlace::personal) return scripts_.compiled(account, std::move(name));
    if (common_ != nullptr) return common_->included(std::move(name));
    return no_script();
}

Task<Result<ReadyScript>> Filter::no_script() { co_return ReadyScript(); }

Task<Result<Scripts::Chain>> Filter::scripts_of(mailstore::AccountId account, std::string domain, bool scored) {
    auto chain = co_await scripts_.active(account);
    if (!chain || common_ == nullptr) co_return chain;
    auto around = co_await common_->around(std::move(domain), scored);
    if (!around) co_return pass_on(around);
    chain->before = std::move(around->before);
    chain->after = std::move(around->after);
    co_return chain;
}

Task<Result<sieve::Outcome>> Filter::run(const Filtered& message, std::shared_ptr<const sieve::Script> script,
                                         std::string_view text, std::uint64_t& instructions) {
    sieve::Job job;
    job.script = std::move(script);
    job.message = text;
    job.message_octets = message.content.octets;
    job.envelope.from = message.from;
    job.envelope.to = message.to;
    auto& around = job.environment;
    around.host = message.host;
    const auto at = message.address.rfind('@');
    around.domain = at == std::string::npos ? message.host : message.address.substr(at + 1);
    around.remote_host = message.helo;
    around.remote_ip = message.peer;
    around.version = version();
    around.now = clock_.now();
    around.zone = local_zone(around.now);
    around.addresses = {message.address};
    around.detail_separator = message.separator;
    around.spam_percent = message.spam_percent;
    job.flags = message.flags;

    // Each round asks for one thing more at least, and all of them together have the instructions of one delivery.
    StoreWorld world;
    auto limits = options_.sieve;
    for (;;) {
        limits.instructions = instructions;
        auto outcome = sieve::run(job, world, limits);
        instructions -= std::min(instructions, outcome.instructions);
        if (world.asked() && instructions == 0) outcome.error.emplace();
        if (outcome.error && instructions == 0)
            outcome.error->message = fmt::format("the script takes too long: more than {} instructions for one message",
                                                 options_.sieve.instructions);
        if (!world.asked() || instructions == 0) co_return outcome;
        if (world.wants_mailboxes) {
            auto found = co_await store_.mailboxes(message.account);
            if (!found) co_return pass_on(found);
            world.mailboxes = std::move(*found);
            world.wants_mailboxes = false;
        }
        for (const auto& key : std::exchange(world.wanted_facts, {})) {
            if (message.stored) {  // it would be the duplicate of itself
                world.facts[key] = false;
                continue;
            }
            auto fact = co_await store_.fact(message.account, key);
            if (!fact) co_return pass_on(fact);
            world.facts[key] = fact->has_value();
        }
        for (const auto& wanted : std::exchange(world.wanted_scripts, {})) {
            auto found = co_await included(message.account, wanted.first, wanted.second);
            if (!found) co_return pass_on(found);
            world.scripts[wanted] = {std::move(found->script), std::move(found->trouble)};
        }
    }
}

Task<Result<sieve::Outcome>> Filter::run_ready(const Filtered& message, const ReadyScript& ready, std::string_view text,
                                               std::uint64_t& instructions) {
    if (ready.script) co_return co_await run(message, ready.script, text, instructions);
    sieve::Outcome failed;
    failed.error = sieve::Problem{{}, ready.trouble};
    co_return failed;
}

/// The administrator's scripts and the user's. One of the administrator's that fails is as if it was not there: its
/// mistake is in the log, and the user's mail is filtered all the same.
Task<Result<sieve::Outcome>> Filter::run_sequence(const Filtered& message, const Scripts::Chain& chain,
                                                  std::string_view text, std::uint64_t& instructions) {
    Sequence sequence(text);
    const auto run_common = [&](const std::vector<ReadyScript>& scripts) -> Task<Result<>> {
        for (const auto& one : scripts) {
            if (!sequence.goes_on()) break;
            auto done = co_await run_ready(message, one, sequence.text(), instructions);
            if (!done) co_return pass_on(done);
            if (!done->error) {
                sequence.add(std::move(*done));
                continue;
            }
            const auto& at = done->error->at;
            log::warning("delivery.common_script_failed",
                         {{"account", message.address},
                          {"script", one.name},
                          {"detail", fmt::format("line {}, column {}: {}", at.line, at.column, done->error->message)}});
        }
        co_return Result<>();
    };
    if (auto done = co_await run_common(chain.before); !done) co_return pass_on(done);
    sequence.forget_keep();
    if (chain.has_active() && sequence.goes_on()) {
        auto done = co_await run_ready(message, chain.active, sequence.text(), instructions);
        if (!done) co_return pass_on(done);
        if (done->error)
            sequence.fail(std::move(*done->error));
        else
            sequence.add(std::move(*done));
    }
    if (auto done = co_await run_common(chain.after); !done) co_return pass_on(done);
    co_return sequence.end();
}

Task<Result<sieve::Outcome>> Filter::run_all(const Filtered& message, const Scripts::Chain& chain,
                                             std::string_view text) {
    auto instructions = options_.sieve.instructions;
    auto sequence = co_await run_sequence(message, chain, text, instructions);
    if (!sequence) co_return pass_on(sequence);
    auto out = std::move(*sequence);
    for (const auto& own : chain.own) {
        if (message.junk || !goes_on(out)) break;
        auto done = co_await run_ready(message, own, text, instructions);
        if (!done) co_return pass_on(done);
        auto one = std::move(*done);
        if (one.error && !out.error) out.error = std::move(one.error);
        if (one.error) continue;
        const auto answers = [](const sieve::Action& known) { return known.kind == Kind::vacation; };
        const bool answered = std::ranges::any_of(out.actions, answers);
        for (auto& action : one.actions)
            if (!is_there(out.actions, action)) out.actions.push_back(std::move(action));
        if (!out.error) out.implicit_keep = out.implicit_keep && one.implicit_keep;
        if (!answered) std::ranges::move(one.memories, std::back_inserter(out.memories));
    }
    co_return out;
}

}  // namespace poplar::delivery
