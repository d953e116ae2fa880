// SCRAM keys: those of accounts and devices, and those that pretend that somebody is there.
#include <algorithm>

#include "auth/authenticator_parts.h"
#include "base/turn.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kKindsFrom = 1000;  // accounts that are looked at for what SCRAM keys look like here
constexpr auto kKindsFor = std::chrono::hours(1);

}  // namespace

std::optional<ScramKeys> keys_of(const Account& account, ScramHash hash) {
    if (auto keys = find_scram_keys(account.scram_keys, hash)) return keys;
    return find_scram_keys(account.password, hash);  // imported instead of another hash
}

void append_scram_keys(std::string& to, const ScramWay& way, std::string_view password) {
    to += to_string(way.salt.empty() ? derive_scram_keys(way.hash, password, way.iterations)
                                     : derive_scram_keys(way.hash, password, way.salt, way.iterations));
}

std::optional<ScramWay> way_of(const std::vector<Device>& devices, ScramHash hash) {
    std::optional<ScramWay> way;
    Timestamp created{};
    for (const auto& device : devices) {
        if (way && device.created >= created) continue;
        auto keys = find_scram_keys(device.scram_keys, hash);
        if (!keys) continue;
        way = ScramWay{hash, keys->iterations, std::move(keys->salt)};
        created = device.created;
    }
    return way;
}

Task<Result<std::optional<Authenticator::ProvenDevice>>> Authenticator::Impl::find_device(
    const std::optional<Account>& account, ScramProof proof) {
    if (!account || account->status != AccountStatus::enabled) co_return std::nullopt;
    auto devices = co_await directory.devices(account->id);
    if (!devices) co_return pass_on(devices);
    for (auto& device : *devices) {
        for (std::string_view keys = device.scram_keys; auto one = take_scram_keys(keys, proof.hash());)
            if (auto answer = proof.answer(*one))
                co_return ProvenDevice{std::make_unique<Device>(std::move(device)), std::move(*answer), std::move(*one),
                                       proof.take_client_key()};
        if (turn::over()) co_await turn::let_others();
    }
    co_return std::nullopt;
}

Task<Result<ScramKeys>> Authenticator::Impl::scram_keys(std::string name, const std::optional<Account>& account,
                                                        ScramHash hash) {
    if (account)
        if (auto keys = keys_of(*account, hash)) co_return std::move(*keys);
    // Also for a name that nobody has, whose answer must not come sooner.
    auto devices = co_await directory.devices(account ? account->id : AccountId{});
    if (!devices) co_return pass_on(devices);
    auto turn = co_await pretence.mutex.lock();
    if (pretence.secret.empty()) {
        auto secret = co_await directory.server_secret();
        if (!secret) co_return pass_on(secret);
        pretence.secret = std::move(*secret);
    }
    if (auto now = SteadyClock::now(); now >= pretence.look_again) {
        auto some = co_await directory.accounts("", "", kKindsFrom);
        if (!some) co_return pass_on(some);
        pretence.kinds = kinds_of(*some);
        pretence.look_again = now + kKindsFor;
    }
    name = unknown(std::move(name));  // an account has the same keys in whatever spelling it is named
    const auto& kinds = pretence.kinds[hash];
    auto kind = choose_scram_kind(kinds, pretence.secret, name);
    auto keys = pretended_scram_keys(hash, pretence.secret, name, kind);
    if (auto way = way_of(*devices, hash)) {
        keys.iterations = way->iterations;
        keys.salt = std::move(way->salt);
    }
    co_return keys;
}

std::map<ScramHash, std::map<ScramKind, std::size_t>> Authenticator::Impl::kinds_of(
    const std::vector<Account>& some) const {
    std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds;
    for (auto hash : {ScramHash::sha1, ScramHash::sha256}) {
        auto& of_hash = kinds[hash];
        for (const auto& account : some)
            if (auto keys = keys_of(account, hash)) ++of_hash[{keys->iterations, keys->salt.size()}];
        if (of_hash.empty()) of_hash[{options.scram_iterations}] = 1;
    }
    return kinds;
}

// The salt and the iterations are those that the account's challenge has already: it must not change when a device
// is added, because the challenge of a name that nobody has does not change.
Task<Result<std::string>> Authenticator::Impl::device_scram_keys(Account account, DevicePassword password) {
    std::vector<ScramWay> scram;
    for (auto hash : {ScramHash::sha256, ScramHash::sha1}) {
        bool wanted = std::ranges::find(options.scram_keys, hash) != options.scram_keys.end();
        if (!wanted && !keys_of(account, hash)) continue;
        auto keys = co_await scram_keys(account.address, account, hash);
        if (!keys) co_return pass_on(keys);
        scram.emplace_back(hash, keys->iterations, std::move(keys->salt));
    }
    if (scram.empty()) co_return std::string();
    auto work = [scram = std::move(scram), password = std::move(password)] {
        std::string made;
        for (const auto& way : scram)
            for (const auto& form : {grouped(password), plain(password)}) append_scram_keys(made, way, form);
        return made;
    };
    auto made = co_await pool.run(Share{.standing = Standing::good}, std::move(work));
    if (!made) co_return fail(Errc::busy, "too many logins are waiting");
    co_return std::move(*made);
}

Task<Result<ScramKeys>> Authenticator::scram_keys(std::string name, const std::optional<Account>& account,
                                                  ScramHash hash) {
    return impl_->scram_keys(std::move(name), account, hash);
}

Task<Result<std::optional<Authenticator::ProvenDevice>>> Authenticator::find_device(
    const std::optional<Account>& account, ScramProof proof) {
    return impl_->find_device(account, std::move(proof));
}

Task<Result<std::string>> Authenticator::device_scram_keys(Account account, DevicePassword password) {
    return impl_->device_scram_keys(std::move(account), std::move(password));
}

}  // namespace poplar::auth
