// Where mail to an address goes.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/turn.h"
#include "directory/bounds.h"
#include "directory/core.h"

namespace poplar::directory {

namespace {

/// Follows aliases depth first. An alias that leads back to one we are coming from is a circle; one that is reached
/// by two ways is not.
class Walk {
public:
    explicit Walk(Core& core) : core_(core) {}

    /// `bounds`: of the account.
    void arrive(Account account, std::string detail, std::shared_ptr<const Bounds> bounds) {
        if (!seen_.insert(account.id).second) return;
        endless_ |= seen_.size() > core_.options.alias_targets;
        if (account.status == AccountStatus::disabled) {
            met_disabled_ = true;
            return;
        }
        if (accounts_.empty()) first_detail_ = std::move(detail);
        accounts_.push_back(account.id);
        if (!bounds) return;
        bounds_.resize(accounts_.size());
        bounds_.back() = std::move(bounds);
    }

    /// `detail`: the one that accounts at the end of this way get.
    Task<Result<>> follow(Entity entity, std::string detail, std::size_t depth = 1) {
        if (auto* account = std::get_if<Account>(&entity)) {
            auto of_domain = co_await core_.bounds_in(domain_of(*account));
            if (!of_domain) co_return pass_on(of_domain);
            auto bounds = bounds_of(*account, std::move(*of_domain));
            arrive(std::move(*account), std::move(detail), std::move(bounds));
            co_return Result<>();
        }
        const auto& alias = std::get<Alias>(entity);
        auto [at, is_new] = on_the_way_.try_emplace(alias.address, true);
        if (!is_new) {
            endless_ |= at->second;
            co_return Result<>();
        }
        if (depth > core_.options.alias_depth || on_the_way_.size() > core_.options.alias_targets) endless_ = true;
        for (const auto& target : alias.targets) {
            if (endless_) break;
            if (turn::over()) co_await turn::let_others();
            auto address = core_.normalize(target);
            if (!address) co_return pass_on(address);
            asked_outside_ |= core_.is_outside(address->domain);
            auto match = co_await core_.match_for_mail(std::move(*address));
            if (!match) co_return pass_on(match);
            if (!*match) {
                if (auto left = co_await leave(target); !left) co_return left;
                continue;
            }
            auto further = (*match)->detail.empty() ? detail : std::move((*match)->detail);
            auto followed = co_await follow(std::move((*match)->entity), std::move(further), depth + 1);
            if (!followed) co_return followed;
        }
        on_the_way_[alias.address] = false;
        co_return Result<>();
    }

    /// The answer may be another one soon.
    bool asked_outside() const { return asked_outside_; }

    /// A target that is nobody here: somebody elsewhere, or removed since.
    Task<Result<>> leave(std::string target) {
        auto domain = co_await core_.domain(target.substr(target.rfind('@') + 1));
        if (!domain) co_return pass_on(domain);
        if (*domain) co_return Result<>();
        if (std::ranges::find(elsewhere_, target) == elsewhere_.end()) elsewhere_.push_back(std::move(target));
        endless_ |= seen_.size() + elsewhere_.size() > core_.options.alias_targets;
        co_return Result<>();
    }

