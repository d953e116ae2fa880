#include "delivery/scripts.h"

#include <fmt/format.h>

#include <algorithm>

namespace poplar::delivery {

namespace {

constexpr std::string_view kPrefix = "sieve/script/";
constexpr std::string_view kActive = "sieve/active";
constexpr std::size_t kAccountCosts = 200;  // octets of memory, about, that an account without a script takes

std::string document_of(std::string_view name) { return std::string(kPrefix) + std::string(name); }

const std::vector<sieve::Refused>& refused() {
    static const std::vector<sieve::Refused> all = {
        {sieve::Op::redirect, "this server can't send mail on yet"},
        {sieve::Op::vacation, "this server can't answer mail yet"},
        {sieve::Op::notify, "this server can't send notifications yet"},
    };
    return all;
}

std::string first_problem(const sieve::Compiled& compiled) {
    const auto& first = compiled.errors.front();
    return fmt::format("line {}, column {}: {}", first.at.line, first.at.column, first.message);
}

}  // namespace

sieve::Compiled Scripts::check(std::string_view text) const { return sieve::compile(text, options_.sieve, refused()); }

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

Task<Result<std::string>> Scripts::active_name(mailstore::AccountId account) {
    auto document = co_await store_.document(account, std::string(kActive));
    if (document) co_return std::move(document->content);
    if (document.error().code() == Errc::not_found) co_return std::string();
    co_return pass_on(document);
}

Task<Result<std::vector<ScriptInfo>>> Scripts::list(mailstore::AccountId account) {
    auto active = co_await active_name(account);
    if (!active) co_return pass_on(active);
    auto documents = co_await store_.documents(account);
    if (!documents) co_return pass_on(documents);
    std::vector<ScriptInfo> out;
    for (const auto& one : *documents) {
        if (!one.name.starts_with(kPrefix)) continue;
        auto name = one.name.substr(kPrefix.size());
        const bool is_active = name == *active;
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
    auto active = co_await active_name(account);
    if (!active) co_return pass_on(active);
    auto done = co_await store_.put_document(account, document_of(to), std::move(*text), mailstore::ModSequence());
    if (done && *active == from) done = co_await store_.put_document(account, std::string(kActive), to);
    forget(account);
    if (!done) co_return pass_on(done);
    auto removed = co_await store_.remove_document(account, document_of(from));
    forget(account);
    if (!removed && removed.error().code() != Errc::not_found) co_return pass_on(removed);
    co_return Result<>();
}

Task<Result<>> Scripts::activate(mailstore::AccountId account, std::string name) {
    if (name.empty()) {
        auto removed = co_await store_.remove_document(account, std::string(kActive));
        forget(account);
        if (!removed && removed.error().code() != Errc::not_found) co_return pass_on(removed);
        co_return Result<>();
    }
    auto script = co_await get(account, name);
    if (!script) co_return pass_on(script);
    auto done = co_await store_.put_document(account, std::string(kActive), std::move(name));
    forget(account);
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

Task<Result<>> Scripts::remove(mailstore::AccountId account, std::string name) {
    auto active = co_await active_name(account);
    if (!active) co_return pass_on(active);
    if (*active == name) co_return fail(Errc::denied, "the script is active");
    auto removed = co_await store_.remove_document(account, document_of(name));
    forget(account);
    if (!removed) co_return pass_on(removed);
    co_return Result<>();
}

Task<Result<Scripts::Active>> Scripts::compiled(mailstore::AccountId account, std::string name) {
    if (const auto known = kept(account))
        if (const auto found = known->scripts.find(name); found != known->scripts.end()) co_return found->second;
    std::uint64_t generation = 0;
    {
        const std::scoped_lock lock(mutex_);
        generation = generation_;
    }
    auto text = co_await get(account, name);
    if (!text && text.error().code() != Errc::not_found) co_return pass_on(text);
    Active out;
    if (text) {
        auto checked = check(*text);
        out.script = std::move(checked.script);
        if (!out.script) out.trouble = first_problem(checked);
    }
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
    return known && known->active.empty();
}

Task<Result<Scripts::Active>> Scripts::active(mailstore::AccountId account) {
    auto known = kept(account);
    if (!known) {
        std::uint64_t generation = 0;
        {
            const std::scoped_lock lock(mutex_);
            generation = generation_;
        }
        auto name = co_await active_name(account);
        if (!name) co_return pass_on(name);
        known = std::make_shared<Kept>();
        known->active = std::move(*name);
        known->memory = kAccountCosts;
        keep(account, known, generation);
    }
    if (known->active.empty()) co_return Active();
    auto script = co_await compiled(account, known->active);
    if (script && !script->script && script->trouble.empty()) script->trouble = "the active script is gone";
    co_return script;
}

}  // namespace poplar::delivery
