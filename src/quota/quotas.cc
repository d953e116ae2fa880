// Room for mail: who holds how much, what is on its way, and who is told no.
#include "quota/quotas.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "base/log.h"

namespace poplar::quota {

namespace {

constexpr std::size_t kPage = 1000;         // accounts of a domain that are read at a time
constexpr std::size_t kForgotten = 10'000;  // accounts that Quotas::forgotten_ has

Amount amount_of(const mailstore::AccountTotals& totals) { return {totals.messages, totals.octets}; }

std::uint64_t room_of(std::uint64_t limit, std::uint64_t taken) { return limit - std::min(limit, taken); }

}  // namespace

unsigned percent_reached(const Amount& used, std::uint64_t messages, std::uint64_t octets) {
    unsigned reached = 0;
    for (auto percent : kPercents) {
        // In floating point, because an operator may set any limit; 53 bits tell a percent from the next.
        auto is_at = [percent](std::uint64_t amount, std::uint64_t limit) {
            return limit != 0 && (amount >= limit || static_cast<double>(amount) * 100 >=
                                                         static_cast<double>(limit) * static_cast<double>(percent));
        };
        if (is_at(used.messages, messages) || is_at(used.octets, octets)) reached = percent;
    }
    return reached;
}

// Reservations

Reservation::Reservation(Reservation&& other) noexcept { *this = std::move(other); }

Reservation& Reservation::operator=(Reservation&& other) noexcept {
    if (this == &other) return *this;
    release();
    quotas_ = std::exchange(other.quotas_, nullptr);
    account_ = other.account_;
    need_ = other.need_;
    kept_ = other.kept_;
    waiting_ = other.waiting_;
    uncertain_ = other.uncertain_;
    binding_ = other.binding_;
    return *this;
}

void Reservation::begin() {
    if (quotas_ != nullptr) quotas_->begin(*this);
}

std::expected<void, Full> Reservation::claim(std::uint64_t octets) {
    if (quotas_ == nullptr) return {};
    return quotas_->claim(*this, octets);
}

void Reservation::release() {
    if (auto* quotas = std::exchange(quotas_, nullptr)) quotas->release(*this);
}

// Counting. Of an account nothing is added up here: the mail store tells what it holds after each commit, and a
// domain's sum changes by the difference. So an answer that was missed is made good by the next.

Quotas::Quotas(directory::Directory& directory, mailstore::MailStore& store, Options options)
    : directory_(directory), store_(store), options_(options) {
    store_.on_totals([this](AccountId account, const mailstore::AccountTotals& totals) { see(account, totals); });
}

void Quotas::attach(Holder& holder, const std::shared_ptr<Domain>& domain) {
    if (!domain || domain->forgotten || holder.domain == domain) return;
    detach(holder);
    holder.domain = domain;
    domain->used.messages += holder.used.messages;
    domain->used.octets += holder.used.octets;
    domain->kept.messages += holder.kept.messages;
    domain->kept.octets += holder.kept.octets;
}

void Quotas::detach(Holder& holder) {
    auto domain = std::exchange(holder.domain, nullptr);
    if (!domain) return;
    domain->used.messages -= holder.used.messages;
    domain->used.octets -= holder.used.octets;
    domain->kept.messages -= holder.kept.messages;
    domain->kept.octets -= holder.kept.octets;
}

void Quotas::set_used(Holder& holder, Amount used) {
    if (auto* domain = holder.domain.get()) {
        domain->used.messages += used.messages - holder.used.messages;  // unsigned: a difference may be negative
        domain->used.octets += used.octets - holder.used.octets;
    }
    holder.used = used;
    holder.read = holder.known = true;
}

void Quotas::keep(Holder& holder, Amount more) {
    for (auto* kept : {&holder.kept, holder.domain ? &holder.domain->kept : nullptr}) {
        if (kept == nullptr) continue;
        kept->messages += more.messages;
        kept->octets += more.octets;
    }
}

void Quotas::give_back(Holder& holder, Amount amount) {
    for (auto* kept : {&holder.kept, holder.domain ? &holder.domain->kept : nullptr}) {
        if (kept == nullptr) continue;
        kept->messages -= amount.messages;
        kept->octets -= amount.octets;
    }
}

// Called by the store after each commit, so that an account without limits costs one load here.
void Quotas::see(AccountId account, const mailstore::AccountTotals& totals) {
    if (!watching_) return;
    std::vector<Reached> reached;
    {
        std::lock_guard hold(mutex_);
        auto found = holders_.find(account);
        if (found == holders_.end()) return;
        auto& holder = found->second;
        const bool known = holder.known;
        const auto before = holder.used;
        const auto domain_before = holder.domain ? holder.domain->used : Amount();
        set_used(holder, amount_of(totals));
        if (!known || !holder.bounds) return;
        const auto& bounds = *holder.bounds;
        const auto now = percent_reached(holder.used, bounds.messages, bounds.octets);
        if (now > percent_reached(before, bounds.messages, bounds.octets))
            reached.push_back({account, false, now, holder.used, bounds});
        if (const auto& domain = holder.domain; domain && domain->counted) {
            const auto percent = percent_reached(domain->used, bounds.domain_messages, bounds.domain_octets);
            if (percent > percent_reached(domain_before, bounds.domain_messages, bounds.domain_octets))
                reached.push_back({account, true, percent, domain->used, bounds});
        }
    }
    if (!reached_) return;
    for (auto& one : reached) reached_(std::move(one));
}

/// Learns what a holder holds, unless a commit has told meanwhile, which is newer.
Task<Result<>> Quotas::read(AccountId account) {
    auto totals = co_await store_.totals(account);
    if (!totals) co_return pass_on(totals);
    std::lock_guard hold(mutex_);
    auto found = holders_.find(account);
    if (found != holders_.end() && !found->second.read) set_used(found->second, amount_of(*totals));
    co_return Result<>();
}

Task<Result<std::shared_ptr<Quotas::Domain>>> Quotas::counted(std::string name) {
    std::shared_ptr<Domain> domain;
    {
        std::lock_guard hold(mutex_);
        auto& slot = domains_[name];
        if (!slot) slot = std::make_shared<Domain>();
        if (slot->counted) co_return slot;
        domain = slot;
    }
    auto turn = co_await domain->counting.lock();
    {
        std::lock_guard hold(mutex_);
        if (domain->counted) co_return domain;  // somebody else has done it
    }
    if (auto done = co_await count(domain, std::move(name)); !done) co_return pass_on(done);
    co_return domain;
}

// Each account becomes a holder first and is read then, so that no commit between the two is missed. Deliveries go on
// meanwhile; those to the domain wait only if it was never counted. One account that can't be read keeps nobody else's
// mail out: its own is refused for the moment when it asks for room.
Task<Result<>> Quotas::count(std::shared_ptr<Domain> domain, std::string name) {
    std::unordered_set<AccountId> there;
    std::string after;
    std::uint64_t unreadable = 0;
    AccountId first_unreadable;
    std::string reason;
    for (bool more = true; more;) {
        auto page = co_await directory_.accounts(name, after, kPage);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            {
                std::lock_guard hold(mutex_);
                if (forgotten_.contains(account.id)) continue;  // removed since the page was read
                watching_ = true;
                auto& holder = holders_[account.id];
                attach(holder, domain);
                holder.read = false;
            }
            there.insert(account.id);
            auto done = co_await read(account.id);
            if (done) continue;
            if (done.error().code() == Errc::cancelled) co_return done;
            if (unreadable++ != 0) continue;
            first_unreadable = account.id;
            reason = done.error().detail();
        }
        more = page->size() == kPage;
    }
    if (unreadable != 0)
        log::warning(
            "quota.accounts_unreadable",
            {{"domain", name}, {"accounts", unreadable}, {"account_id", first_unreadable.value}, {"reason", reason}});
    if (auto done = co_await drop_others(domain, std::move(name), std::move(there)); !done) co_return done;
    std::lock_guard hold(mutex_);
    domain->counted = true;
    co_return Result<>();
}

