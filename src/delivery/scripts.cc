#include "delivery/scripts.h"

#include <fmt/format.h>

#include <algorithm>

#include "delivery/dispatch.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kPrefix = "sieve/script/";
constexpr std::string_view kActive = "sieve/active";
constexpr std::size_t kAccountCosts = 200;  // octets of memory, about, that an account without a script takes

std::string document_of(std::string_view name) { return std::string(kPrefix) + std::string(name); }

std::string_view word_of(OwnScript which) { return which == OwnScript::forward ? "forward" : "vacation"; }
std::string document_of(OwnScript which) { return fmt::format("sieve/own/{}", word_of(which)); }

}  // namespace

sieve::Compiled Scripts::check(std::string_view text) const {
    return compile_script(text, options_.sieve, dispatch_.sends());
}

std::shared_ptr<Scripts::Kept> Scripts::kept(mailstore::AccountId account) {
    const std::scoped_lock lock(mutex_);
    const auto found = kept_.find(account);
    return found == kept_.end() ? nullptr : found->second;
}

void Scripts::forget(mailstore::AccountId account) {
    const std::scoped_lock lock(mutex_);
    ++generation_;
    const auto found = kept_.find(account);
    if (found == kept_.end()) return;
    memory_ -= found->second->memory;
    kept_.erase(found);
}

void Scripts::keep(mailstore::AccountId account, std::shared_ptr<Kept> kept, std::uint64_t generation) {
    const std::scoped_lock lock(mutex_);
    if (generation != generation_) return;  // a script changed since this was read
    if (const auto found = kept_.find(account); found != kept_.end()) {
        memory_ -= found->second->memory;
        kept_.erase(found);
    }
    while (!kept_.empty() && memory_ + kept->memory > options_.script_cache) {
        memory_ -= kept_.begin()->second->memory;
        kept_.erase(kept_.begin());
    }
    memory_ += kept->memory;
    kept_.emplace(account, std::move(kept));
}

// A line with the active script's name, which has no line end in it, and one for each script of the server's own.
Task<Result<std::pair<Scripts::Choice, mailstore::ModSequence>>> Scripts::choice(mailstore::AccountId account) {
    std::pair<Choice, mailstore::ModSequence> out;
    auto document = co_await store_.document(account, std::string(kActive));
    if (!document && document.error().code() == Errc::not_found) co_return out;
    if (!document) co_return pass_on(document);
    auto text = std::string_view(document->content);
    const auto end = std::min(text.find('\n'), text.size());
    out.first.active = text.substr(0, end);
    text.remove_prefix(end);
    for (const auto which : {OwnScript::forward, OwnScript::vacation})
        if (text.contains(word_of(which))) out.first.own.push_back(which);
    out.second = document->info.version;
    co_return out;
}

Task<Result<>> Scripts::choose(mailstore::AccountId account, std::function<void(Choice&)> change) {
    constexpr int kAttempts = 10;
    for (int attempt = 1;; ++attempt) {
        auto now = co_await choice(account);
        if (!now) co_return pass_on(now);
        auto& [chosen, version] = *now;
        change(chosen);
        std::string text = chosen.active;
        for (const auto which : chosen.own) text.append("\n").append(word_of(which));
        if (text.empty() && version == mailstore::ModSequence()) co_return Result<>();
        Result<> done;
        if (text.empty()) {
            done = co_await store_.remove_document(account, std::string(kActive), version);
            if (!done && done.error().code() == Errc::not_found) done = {};
        } else {
            auto put = co_await store_.put_document(account, std::string(kActive), std::move(text), version);
            if (!put) done = pass_on(put);
        }
        forget(account);
        if (done || done.error().code() != Errc::exists || attempt == kAttempts) co_return done;
    }
}

Task<Result<std::vector<ScriptInfo>>> Scripts::list(mailstore::AccountId account) {
    auto chosen = co_await choice(account);
    if (!chosen) co_return pass_on(chosen);
    const auto& active = chosen->first.active;
    auto documents = co_await store_.documents(account);
    if (!documents) co_return pass_on(documents);
    std::vector<ScriptInfo> out;
    for (const auto& one : *documents) {
        if (!one.name.starts_with(kPrefix)) continue;
        auto name = one.name.substr(kPrefix.size());
        const bool is_active = name == active;
        out.push_back({std::move(name), one.octets, one.modified, is_active});
    }
    co_return out;
}

Task<Result<std::string>> Scripts::get(mailstore::AccountId account, std::string name) {
    auto document = co_await store_.document(account, document_of(name));
    if (!document) co_return pass_on(document);
    co_return std::move(document->content);
}

