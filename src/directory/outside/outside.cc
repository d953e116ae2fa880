// Decides when a source is asked, and what is believed when it does not answer.
#include "directory/outside/outside.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <new>

#include "base/fair_pool.h"
#include "base/log.h"
#include "base/networks.h"
#include "base/peer_network.h"
#include "base/steady.h"
#include "directory/outside/known.h"

namespace poplar::directory::outside {

namespace {

constexpr int kFailuresUntilSilent = 3;                // one behind the other; then the source is left alone
constexpr auto kLeftAlone = std::chrono::seconds(1);   // and tried again by one question
constexpr auto kSilentFor = std::chrono::seconds(10);  // after a failure: OutsideDirectory::is_silent
constexpr std::size_t kWrites = 1000;                  // records in one commit
constexpr auto kHashesPatience = std::chrono::seconds(2);
constexpr auto kHashesLook = std::chrono::milliseconds(20);

/// A source with what is known of it.
struct Served {
    Served(Outside::Part part, const Clock& clock)
        : settings(std::move(part.settings)),
          source(std::move(part.source)),
          known(clock, settings.fresh, settings.cache, settings.entries) {}

    Task<Result<Answer>> ask(Question question) {
        const auto now = SteadyClock::now();
        if (failures >= kFailuresUntilSilent) {
            auto next = next_try.load();
            // One question at a time finds out whether it answers again.
            if (now.time_since_epoch().count() < next ||
                !next_try.compare_exchange_strong(next, (now + settings.timeout).time_since_epoch().count()))
                co_return fail(Errc::timed_out, described(settings) + " did not answer a moment ago");
        }
        question.deadline = now + settings.timeout;
        const auto address = mail::to_string(question.address);
        auto answer = co_await source->ask(std::move(question));
        if (answer) {
            note_answer();
            known.note(address, *answer);
            co_return answer;
        }
        if (answer.error().code() == Errc::invalid) {  // or whoever knows one such address could silence all others
            note_answer();
            log::info("outside.unusable_answer",
                      {{"directory", described(settings)}, {"address", address}, {"reason", answer.error().detail()}});
            co_return fail(Errc::io, answer.error().detail());
        }
        const auto then = SteadyClock::now();
        failed_last = then.time_since_epoch().count();
        if (answer.error().code() == Errc::busy) co_return answer;  // it may be well
        next_try = (then + kLeftAlone).time_since_epoch().count();
        const int before = failures.fetch_add(1);
        if (before == kFailuresUntilSilent - 1)
            log::warning("outside.silent", {{"directory", described(settings)}, {"reason", answer.error().detail()}});
        else if (before < kFailuresUntilSilent)
            log::info("outside.no_answer", {{"directory", described(settings)}, {"reason", answer.error().detail()}});
        co_return answer;
    }

    void note_answer() {
        if (failures.exchange(0) >= kFailuresUntilSilent)
            log::info("outside.answers_again", {{"directory", described(settings)}});
    }

    /// As long as its last word is missing, and a moment longer.
    bool is_silent() const {
        if (failures > 0) return true;
        const auto last = failed_last.load();
        return last != 0 &&
               SteadyClock::now().time_since_epoch().count() - last < SteadyClock::duration(kSilentFor).count();
    }

    const Settings settings;
    const std::unique_ptr<Source> source;
    Known known;
    std::atomic<int> failures = 0;  ///< since the last answer
    std::atomic<SteadyClock::rep> failed_last = 0, next_try = 0;
};

/// The shares of mail and of logins of which only the name is known yet are no peer's.
Share share_of(const OutsideDirectory::Asker& asker) {
    if (asker.peer.empty()) return {};
    const auto peer = peer_key(asker.peer);
    return {.standing = Standing::unknown, .outer = network_of(peer), .inner = peer};
}

bool allows(const std::vector<std::string>& networks, const std::string& peer) {
    if (networks.empty()) return true;
    auto parsed = Networks::parse(networks);
    return parsed && parsed->contains(peer);
}

}  // namespace

struct Outside::Impl {
    Impl(Directory& d, const Clock& c, std::vector<Part> parts, Options o)
        : directory(d), clock(c), options(o), hashing(o.hash_threads, o.hash_queue) {
        for (auto& part : parts) {
            auto served = std::make_shared<Served>(std::move(part), clock);
            for (const auto& domain : served->settings.domains) by_domain.emplace(domain, served);
            all.push_back(std::move(served));
        }
    }
    ~Impl() { stopping = true; }

