#include "delivery/common_scripts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mail/address.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kScriptCosts = 200;  // octets of memory, about, beside those of a compiled script

constexpr std::array<std::pair<CommonPlace, std::string_view>, 3> kPlaces = {{
    {CommonPlace::before, "before"},
    {CommonPlace::after, "after"},
    {CommonPlace::library, "library"},
}};

/// That of kJunkScript, which never changes.
const ReadyScript& junk_script() {
    static const ReadyScript script = [] {
        auto ready = ready_script(kJunkScript, sieve::Options(), true);
        ready.name = "after/all (built in)";
        return ready;
    }();
    return script;
}

}  // namespace

const std::string_view kJunkScript =
    R"(# Mail that is probably spam goes to the mailbox for junk, unless the user's own script put it elsewhere.
# The score is what the program that judges mail gave, in percent of the score at which it would refuse the message.
require ["comparator-i;ascii-numeric", "fileinto", "mailbox", "relational", "spamtestplus", "special-use"];
if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "40" {
    fileinto :create :specialuse "\\Junk" "Junk";
}
)";

std::string_view word_of(CommonPlace place) {
    return std::ranges::find(kPlaces, place, &std::pair<CommonPlace, std::string_view>::first)->second;
}

std::optional<CommonPlace> parse_common_place(std::string_view word) {
    const auto* found = std::ranges::find(kPlaces, word, &std::pair<CommonPlace, std::string_view>::second);
    if (found == kPlaces.end()) return std::nullopt;
    return found->first;
}

Result<std::string> CommonScripts::checked_name(CommonPlace place, const std::string& name) {
    if (place == CommonPlace::library) {
        if (!sieve::is_script_name(name))
            return fail(Errc::invalid, fmt::format("no script can be called \"{}\"", name));
        return name;
    }
    if (name == kForAll) return name;
    auto domain = mail::canonical_domain(name);
    if (!domain) return fail(Errc::invalid, fmt::format("\"{}\" is neither \"{}\" nor a domain", name, kForAll));
    return std::move(*domain);
}

void CommonScripts::forget() {
    const std::scoped_lock lock(mutex_);
    ++generation_;
    names_.reset();
    ready_.clear();
    memory_ = 0;
}

Task<Result<std::shared_ptr<const CommonScripts::Names>>> CommonScripts::names() {
    std::uint64_t generation = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (names_) co_return names_;
        generation = generation_;
    }
    auto records = co_await records_.list();
    if (!records) co_return pass_on(records);
    auto found = std::make_shared<Names>();
    for (const auto& one : *records)
        if (const auto place = parse_common_place(one.place))
            found->emplace(Key(*place, one.name), Known{one.text.size(), one.modified});
    const std::scoped_lock lock(mutex_);
    if (generation == generation_) names_ = found;
    co_return std::shared_ptr<const Names>(std::move(found));
}

Task<Result<std::vector<CommonScriptInfo>>> CommonScripts::list() {
    auto there = co_await names();
    if (!there) co_return pass_on(there);
    std::vector<CommonScriptInfo> out;
    for (const auto& [key, known] : **there)
        out.push_back({key.first, key.second, known.octets, known.modified, false});
    if (!(*there)->contains(Key(CommonPlace::after, kForAll)))
        out.push_back({CommonPlace::after, std::string(kForAll), kJunkScript.size(), Timestamp(), true});
    co_return out;
}

Task<Result<std::string>> CommonScripts::get(CommonPlace place, std::string name) {
    auto known = checked_name(place, name);
    if (!known) co_return pass_on(known);
    auto record = co_await records_.get(std::string(word_of(place)), *known);
    if (record) co_return std::move(record->text);
    if (record.error().code() == Errc::not_found && place == CommonPlace::after && *known == kForAll)
        co_return std::string(kJunkScript);
    co_return pass_on(record);
}