    /// Has a detail only if it leads to one account, by a target with a detail.
    Resolution result() && {
        Resolution out;
        if (endless_) {
            out.kind = Resolution::Kind::loop;
        } else if (!accounts_.empty() || !elsewhere_.empty()) {
            out.kind = Resolution::Kind::accounts;
            if (accounts_.size() == 1) out.detail = std::move(first_detail_);
            if (!bounds_.empty()) bounds_.resize(accounts_.size());
            out.bounds = std::move(bounds_);
            out.accounts = std::move(accounts_);
            out.elsewhere = std::move(elsewhere_);
        } else {
            out.kind = met_disabled_ ? Resolution::Kind::disabled : Resolution::Kind::unknown_user;
        }
        return out;
    }

private:
    Core& core_;
    std::vector<AccountId> accounts_;
    std::vector<std::shared_ptr<const Bounds>> bounds_;  ///< of each, up to the last that has some
    std::vector<std::string> elsewhere_;
    std::string first_detail_;
    std::set<AccountId> seen_;
    std::unordered_map<std::string, bool> on_the_way_;  ///< aliases met; true while we are behind them
    bool met_disabled_ = false;
    bool endless_ = false;
    bool asked_outside_ = false;
};

Task<Result<std::shared_ptr<const Resolution>>> expand(Core& core, Alias alias) {
    auto number = co_await core.engine.change_number(kDirectoryPartition);
    if (!number) co_return pass_on(number);
    const auto domain_changes = core.bounds.changes();
    {
        std::lock_guard guard(core.expansions_mutex);
        const auto* known = core.expansions.find(alias.address);
        if (known && core.leads_as_before(known->number, *number) && known->domain_changes == domain_changes)
            co_return known->led_to;
    }
    Walk walk(core);
    auto address = alias.address;
    auto followed = co_await walk.follow(std::move(alias), {});
    if (!followed) co_return pass_on(followed);
    const bool is_kept = !walk.asked_outside();
    auto led_to = std::make_shared<const Resolution>(std::move(walk).result());
    if (!is_kept) co_return led_to;
    auto octets = sizeof(Resolution) + led_to->accounts.size() * sizeof(AccountId) +
                  led_to->bounds.size() * (sizeof(led_to->bounds[0]) + sizeof(Bounds));
    for (const auto& one : led_to->elsewhere) octets += sizeof one + one.size();
    if (octets > core.expansions.longest()) co_return led_to;
    // A change that came in between has raised the directory's number, so this entry is never used then. One that was
    // stored just before may not have reached the bounds that are kept of domains; then `domain_changes` grows.
    decltype(core.expansions)::Gone gone;
    std::lock_guard guard(core.expansions_mutex);
    gone = core.expansions.put(address, {*number, domain_changes, led_to}, octets);
    co_return led_to;
}

/// `detail`: of the address the mail was sent to. If the way led to one account with another detail, that one is taken.
Task<Result<Resolution>> follow_match(Core& core, Match match, std::string detail) {
    Resolution out;
    if (auto* alias = std::get_if<Alias>(&match.entity)) {
        auto led_to = co_await expand(core, std::move(*alias));
        if (!led_to) co_return pass_on(led_to);
        out = **led_to;
    } else {
        Walk walk(core);
        auto followed = co_await walk.follow(std::move(match.entity), {});
        if (!followed) co_return pass_on(followed);
        out = std::move(walk).result();
    }
    if (out.detail.empty()) out.detail = std::move(detail);
    co_return out;
}

/// As follow_match, for an account, which needs no following.
Resolution arrived(const Account& account, std::string detail, std::shared_ptr<const Bounds> bounds) {
    Resolution out;
    out.detail = std::move(detail);
    if (account.status == AccountStatus::disabled) {
        out.kind = Resolution::Kind::disabled;
        return out;
    }
    out.kind = Resolution::Kind::accounts;
    out.accounts.push_back(account.id);
    if (bounds) out.bounds.push_back(std::move(bounds));
    return out;
}

Resolution nowhere(Resolution::Kind kind) {
    Resolution out;
    out.kind = kind;
    return out;
}

/// The first of our domains that has a postmaster; "" if none has.
Task<Result<std::string>> domain_with_postmaster(Core& core) {
    auto range = engine::KeyRange::prefix(postmasters_prefix());
    auto first = co_await core.engine.scan(kDirectoryPartition, std::move(range), 1);
    if (!first) co_return pass_on(first);
    if (first->empty()) co_return std::string();
    co_return std::string(first->front().key.substr(postmasters_prefix().size()));
}

/// The postmaster of the first of our domains that has one.
Task<Result<Resolution>> resolve_postmaster(Core& core) {
    auto domain = co_await domain_with_postmaster(core);
    if (!domain) co_return pass_on(domain);
    if (domain->empty()) co_return nowhere(Resolution::Kind::unknown_user);
    auto match = co_await core.match_for_mail({std::string(kPostmaster), std::move(*domain)});
    if (!match) co_return pass_on(match);
    if (!*match) co_return nowhere(Resolution::Kind::unknown_user);
    co_return co_await follow_match(core, std::move(**match), {});
}

/// For an address that is nobody's: takes the domain's catch-all, if it has one.
Task<Result<Resolution>> resolve_in_domain(Core& core, mail::Address name) {
    // The domain is looked at only now, because an address that was found is in one of ours.
    auto domain = co_await core.domain(name.domain);
    if (!domain) co_return pass_on(domain);
    if (!*domain) co_return nowhere(Resolution::Kind::unknown_domain);
    Resolution out;
    if (!(*domain)->catch_all.empty()) {
        auto target = core.normalize((*domain)->catch_all);
        if (!target) co_return pass_on(target);
        auto caught = co_await core.match_for_mail(std::move(*target));
        if (!caught) co_return pass_on(caught);
        if (*caught) {
            auto detail = std::move((*caught)->detail);
            auto followed = co_await follow_match(core, std::move(**caught), std::move(detail));
            if (!followed) co_return followed;
            out = std::move(*followed);
        }
    }
    if (out.kind == Resolution::Kind::unknown_user && is_postmaster(name.local))
        co_return co_await resolve_postmaster(core);
    co_return out;
}

// Mail to the postmaster is always kept: its sender has no other way to tell us that something is wrong here.
void keep_for_postmaster(Result<Resolution>& found) {
    if (!found || found->kind != Resolution::Kind::unknown_user) return;
    found->kind = Resolution::Kind::accounts;
    found->accounts = {kPostmasterMailbox};
}

}  // namespace

std::optional<Resolution> Directory::resolve_at_hand(const mail::Address& address) {
    if (is_postmaster(address.local)) return std::nullopt;
    auto name = core_->normalize(address);
    if (!name || core_->is_outside(name->domain)) return std::nullopt;
    auto account = core_->account_at_hand(*name);
    if (!account) return std::nullopt;
    auto of_domain = core_->bounds.find(name->domain);
    if (!of_domain) return std::nullopt;
    return arrived(*account, {}, directory::bounds_of(*account, std::move(*of_domain)));
}

Task<Result<Resolution>> Directory::resolve(mail::Address address) {
    const bool postmaster = is_postmaster(address.local);
    Result<Resolution> found;
    if (postmaster && address.domain.empty()) {
        found = co_await resolve_postmaster(*core_);
    } else {
        auto name = core_->normalize(address);
        if (!name) co_return pass_on(name);
        auto match = co_await core_->match_for_mail(*name);
        if (!match) co_return pass_on(match);
        std::string detail;
        if (*match && !(*match)->detail.empty())  // as the sender wrote it: a mailbox's name keeps its case
            detail = mail::split_detail(address.local, core_->options.detail_separator).detail;
        if (!*match) {
            found = co_await resolve_in_domain(*core_, std::move(*name));
        } else if (auto* account = std::get_if<Account>(&(*match)->entity)) {  // as nearly always
            auto of_domain = core_->bounds.find(name->domain);
            if (!of_domain) {
                auto read = co_await core_->bounds_in(name->domain);
                if (!read) co_return pass_on(read);
                of_domain = std::move(*read);
            }
            auto bounds = directory::bounds_of(*account, std::move(*of_domain));
            found = arrived(*account, std::move(detail), std::move(bounds));
        } else {
            found = co_await follow_match(*core_, std::move(**match), std::move(detail));
        }
    }
    if (postmaster) keep_for_postmaster(found);
    co_return found;
}

Task<Result<bool>> Directory::has_postmaster() {
    auto domain = co_await domain_with_postmaster(*core_);
    if (!domain) co_return pass_on(domain);
    co_return !domain->empty();
}

}  // namespace poplar::directory