    Served* find(std::string_view domain) const {
        const auto found = by_domain.find(domain);
        return found == by_domain.end() ? nullptr : found->second.get();
    }
    Served* of_address(std::string_view address) const { return find(address.substr(address.rfind('@') + 1)); }

    /// The record of the last life of the server, as far as it may be believed.
    Task<std::optional<Kept>> kept(const Served& served, const std::string& address) {
        auto record = co_await directory.kept_outside(address);
        if (!record || record->empty()) co_return std::nullopt;
        auto read = decode_kept(*record);
        if (!read) co_return std::nullopt;
        const auto now = clock.now();
        auto is_good = [&](Timestamp then) { return then <= now && now - then < served.settings.cache; };
        if (read->password && !is_good(read->password->right)) read->password.reset();
        if (!is_good(read->there)) co_return std::nullopt;
        co_return std::move(*read);
    }

    Task<Sighting> look_up(Served& served, mail::Address address) {
        using Presence = Sighting::Presence;
        const auto name = mail::to_string(address);
        auto sighting = [](bool exists, const std::string& credential, const std::vector<std::string>& networks) {
            // From where it may be used is looked at only where a password is checked.
            const bool is_good = exists && networks.empty();
            return Sighting{exists ? Presence::there : Presence::gone, is_good ? credential : ""};
        };
        auto seen = served.known.find(name);
        if (seen && seen->fresh) co_return sighting(seen->exists, seen->credential, seen->networks);
        auto answer = co_await served.ask({.address = std::move(address), .protocol = "lookup"});
        if (answer) {
            if (!answer->exists) co_await forget_record(served, name);
            co_return sighting(answer->exists, answer->credential, answer->networks);
        }
        if (seen) co_return sighting(seen->exists, seen->credential, seen->networks);
        if (auto record = co_await kept(served, name)) co_return Sighting{Presence::there, {}};
        co_return Sighting{Presence::in_doubt, {}};
    }

    /// The account is gone. If an earlier life of the server has left a record, it must not be believed any more.
    Task<> forget_record(Served& served, std::string address) {
        auto record = co_await directory.kept_outside(address);
        if (record && !record->empty()) served.known.drop_record(address);
    }

    bool remembers(const std::string& address, const std::string& password, const Asker& asker) {
        auto* served = of_address(address);
        if (served == nullptr || password.empty()) return false;
        auto seen = served->known.find(address);
        if (!seen || !seen->exists || !allows(seen->networks, asker.peer)) return false;
        return served->known.remembers(address, served->known.digest(address, password), Known::Age::fresh) ==
               Known::Memory::right;
    }

    /// Errors: busy.
    Task<Result<bool>> matches(std::string credential, std::string password, Share share) {
        if (credential.empty()) co_return false;
        auto work = [this, credential = std::move(credential), password = std::move(password)]() -> Result<bool> {
            try {
                return options.matches(credential, password);
            } catch (const std::bad_alloc&) {
                return fail(Errc::busy, "no memory for a password hash");
            }
        };
        auto matched = co_await hashing.run(share, std::move(work));
        if (!matched) co_return pass_on(matched);
        co_return std::move(*matched);
    }

