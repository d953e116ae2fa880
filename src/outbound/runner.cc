// When an attempt begins: what is due, by which way it leaves, and what is written down of it. sites.cc has the
// connections.
#include "outbound/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "mail/address.h"
#include "mail/wire_form.h"
#include "outbound/local.h"
#include "outbound/report.h"
#include "outbound/route.h"
#include "outbound/site.h"

namespace poplar::outbound {

namespace {

using namespace std::chrono_literals;
constexpr auto kValues = asio::as_tuple(use_awaitable);

constexpr auto kHorizon = 2min;             // what is due by then is known in memory
constexpr auto kScanEvery = 1min;           // it is looked for
constexpr auto kScanAgain = 1s;             // if not all could be known
constexpr auto kTroubleWait = 10s;          // between attempts to write something down, and behind a mistake of ours
constexpr auto kBusyWait = 100ms;           // until a part is tried that an operator works on
constexpr std::size_t kScanned = 2000;      // parts, at each look
constexpr std::size_t kMostKnown = 20'000;  // parts in memory
constexpr std::size_t kMostTried = 10'000;  // of them, at the same time; most wait for a connection
constexpr std::size_t kForgottenAtOnce = 500;
constexpr std::uint64_t kMostReturned = 1u << 20;  // octets of a message that a report brings back
constexpr std::uint64_t kMostHeader = 64u << 10;   // and of its header

void trouble(std::string_view what, std::string_view id, const Error& error) {
    log::error("outbound.trouble",
               {{"id", id}, {"what", what}, {"error", to_string(error.code())}, {"reason", error.detail()}});
}

/// No memory, or a mistake of ours.
void log_mistake(const std::exception& thrown) {
    log::error("outbound.failed_task", {{"what", std::string_view(thrown.what())}});
}

/// When the message was first free to leave.
Timestamp began(const Job& job) { return job.part.released.value_or(job.message.arrived); }

bool wants_report(const queue::Message& message) { return !message.sender.empty(); }  // RFC 5321 s4.5.5

}  // namespace

Runner::Runner(Executor executor, const Services& services, const Options& options)
    : executor_(executor),
      queue_(services.queue),
      delivery_(services.delivery),
      dns_(services.dns),
      options_(options),
      connector_(executor, options_, services.dns, services.tls),
      timer_(executor) {
    if (services.records && options_.mta_sts)
        policies_.emplace(executor, services.dns, *services.records, services.queue.clock(), options_);
}

Runner::~Runner() = default;

Trial::~Trial() {
    if (runner_) runner_->forget(part_);
}

void Runner::start() { spawn(watch()); }

void Runner::stop() {
    stopped_ = true;
    timer_.cancel();
    for (auto& [key, site] : sites_) {
        site->wake_all();
        site->jobs.clear();
    }
    waiting_sites_.clear();
}

void Runner::cut() {
    connector_.stop();
    if (policies_) policies_->stop();
}

void Runner::wake(queue::Due due) {
    asio::post(executor_, [this, due = std::move(due)] {
        note(due);
        begin_due();
    });
}

void Runner::spawn(Task<> task) {
    ++working_;
    asio::co_spawn(executor_, std::move(task), [this](std::exception_ptr failure) {
        --working_;
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& thrown) {  // what was tried is due again later
            log_mistake(thrown);
        }
    });
}

Task<> Runner::watch() {
    while (!stopped_) {
        std::chrono::milliseconds wait = kTroubleWait;
        try {
            co_await look();
            wait = more_ ? std::chrono::milliseconds(kScanAgain) : kScanEvery;
            if (!upcoming_.empty()) wait = std::min(wait, std::max(upcoming_.begin()->first - now(), 10ms));
        } catch (const std::exception& thrown) {
            log_mistake(thrown);
        }
        if (stopped_) break;
        timer_.expires_after(wait);
        co_await timer_.async_wait(kValues);
    }
}

/// Begins what is due; from time to time asks the queue for it, and has old messages forgotten.
Task<> Runner::look() {
    const auto since = SteadyClock::now() - scanned_;
    const bool ask = since >= kScanEvery || (more_ && since >= kScanAgain);
    if (ask) co_await scan();
    begin_due();
    for (bool more = ask; more && !stopped_;) {
        auto forgotten = co_await queue_.forget_finished(kForgottenAtOnce);
        if (!forgotten) trouble("forgetting what is done with", "", forgotten.error());
        more = forgotten && *forgotten == kForgottenAtOnce;
        begin_due();
    }
}