/// Takes accounts out of the sum that are not in the domain. Of those that were not there when their page was read, the
/// directory knows whether they have come since.
Task<Result<>> Quotas::drop_others(std::shared_ptr<Domain> domain, std::string name,
                                   std::unordered_set<AccountId> there) {
    std::vector<AccountId> others;
    {
        std::lock_guard hold(mutex_);
        for (const auto& [account, holder] : holders_)
            if (holder.domain == domain && !there.contains(account)) others.push_back(account);
    }
    const auto end = "@" + name;
    for (auto other : others) {
        auto account = co_await directory_.account(other);
        if (!account && account.error().code() == Errc::cancelled) co_return pass_on(account);
        if (account ? account->address.ends_with(end) : account.error().code() != Errc::not_found) continue;
        std::lock_guard hold(mutex_);
        auto found = holders_.find(other);
        if (found == holders_.end() || found->second.domain != domain) continue;
        detach(found->second);
        if (found->second.reservations == 0) holders_.erase(found);
    }
    co_return Result<>();
}

Task<Result<Amount>> Quotas::used_by_domain(std::string name) {
    auto domain = co_await counted(std::move(name));
    if (!domain) co_return pass_on(domain);
    std::lock_guard hold(mutex_);
    co_return (*domain)->used;
}