    Task<Result<bool>> check(Served& served, mail::Address address, std::string password, Asker asker) {
        if (password.empty()) co_return false;  // RFC 4513 s5.1.2 would take it for nobody's
        const auto name = mail::to_string(address);
        const auto digest = served.known.digest(name, password);
        const auto share = share_of(asker);
        auto seen = served.known.find(name);
        if (seen && seen->fresh && !seen->exists) co_return false;
        const bool allowed = !seen || allows(seen->networks, asker.peer);
        switch (served.known.remembers(name, digest, Known::Age::fresh)) {
            case Known::Memory::right:
                if (allowed) co_return true;
                break;
            case Known::Memory::wrong: co_return false;
            case Known::Memory::none: break;
        }
        std::string tried;
        if (seen && seen->fresh && !seen->credential.empty() && allowed) {
            auto right = co_await matches(seen->credential, password, share);
            if (!right) co_return right;
            if (*right) co_return remember(served, name, digest, password, seen->credential);
            tried = std::move(seen->credential);  // it may have been changed since the source was asked
        }
        auto answer = co_await served.ask({.address = std::move(address),
                                           .password = password,
                                           .peer = asker.peer,
                                           .protocol = asker.protocol,
                                           .share = share});
        if (!answer) {
            auto believed = co_await believe(served, name, std::move(password), digest, std::move(asker));
            if (!believed && believed.error().code() == Errc::not_found) co_return pass_on(answer);
            co_return believed;
        }
        if (!answer->exists) {
            co_await forget_record(served, name);
            co_return false;
        }
        if (!allows(answer->networks, asker.peer)) co_return false;
        if (!answer->right && !tried.empty() && answer->credential == tried) answer->right = false;
        if (!answer->right) {
            auto right = co_await matches(answer->credential, password, share);
            if (!right) co_return right;
            answer->right = *right;
        }
        if (*answer->right) co_return remember(served, name, digest, password, answer->credential);
        served.known.note(name, digest, false, answer->credential);
        co_return false;
    }

    /// Remembers a right password, and what it was compared with. Its slow hash, for the store, is made when nobody
    /// waits for a hash.
    bool remember(Served& served, const std::string& address, const Digest& digest, const std::string& password,
                  const std::string& credential) {
        if (!served.known.note(address, digest, true, credential)) return true;
        ++hashes_due;
        // A job that is refused is destroyed without being run.
        std::shared_ptr<void> due(nullptr, [this](void*) { --hashes_due; });
        auto work = [this, &served, address, digest, password, due = std::move(due)] {
            if (stopping || secret_text().empty()) return;
            try {
                served.known.keep(address, digest, keep_password(password, secret_text()));
            } catch (const std::bad_alloc&) {
                // Then this one is not kept; its next login tries again.
            }
        };
        hashing.post({.standing = Standing::bad}, std::move(work));
        return true;
    }

    /// The answer that is believed where the source gives none. Nobody is wrong then: the password may be a new one.
    /// Errors: not_found (nothing is known that makes it right), busy.
    Task<Result<bool>> believe(Served& served, std::string address, std::string password, Digest digest, Asker asker) {
        auto unknown = [] { return fail(Errc::not_found, "nothing is known of this password"); };
        auto seen = served.known.find(address);
        if (seen && (!seen->exists || !allows(seen->networks, asker.peer))) co_return unknown();
        const auto memory = served.known.remembers(address, digest, Known::Age::stale);
        if (memory == Known::Memory::wrong) co_return unknown();  // whatever was kept of it: it was replaced
        if (seen && memory == Known::Memory::right) co_return true;
        if (seen && !seen->credential.empty()) {
            auto right = co_await matches(seen->credential, std::move(password), share_of(asker));
            if (!right) co_return right;
            if (*right) co_return true;
            co_return unknown();
        }
        auto record = co_await kept(served, address);
        if (!record || !record->password) co_return unknown();
        auto work = [this, kept = *record->password, password = std::move(password)]() -> Result<bool> {
            try {
                return outside::matches(kept, password, secret_text());
            } catch (const std::bad_alloc&) {
                return fail(Errc::busy, "no memory for a password hash");
            }
        };
        auto right = co_await hashing.run(share_of(asker), std::move(work));
        if (!right) co_return pass_on(right);
        if (!*right || !**right) co_return unknown();
        co_return true;
    }