// Each look goes on where the last one ended, so that a long backlog of one destination, which can't all be known, does
// not hide what is due behind it. What was left out comes with the next round.
Task<> Runner::scan() {
    scanned_ = SteadyClock::now();
    if (!scanned_to_) left_some_ = false;
    auto found = co_await queue_.due(now() + kHorizon, kScanned, scanned_to_);
    if (!found) {
        trouble("looking for what is due", "", found.error());
        co_return;
    }
    const bool at_end = found->size() < kScanned;
    scanned_to_.reset();
    if (!at_end) scanned_to_ = found->back();
    more_ = !at_end || left_some_;
    for (auto& due : *found) note(std::move(due));
}

/// A part that is due soon can't be known now.
void Runner::leave_to_queue() { more_ = left_some_ = true; }

void Runner::note(queue::Due due) {
    if (stopped_ || due.time > now() + kHorizon) return;
    auto place = known_.find(due.part);
    if (place != known_.end()) {
        if (!place->second || (*place->second)->first == due.time) return;  // it is being tried, or nothing is new
        upcoming_.erase(*place->second);
        known_.erase(place);
    }
    if (known_.size() >= kMostKnown) return leave_to_queue();
    const auto sooner = upcoming_.empty() || due.time < upcoming_.begin()->first;
    auto at = upcoming_.emplace(due.time, due.part);
    known_.emplace(std::move(due.part), at);
    if (sooner) timer_.cancel();
}

void Runner::begin_due() {
    const auto time = now();
    while (!stopped_ && !upcoming_.empty() && upcoming_.begin()->first <= time &&
           known_.size() - upcoming_.size() < kMostTried) {
        const auto first = upcoming_.begin();
        const auto part = first->second;
        auto claim = queue_.claim(part);
        auto& place = known_.at(part);
        if (!claim) {  // an operator works on it, for a moment
            place = upcoming_.emplace(time + kBusyWait, part);
            upcoming_.erase(first);
            continue;
        }
        Job job{Trial(*this, part), std::move(*claim), {}, {}};
        place.reset();
        upcoming_.erase(first);
        spawn(attempt(std::move(job)));
    }
}

/// It is not tried any more.
void Runner::forget(const queue::PartId& part) {
    known_.erase(part);
    if (!upcoming_.empty() && upcoming_.begin()->first <= now()) timer_.cancel();
}

Task<> Runner::attempt(Job job) {
    const bool loaded = co_await load(job);
    if (loaded && !stopped_) co_await report(job);
    if (!loaded || stopped_ || !job.part.waiting()) {
        const queue::Due due{job.claim.part(), job.part.due};
        const bool again = loaded && job.part.open();
        job = Job();  // gives the claim back before somebody wants it again
        if (again) note(due);
        co_return;
    }
    auto ours = co_await is_ours(job.part);
    if (!ours) {
        trouble("asking where a recipient is", job.part.message, ours.error());
        co_return co_await refuse(std::move(job), {.permanent = false, .status = "4.3.0", .text = "storage trouble"});
    }
    if (*ours) co_return co_await deliver_here(std::move(job));
    find_way(std::move(job));
}

Task<Result<bool>> Runner::is_ours(const queue::Part& part) {
    if (part.recipients.empty()) co_return false;
    auto address = mail::parse_address(part.recipients.front().address, mail::Grammar::tolerant);
    if (!address) co_return false;
    auto resolution = co_await delivery_.resolve(std::move(*address));
    if (!resolution && resolution.error().code() == Errc::invalid) co_return false;
    if (!resolution) co_return pass_on(resolution);
    co_return resolution->kind != directory::Resolution::Kind::unknown_domain;
}

Task<> Runner::deliver_here(Job job) {
    auto reached = co_await outbound::deliver_here(delivery_, queue_, job.message, job.part, options_.hostname);
    co_await settle(std::move(job), std::move(reached));
}

/// False: there is nothing to be done.
Task<bool> Runner::load(Job& job) {
    const auto id = job.claim.part();
    auto part = co_await queue_.part(id);
    if (!part) {
        if (part.error().code() != Errc::not_found) trouble("reading what is due", id.first, part.error());
        co_return false;
    }
    if (!part->open() || part->held || part->due > now()) co_return false;
    auto message = co_await queue_.message(id.first);
    if (!message) {
        trouble("reading what is due", id.first, message.error());
        co_return false;
    }
    job.part = std::move(*part);
    job.message = std::move(*message);
    co_return true;
}