Task<Result<>> Quotas::recount(std::string name) {
    std::shared_ptr<Domain> domain;
    {
        std::lock_guard hold(mutex_);
        auto found = domains_.find(name);
        if (found == domains_.end()) co_return Result<>();
        domain = found->second;
    }
    auto turn = co_await domain->counting.lock();
    co_return co_await count(domain, std::move(name));
}

Task<Result<>> Quotas::count_all() {
    auto domains = co_await directory_.domains();
    if (!domains) co_return pass_on(domains);
    for (const auto& domain : *domains) {
        if (domain.total.octets.value_or(0) == 0 && domain.total.messages.value_or(0) == 0) continue;
        auto done = co_await counted(domain.name);
        if (!done && done.error().code() != Errc::not_found) co_return pass_on(done);
    }
    co_return Result<>();
}

void Quotas::limits_changed(AccountId account, Amount used, const Bounds* before, const Bounds* after) const {
    if (after == nullptr || !reached_) return;
    const auto was = before ? percent_reached(used, before->messages, before->octets) : 0;
    const auto is = percent_reached(used, after->messages, after->octets);
    if (is > was) reached_({account, false, is, used, *after});
}

void Quotas::total_changed(Amount used, const Bounds* before, const Bounds* after) const {
    if (after == nullptr || !reached_) return;
    const auto was = before ? percent_reached(used, before->domain_messages, before->domain_octets) : 0;
    const auto is = percent_reached(used, after->domain_messages, after->domain_octets);
    if (is > was) reached_({{}, true, is, used, *after});
}

void Quotas::forget(AccountId account) {
    std::lock_guard hold(mutex_);
    if (forgotten_.insert(account).second) forgotten_in_order_.push_back(account);
    if (forgotten_in_order_.size() > kForgotten) {
        forgotten_.erase(forgotten_in_order_.front());
        forgotten_in_order_.pop_front();
    }
    auto found = holders_.find(account);
    if (found == holders_.end()) return;
    detach(found->second);
    if (found->second.reservations == 0) holders_.erase(found);
}

void Quotas::forget_domain(const std::string& name) {
    std::lock_guard hold(mutex_);
    auto found = domains_.find(name);
    if (found == domains_.end()) return;
    const auto domain = std::move(found->second);
    domains_.erase(found);
    domain->forgotten = true;
    for (auto at = holders_.begin(); at != holders_.end();) {
        auto& holder = at->second;
        const bool its = holder.domain == domain;
        if (its) detach(holder);
        at = its && holder.reservations == 0 ? holders_.erase(at) : std::next(at);
    }
}

// Deciding