    Task<Result<>> load_secret() {
        auto read = co_await directory.server_secret();
        if (!read) co_return pass_on(read);
        std::lock_guard hold(mutex);
        secret = std::move(*read);
        co_return Result<>();
    }
    std::string secret_text() {
        std::lock_guard hold(mutex);
        return secret;
    }

    Task<Result<>> add_domains() {
        if (auto loaded = co_await load_secret(); !loaded) co_return loaded;
        for (const auto& served : all) {
            for (const auto& domain : served->settings.domains) {
                auto added = co_await directory.add_domain(domain);
                if (added)
                    log::info("outside.domain_added",
                              {{"domain", domain}, {"directory", outside::described(served->settings)}});
                else if (added.error().code() != Errc::exists)
                    co_return pass_on(added);
            }
        }
        co_return Result<>();
    }

    Task<Result<>> flush() {
        for (const auto& served : all) {
            auto due = served->known.take_due();
            std::vector<Directory::KeptOutside> records;
            for (std::size_t i = 0; i < due.size(); ++i) {
                auto& [address, kept, password_known] = due[i];
                if (kept && !password_known) {
                    auto before = co_await this->kept(*served, address);
                    if (before) kept->password = before->password;
                }
                records.push_back({address, kept ? encode(*kept) : std::string()});
                if (records.size() < kWrites && i + 1 < due.size()) continue;
                auto done = co_await directory.keep_outside(std::exchange(records, {}));
                if (done) continue;
                for (auto& one : due) served->known.put_back(std::move(one));
                co_return done;
            }
        }
        co_return Result<>();
    }

    Task<> stop() {
        SteadyTimer timer(co_await asio::this_coro::executor);
        for (const auto end = SteadyClock::now() + kHashesPatience; hashes_due > 0 && SteadyClock::now() < end;) {
            timer.expires_after(kHashesLook);
            co_await timer.async_wait(asio::as_tuple(use_awaitable));
        }
        stopping = true;
    }

    Directory& directory;
    const Clock& clock;
    const Options options;
    std::map<std::string, std::shared_ptr<Served>, std::less<>> by_domain;
    std::vector<std::shared_ptr<Served>> all;
    std::mutex mutex;
    std::string secret;  ///< the directory's, once it was asked for
    std::atomic<bool> stopping = false;
    std::atomic<std::size_t> hashes_due = 0;  ///< of right passwords, for the store
    FairPool hashing;                         // last: its threads end before what they use
};

Outside::Outside(Directory& directory, const Clock& clock, std::vector<Part> parts, Options options)
    : impl_(std::make_unique<Impl>(directory, clock, std::move(parts), options)) {}

Outside::~Outside() = default;

bool Outside::keeps(std::string_view domain) const { return impl_->find(domain) != nullptr; }

std::string Outside::described(std::string_view domain) const {
    const auto* served = impl_->find(domain);
    return served == nullptr ? std::string() : outside::described(served->settings);
}

bool Outside::is_silent(std::string_view domain) const {
    const auto* served = impl_->find(domain);
    return served != nullptr && served->is_silent();
}

Task<OutsideDirectory::Sighting> Outside::look_up(mail::Address address) {
    auto* served = impl_->find(address.domain);
    if (served == nullptr) co_return Sighting{Sighting::Presence::gone, {}};
    co_return co_await impl_->look_up(*served, std::move(address));
}

bool Outside::remembers(const std::string& address, const std::string& password, const Asker& asker) {
    return impl_->remembers(address, password, asker);
}

Task<Result<bool>> Outside::check(mail::Address address, std::string password, Asker asker) {
    auto* served = impl_->find(address.domain);
    if (served == nullptr) co_return false;
    co_return co_await impl_->check(*served, std::move(address), std::move(password), std::move(asker));
}

Task<Result<>> Outside::add_domains() { return impl_->add_domains(); }

Task<Result<>> Outside::flush() { return impl_->flush(); }

Task<> Outside::stop() { return impl_->stop(); }

}  // namespace poplar::directory::outside