void Runner::find_way(Job job) {
    const auto* route = find_route(options_, job.part.domain, job.message.sender);
    Destination destination;
    if (route) destination.route = *route;
    auto terms = route ? std::to_string(route - options_.routes.data()) : std::string("-");
    // RFC 8689 s4.2.1: a report is not lost because it can't be protected as its message was.
    destination.tls = job.message.tls;
    if (destination.tls == queue::TlsWish::required && job.message.sender.empty())
        destination.tls = queue::TlsWish::usual;
    if (destination.tls == queue::TlsWish::required) terms += " requiretls";
    if (destination.tls == queue::TlsWish::optional) terms += " tls-optional";
    if (route && !route->host.empty()) {
        const auto host = parse_host(route->host).value_or(HostAndPort{route->host, 25});  // checked when it was read
        destination.hosts = {{host.host, 0}};
        destination.port = host.port;
        destination.key = fmt::format("{} route", terms);
        return bring(destination, std::move(job));
    }
    destination.key = terms;
    auto& domain = domains_[terms + " " + job.part.domain];
    const bool asked = domain != nullptr;
    if (!asked) domain = std::make_shared<Domain>(job.part.domain, destination);
    domain->jobs.push_back(std::move(job));
    if (!asked) spawn(look_up(domain));
}

Task<> Runner::look_up(std::shared_ptr<Domain> domain) {
    auto& destination = domain->destination;
    const auto started_as = destination.key + " " + domain->name;
    std::expected<std::vector<Host>, NoWay> hosts;
    std::exception_ptr failure;
    try {
        hosts = co_await hosts_of(dns_, domain->name, options_.hostname);
        if (hosts) {
            destination.hosts = std::move(*hosts);
            co_await find_policy(*domain);
        }
    } catch (...) {
        failure = std::current_exception();
    }
    domains_.erase(started_as);  // the next job asks again, whatever came of it
    if (failure) std::rethrow_exception(failure);
    if (!hosts) {
        for (auto& job : domain->jobs) co_await refuse(std::move(job), hosts.error());
        co_return;
    }
    for (auto& job : domain->jobs) bring(destination, std::move(job));
}

/// Domains with the same hosts stay one destination, unless a policy tells them apart.
Task<> Runner::find_policy(Domain& domain) {
    auto& destination = domain.destination;
    destination.domains = {domain.name};
    destination.key += " " + key_of(destination.hosts);
    if (destination.hosts.front().secure) destination.key += " secure";
    // With DANE a certificate may have the domain's name: one that is good for one domain is not so for another.
    if (destination.hosts.front().secure && options_.dane) destination.key += " of " + domain.name;
    const auto& route = destination.route;
    const bool needed = destination.tls == queue::TlsWish::required;
    if (!policies_ || domain.name.starts_with('[') || destination.tls == queue::TlsWish::optional) co_return;
    if (!needed && (route.tls || !route.login.empty())) co_return;
    const auto policy = co_await policies_->policy_of(domain.name);
    destination.sts = policy.mode;
    if (policy.mode == StsMode::none) co_return;
    destination.key += fmt::format(" mta-sts-{}", to_string(policy.mode));
    if (policy.mode == StsMode::testing) destination.key += " " + domain.name;  // what fails is told of each domain
    for (auto& host : destination.hosts) {
        host.sts_named = policy.names(host.name);
        if (!host.sts_named) destination.key += " without " + host.name;
    }
}

/// All who wait get the same answer.
Task<> Runner::refuse(Job job, NoWay why) {
    Reached reached;
    reached.how = why.permanent ? Reached::How::failed : Reached::How::later;
    reached.reply = std::move(why.text);
    reached.status = std::move(why.status);
    std::vector<Reached> all(job.part.recipients.size(), reached);
    co_await settle(std::move(job), std::move(all));
}

namespace {

void log_outcome(const queue::Message& message, const queue::Part& part, const queue::Recipient& recipient,
                 std::string_view tls, Timestamp time) {
    using State = queue::Recipient::State;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time - message.arrived).count();
    const std::initializer_list<log::Field> fields = {
        {"id", message.id},          {"from", message.sender},   {"recipient", recipient.address},
        {"host", recipient.host},    {"reply", recipient.reply}, {"status", recipient.status},
        {"attempts", part.attempts}, {"seconds", seconds},       {"tls", tls}};
    if (recipient.state == State::delivered)
        log::info("outbound.delivered", fields);
    else if (recipient.state == State::failed)
        log::warning("outbound.failed", fields);
    else
        log::info("outbound.deferred", fields);
}

}  // namespace