Task<Result<>> CommonScripts::put(CommonPlace place, std::string name, std::string text) {
    auto known = checked_name(place, name);
    if (!known) co_return pass_on(known);
    if (const auto compiled = check(text); !compiled.script) co_return fail(Errc::invalid, first_problem(compiled));
    if (place == CommonPlace::library) {
        auto there = co_await names();
        if (!there) co_return pass_on(there);
        const auto is_of_library = [](const auto& one) { return one.first.first == CommonPlace::library; };
        const auto count = static_cast<std::size_t>(std::ranges::count_if(**there, is_of_library));
        if (!(*there)->contains(Key(place, *known)) && count >= options_.scripts)
            co_return fail(Errc::too_large, fmt::format("the library has {} scripts at most", options_.scripts));
    }
    auto done = co_await records_.put({std::string(word_of(place)), std::move(*known), clock_.now(), std::move(text)});
    forget();
    co_return done;
}

Task<Result<>> CommonScripts::remove(CommonPlace place, std::string name) {
    auto known = checked_name(place, name);
    if (!known) co_return pass_on(known);
    auto there = co_await names();
    if (!there) co_return pass_on(there);
    if (!(*there)->contains(Key(place, *known))) co_return fail(Errc::not_found, "no such script");
    auto done = co_await records_.remove(std::string(word_of(place)), std::move(*known));
    forget();
    co_return done;
}

Task<Result<ReadyScript>> CommonScripts::ready(CommonPlace place, std::string name) {
    const Key key(place, name);
    std::uint64_t generation = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (const auto found = ready_.find(key); found != ready_.end()) co_return found->second;
        generation = generation_;
    }
    auto record = co_await records_.get(std::string(word_of(place)), name);
    if (!record && record.error().code() == Errc::not_found) co_return ReadyScript();
    if (!record) co_return pass_on(record);
    auto made = ready_script(record->text, options_.sieve, sends_);
    made.name = fmt::format("{}/{}", word_of(place), name);
    const auto memory = kScriptCosts + made.name.size() + (made.script ? made.script->memory : 0);
    const std::scoped_lock lock(mutex_);
    if (generation != generation_ || memory > options_.script_cache) co_return made;
    if (memory_ + memory > options_.script_cache) {
        ready_.clear();
        memory_ = 0;
    }
    if (ready_.emplace(key, made).second) memory_ += memory;
    co_return made;
}

bool CommonScripts::has_none(bool scored) {
    const std::scoped_lock lock(mutex_);
    if (!names_ || scored) return false;
    return names_->empty() || names_->begin()->first.first == CommonPlace::library;  // that is the last place
}

// The widest scope is outermost: it runs before all others and after all others.
Task<Result<CommonScripts::Around>> CommonScripts::around(std::string domain, bool scored) {
    auto there = co_await names();
    if (!there) co_return pass_on(there);
    Around out;
    const std::string all(kForAll);
    const std::array<std::pair<CommonPlace, const std::string*>, 4> order = {{{CommonPlace::before, &all},
                                                                              {CommonPlace::before, &domain},
                                                                              {CommonPlace::after, &domain},
                                                                              {CommonPlace::after, &all}}};
    for (const auto& [place, name] : order) {
        if (!(*there)->contains(Key(place, *name))) continue;
        auto script = co_await ready(place, *name);
        if (!script) co_return pass_on(script);
        auto& list = place == CommonPlace::before ? out.before : out.after;
        if (script->script || !script->trouble.empty()) list.push_back(std::move(*script));
    }
    if (out.after.empty() && scored) out.after.push_back(junk_script());
    co_return out;
}

Task<Result<ReadyScript>> CommonScripts::included(std::string name) {
    auto there = co_await names();
    if (!there) co_return pass_on(there);
    if (!(*there)->contains(Key(CommonPlace::library, name))) co_return ReadyScript();
    co_return co_await ready(CommonPlace::library, std::move(name));
}

}  // namespace poplar::delivery