Task<Result<Quotas::Outcome>> Quotas::reserve(AccountId account, std::shared_ptr<const Bounds> bounds, Need need,
                                              Binding binding) {
    if (auto entered = co_await enter(account, std::move(bounds)); !entered) co_return pass_on(entered);
    co_return decide(account, need, binding);
}

Task<Result<std::optional<Full>>> Quotas::ask(AccountId account, std::shared_ptr<const Bounds> bounds, Need need) {
    if (auto entered = co_await enter(account, std::move(bounds)); !entered) co_return pass_on(entered);
    std::lock_guard hold(mutex_);
    let_lapse();
    auto planned = plan(holders_.at(account), need, Binding::limits);
    leave_held(account);
    if (planned) co_return std::nullopt;
    co_return std::move(planned.error());
}

/// The account is a holder from now on, and what it holds is known. To be followed by leave_held().
Task<Result<>> Quotas::enter(AccountId account, std::shared_ptr<const Bounds> bounds) {
    std::shared_ptr<Domain> domain;
    if (bounds->of_domain()) {
        auto found = co_await counted(bounds->domain);
        if (!found) co_return pass_on(found);
        domain = std::move(*found);
    }
    bool is_read = false;
    {
        std::lock_guard hold(mutex_);
        watching_ = true;  // before it is read: a commit that does not see this is read
        auto& holder = holders_[account];
        if (!forgotten_.contains(account)) attach(holder, domain);
        holder.bounds = std::move(bounds);
        ++holder.reservations;
        is_read = holder.read;
    }
    if (!is_read)
        if (auto done = co_await read(account); !done) {
            leave(account);
            co_return done;
        }
    co_return Result<>();
}

Quotas::Outcome Quotas::decide(AccountId account, const Need& need, Binding binding) {
    std::lock_guard hold(mutex_);
    let_lapse();
    auto& holder = holders_.at(account);
    auto planned = plan(holder, need, binding);
    if (!planned) {
        leave_held(account);
        return std::unexpected(std::move(planned.error()));
    }
    Reservation reservation;
    reservation.quotas_ = this;
    reservation.account_ = account;
    reservation.need_ = need;
    reservation.binding_ = binding;
    give_room(reservation, holder, *planned);
    reservation.waiting_ = ++last_waiting_;
    waiting_.emplace_hint(waiting_.end(), reservation.waiting_,
                          Waiting{account, reservation.kept_, SteadyClock::now()});
    return reservation;
}

/// Of a domain that may be too small for mail of unknown size, each such mail gets a quarter of what is left. So
/// several are taken at a time, and nobody takes all by naming a recipient.
std::expected<Quotas::Plan, Full> Quotas::plan(const Holder& holder, const Need& need, Binding binding) const {
    Plan plan{need.octets.value_or(need.most) + need.trace};
    if (binding == Binding::none) return plan;
    if (const auto limit = holder.bounds->domain_octets; !need.octets && limit != 0 && holder.domain) {
        const auto room = room_of(limit, holder.domain->used.octets + holder.domain->kept.octets);
        plan.uncertain = room < plan.octets;
        if (plan.uncertain) plan.octets = std::max<std::uint64_t>(room / 4, 1);
    }
    if (auto full = too_much(holder, need, plan.octets)) return std::unexpected(std::move(*full));
    return plan;
}

void Quotas::give_room(Reservation& reservation, Holder& holder, Plan plan) {
    reservation.kept_ = {reservation.need_.messages, plan.octets};
    reservation.uncertain_ = plan.uncertain;
    keep(holder, reservation.kept_);
}

/// Gives back the room that has waited for too long. Its reservation learns of it by stop_waiting().
void Quotas::let_lapse() {
    const auto now = SteadyClock::now();
    while (!waiting_.empty() && now - waiting_.begin()->second.since >= kRoomWaits) {
        const auto& [account, kept, since] = waiting_.begin()->second;
        give_back(holders_.at(account), kept);
        waiting_.erase(waiting_.begin());
    }
}

/// True: the room has lapsed.
bool Quotas::stop_waiting(Reservation& reservation) {
    const auto number = std::exchange(reservation.waiting_, 0);
    if (number == 0 || waiting_.erase(number) != 0) return false;
    reservation.kept_ = {};
    return true;
}