/// Writes down what came of an attempt; one entry of `reached` for each recipient, those that did not wait left out of
/// account.
Task<> Runner::settle(Job job, std::vector<Reached> reached) {
    using State = queue::Recipient::State;
    const auto id = job.claim.part();
    auto& part = job.part;
    const bool news = std::ranges::any_of(reached, [](const auto& one) { return one.how != Reached::How::later; });
    if (stopped_ && !news) co_return;  // cut short by the end of the server: that is no attempt
    const auto time = now();
    const auto age = time - began(job);
    const bool too_old = age >= options_.give_up_after, late = age >= options_.warn_after;
    ++part.attempts;
    part.attempted = time;
    bool to_report = false;
    for (std::size_t i = 0; i < part.recipients.size(); ++i) {
        auto& one = part.recipients[i];
        const auto& came = reached[i];
        if (one.state != State::waiting) continue;
        one.reply = queue::kept_reply(came.reply);
        one.status = came.status;
        one.host = came.host;
        if (came.how == Reached::How::delivered) {
            one.state = State::delivered;
            one.report_due = one.notify.of_success() && !came.relayed;
        } else if (came.how == Reached::How::failed || too_old) {
            one.state = State::failed;
            one.report_due = one.notify.of_failure();
        } else if (late && !one.delay_told) {
            one.delay_told = true;
            one.report_due = one.notify.of_delay();
        }
        one.report_due = one.report_due && !one.notify.never && wants_report(job.message);
        to_report |= one.report_due;
        log_outcome(job.message, part, one, came.tls, time);
    }
    part.due = time;
    if (part.waiting()) {
        part.due = time + wait_after(options_, part.attempts, random_u64());
        const Timestamp end = began(job) + options_.give_up_after;
        if (end > time) part.due = std::min(part.due, end);
    }
    co_await save(job);
    if (to_report && !stopped_) co_await report(job);
    const queue::Due due{id, part.due};
    const bool again = part.open() && !part.held;
    job = Job();  // gives the claim back before somebody wants it again
    if (again) note(due);
    begin_due();
}

/// Does not give up while the server runs: what was delivered and is not written down would be delivered again.
Task<> Runner::save(Job& job) {
    for (;;) {
        std::vector<queue::Part> parts{job.part};
        auto saved = co_await queue_.save(std::move(parts));
        if (saved) {
            job.part.stored_due.reset();
            if (job.part.open() && !job.part.held) job.part.stored_due = job.part.due;
            co_return;
        }
        trouble("writing down what came of an attempt", job.part.message, saved.error());
        if (stopped_ || saved.error().code() == Errc::cancelled) co_return;
        SteadyTimer timer(executor_, SteadyClock::now() + kTroubleWait);
        co_await timer.async_wait(kValues);
    }
}

namespace {

/// The part of the message that a report brings back: its header, or all of it.
Task<std::string> returned_content(queue::Queue& queue, const queue::Message& message, bool whole) {
    std::string content;
    auto reader = co_await queue.open(message);
    if (!reader) co_return content;
    mail::WireDecoder decoder;
    const auto most = whole ? kMostReturned + 1 : kMostHeader;
    for (std::size_t searched = 0;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk || chunk->empty()) co_return content;
        decoder.decode(*chunk, content);
        if (!whole) {
            if (const auto end = content.find("\r\n\r\n", searched); end != content.npos) {
                content.resize(end + 2);
                co_return content;
            }
            searched = content.size() < 3 ? 0 : content.size() - 3;
        }
        if (content.size() >= most) {
            content.resize(content.rfind("\r\n", most - 2) + 2);
            co_return content;
        }
    }
}

ReportKind kind_of(const queue::Recipient& recipient) {
    switch (recipient.state) {
        case queue::Recipient::State::delivered: return ReportKind::relayed;
        case queue::Recipient::State::waiting: return ReportKind::delayed;
        default: return ReportKind::failed;
    }
}

}  // namespace

/// Tells the sender what is still to be told, and writes down that it was.
Task<> Runner::report(Job& job) {
    auto& recipients = job.part.recipients;
    auto due = [](const auto& one) { return one.report_due; };
    if (std::ranges::none_of(recipients, due)) co_return;
    for (const auto kind : {ReportKind::failed, ReportKind::delayed, ReportKind::relayed}) {
        Report report{kind, job.message, {}, began(job) + options_.give_up_after, {}, false};
        for (const auto& one : recipients)
            if (one.report_due && kind_of(one) == kind) report.recipients.push_back(one);
        if (report.recipients.empty()) continue;
        report.whole = kind == ReportKind::failed && job.message.ret == mail::ReturnContent::full &&
                       job.message.tls != queue::TlsWish::required &&  // RFC 8689 s5
                       job.message.octets <= kMostReturned;
        report.content = co_await returned_content(queue_, job.message, report.whole);
        auto sent = co_await send(delivery_, options_.hostname, std::move(report), now());
        if (!sent) {
            trouble("telling the sender", job.message.id, sent.error());
            if (!job.part.waiting()) job.part.due = now() + kScanEvery;
            continue;
        }
        for (auto& one : recipients)
            if (one.report_due && kind_of(one) == kind) one.report_due = false;
    }
    co_await save(job);
}

}  // namespace poplar::outbound