Task<Result<>> Scripts::put(mailstore::AccountId account, std::string name, std::string text) {
    if (!sieve::is_script_name(name))
        co_return fail(Errc::invalid, fmt::format("no script can be called \"{}\"", name));
    if (const auto compiled = check(text); !compiled.script) co_return fail(Errc::invalid, first_problem(compiled));
    if (auto room = co_await have_room(account, name); !room) co_return room;
    auto done = co_await store_.put_document(account, document_of(name), std::move(text));
    forget(account);
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

Task<Result<>> Scripts::have_room(mailstore::AccountId account, std::string name) {
    auto there = co_await list(account);
    if (!there) co_return pass_on(there);
    const bool known = std::ranges::any_of(*there, [&](const auto& one) { return one.name == name; });
    if (!known && there->size() >= options_.scripts)
        co_return fail(Errc::too_large, fmt::format("an account has {} scripts at most", options_.scripts));
    co_return Result<>();
}

Task<Result<>> Scripts::rename(mailstore::AccountId account, std::string from, std::string to) {
    if (!sieve::is_script_name(to)) co_return fail(Errc::invalid, fmt::format("no script can be called \"{}\"", to));
    auto text = co_await get(account, from);
    if (!text) co_return pass_on(text);
    if (from == to) co_return Result<>();
    auto put = co_await store_.put_document(account, document_of(to), std::move(*text), mailstore::ModSequence());
    if (!put) co_return pass_on(put);
    auto change = [from, to](Choice& chosen) {
        if (chosen.active == from) chosen.active = to;
    };
    if (auto done = co_await choose(account, std::move(change)); !done) co_return done;
    auto removed = co_await store_.remove_document(account, document_of(from));
    forget(account);
    if (!removed && removed.error().code() != Errc::not_found) co_return pass_on(removed);
    co_return Result<>();
}

Task<Result<>> Scripts::activate(mailstore::AccountId account, std::string name) {
    if (!name.empty()) {
        auto script = co_await get(account, name);
        if (!script) co_return pass_on(script);
    }
    auto change = [name](Choice& chosen) { chosen.active = name; };
    co_return co_await choose(account, std::move(change));
}

Task<Result<>> Scripts::remove(mailstore::AccountId account, std::string name) {
    auto chosen = co_await choice(account);
    if (!chosen) co_return pass_on(chosen);
    if (chosen->first.active == name && !name.empty()) co_return fail(Errc::denied, "the script is active");
    auto removed = co_await store_.remove_document(account, document_of(name));
    forget(account);
    if (!removed) co_return pass_on(removed);
    co_return Result<>();
}

Task<Result<std::string>> Scripts::own(mailstore::AccountId account, OwnScript which) {
    auto document = co_await store_.document(account, document_of(which));
    if (!document) co_return pass_on(document);
    co_return std::move(document->content);
}

// The text is there before anything names it, and is named no more before it goes.
Task<Result<>> Scripts::set_own(mailstore::AccountId account, OwnScript which, std::string text) {
    const bool there = !text.empty();
    if (there) {
        if (const auto compiled = check(text); !compiled.script) co_return fail(Errc::invalid, first_problem(compiled));
        auto put = co_await store_.put_document(account, document_of(which), std::move(text));
        forget(account);
        if (!put) co_return pass_on(put);
    }
    auto change = [which, there](Choice& chosen) {
        std::erase(chosen.own, which);
        if (there) chosen.own.push_back(which);
        std::ranges::sort(chosen.own);
    };
    if (auto done = co_await choose(account, std::move(change)); !done || there) co_return done;
    auto removed = co_await store_.remove_document(account, document_of(which));
    forget(account);
    if (!removed && removed.error().code() != Errc::not_found) co_return pass_on(removed);
    co_return Result<>();
}

Task<Result<Scripts::Active>> Scripts::compiled(mailstore::AccountId account, std::string name) {
    return compiled_document(account, document_of(name));
}

Task<Result<Scripts::Active>> Scripts::compiled_document(mailstore::AccountId account, std::string name) {
    if (const auto known = kept(account))
        if (const auto found = known->scripts.find(name); found != known->scripts.end()) co_return found->second;
    std::uint64_t generation = 0;
    {
        const std::scoped_lock lock(mutex_);
        generation = generation_;
    }
    auto text = co_await store_.document(account, name);
    if (!text && text.error().code() != Errc::not_found) co_return pass_on(text);
    Active out;
    if (text) out = ready_script(text->content, options_.sieve, dispatch_.sends());
    // Copied, because deliveries at the same time read the one that is there.
    const auto before = kept(account);
    auto now = before ? std::make_shared<Kept>(*before) : nullptr;
    if (now) {
        now->scripts[name] = out;
        now->memory += kAccountCosts + name.size() + (out.script ? out.script->memory : 0);
        keep(account, std::move(now), generation);
    }
    co_return out;
}

bool Scripts::has_none(mailstore::AccountId account) {
    const auto known = kept(account);
    return known && known->choice.active.empty() && known->choice.own.empty();
}

Task<Result<Scripts::Chain>> Scripts::active(mailstore::AccountId account) {
    auto known = kept(account);
    if (!known) {
        std::uint64_t generation = 0;
        {
            const std::scoped_lock lock(mutex_);
            generation = generation_;
        }
        auto chosen = co_await choice(account);
        if (!chosen) co_return pass_on(chosen);
        known = std::make_shared<Kept>();
        known->choice = std::move(chosen->first);
        known->memory = kAccountCosts + known->choice.active.size();
        keep(account, known, generation);
    }
    Chain chain;
    if (!known->choice.active.empty()) {
        auto script = co_await compiled(account, known->choice.active);
        if (!script) co_return pass_on(script);
        chain.active = std::move(*script);
        if (!chain.active.script && chain.active.trouble.empty()) chain.active.trouble = "the active script is gone";
    }
    for (const auto which : known->choice.own) {
        auto script = co_await compiled_document(account, document_of(which));
        if (!script) co_return pass_on(script);
        if (script->script || !script->trouble.empty()) chain.own.push_back(std::move(*script));
    }
    co_return chain;
}

}  // namespace poplar::delivery