void Quotas::begin(Reservation& reservation) {
    std::lock_guard hold(mutex_);
    let_lapse();
    if (!stop_waiting(reservation)) return;
    auto& holder = holders_.at(reservation.account_);
    if (auto planned = plan(holder, reservation.need_, reservation.binding_))
        give_room(reservation, holder, *planned);
    else
        reservation.uncertain_ = true;
}

/// Messages under way may come to nothing, so what only they stand in the way of is not refused for good.
std::optional<Full> Quotas::too_much(const Holder& holder, const Need& need, std::uint64_t octets) const {
    const auto& bounds = *holder.bounds;
    const bool rejects = options_.full_reply == FullReply::reject;
    auto full = [rejects](bool by_itself, std::string_view who, std::uint64_t used, std::uint64_t kept,
                          std::uint64_t limit, std::string_view what) {
        return Full{rejects && by_itself,
                    fmt::format("{} full: {} of {} {}, and {} on their way", who, used, limit, what, kept)};
    };
    constexpr std::string_view kAccount = "the account is", kDomain = "the domain is";
    const auto& used = holder.used;
    const auto& kept = holder.kept;
    if (const auto limit = bounds.messages; limit != 0 && used.messages + kept.messages + need.messages > limit)
        return full(used.messages + need.messages > limit, kAccount, used.messages, kept.messages, limit, "messages");
    if (const auto limit = bounds.octets; limit != 0) {
        if (need.octets && *need.octets > limit)
            return Full{rejects, fmt::format("{} octets are more than the account may have: {}", *need.octets, limit)};
        // One message may pass the limit; several, as a copy of many has, must fit.
        auto passes = [&](std::uint64_t taken) { return need.messages == 1 ? taken >= limit : taken + octets > limit; };
        if (passes(used.octets + kept.octets))
            return full(passes(used.octets), kAccount, used.octets, kept.octets, limit, "octets");
    }
    if (!holder.domain) return std::nullopt;
    const auto& all = *holder.domain;
    if (const auto limit = bounds.domain_messages;
        limit != 0 && all.used.messages + all.kept.messages + need.messages > limit)
        return full(all.used.messages + need.messages > limit, kDomain, all.used.messages, all.kept.messages, limit,
                    "messages");
    if (const auto limit = bounds.domain_octets; limit != 0 && all.used.octets + all.kept.octets + octets > limit)
        return full(all.used.octets + octets > limit, kDomain, all.used.octets, all.kept.octets, limit, "octets");
    return std::nullopt;
}

// The room that was kept is taken out first, and then asked for as if the mail came now.
std::expected<void, Full> Quotas::claim(Reservation& reservation, std::uint64_t octets) {
    std::lock_guard hold(mutex_);
    const bool lapsed = stop_waiting(reservation);
    auto& holder = holders_.at(reservation.account_);
    auto& kept = reservation.kept_;
    const auto messages = reservation.need_.messages;
    give_back(holder, kept);
    std::optional<Full> full;
    if ((lapsed || octets > kept.octets || messages > kept.messages) && reservation.binding_ == Binding::limits)
        full = too_much(holder, {.messages = messages, .octets = octets}, octets);
    if (!full) kept = {messages, octets};
    keep(holder, kept);
    if (full) return std::unexpected(std::move(*full));
    return {};
}

void Quotas::release(Reservation& reservation) {
    std::lock_guard hold(mutex_);
    stop_waiting(reservation);
    give_back(holders_.at(reservation.account_), reservation.kept_);
    leave_held(reservation.account_);
}

void Quotas::leave(AccountId account) {
    std::lock_guard hold(mutex_);
    leave_held(account);
}

void Quotas::leave_held(AccountId account) {
    auto found = holders_.find(account);
    auto& holder = found->second;
    if (--holder.reservations != 0) return;
    holder.bounds = nullptr;
    if (!holder.domain) holders_.erase(found);
}

}  // namespace poplar::quota
