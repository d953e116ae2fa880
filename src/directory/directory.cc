// Domains, accounts and aliases. Keys and values: records.h. Changes go through Core::write, one at a time.
#include "directory/directory.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/random.h"
#include "directory/core.h"

namespace poplar::directory {

namespace {

constexpr std::size_t kPasswordLimit = 1024;  // octets of a stored `{SCHEME}hash`, SCRAM keys or secret
constexpr std::size_t kServerSecret = 32;     // octets
constexpr std::size_t kPage = 1000;           // entries a scan asks for at most

}  // namespace

bool is_postmaster(std::string_view local) { return ascii::same(local, kPostmaster); }

void Draft::add(const mail::Address& address, const Account& account) {
    put(address, account);
    batch.put(account_id_key(account.id), encode_location(address));
    if (address.local == kPostmaster) batch.put(postmaster_key(address.domain), encode_mark());
    ++counters.accounts;
}

void Draft::add(const mail::Address& address, const Alias& alias) {
    batch.put(address_key(address), encode(alias));
    if (address.local == kPostmaster) batch.put(postmaster_key(address.domain), encode_mark());
    ++counters.aliases;
}

void Draft::remove(const mail::Address& address, const Entity& entity) {
    batch.erase(address_key(address));
    if (address.local == kPostmaster) batch.erase(postmaster_key(address.domain));
    if (auto* account = std::get_if<Account>(&entity)) {
        batch.erase(account_id_key(account->id));
        batch.erase(familiar_peers_key(account->id));
        batch.erase(factors_key(account->id));
        batch.erase(outside_key(account->id));
        for (auto& key : settings_keys(*account)) batch.erase(std::move(key));
        --counters.accounts;
    } else {
        --counters.aliases;
    }
}

void Draft::put(const mail::Address& address, const Account& account) {
    batch.put(address_key(address), encode(account));
}

void Draft::add(const Domain& domain) {
    batch.put(domain_key(domain.name), encode(domain));
    ++counters.domains;
}

Result<mail::Address> Core::normalize(const mail::Address& address) const {
    auto canonical = mail::canonical(address, options.local_case);
    if (!canonical) return canonical;
    if (is_postmaster(canonical->local)) canonical->local = kPostmaster;
    return canonical;
}

Result<mail::Address> Core::normalize(std::string_view text) const {
    auto address = mail::parse_address(text);
    if (!address) return address;
    return normalize(*address);
}

Result<mail::Address> Core::new_name(std::string_view text) const {
    auto name = normalize(text);
    if (name && name->local.contains('*'))
        return fail(Errc::invalid,
                    "an address with \"*\" stands for no others here; "
                    "a domain's catch-all takes the mail to its unknown addresses");
    return name;
}

Result<> Core::check_password(const Password& password) {
    if (password.hash.size() > kPasswordLimit || password.scram_keys.size() > kPasswordLimit)
        return fail(Errc::invalid, "stored password longer than 1024 octets");
    return {};
}

Task<Result<std::optional<std::string>>> Core::read(std::string key) {
    auto value = co_await engine.get(kDirectoryPartition, std::move(key));
    if (value) co_return std::optional(std::move(*value));
    if (value.error().code() == Errc::not_found) co_return std::nullopt;
    co_return pass_on(value);
}

Task<Result<Counters>> Core::counters() {
    auto value = co_await read(counters_key());
    if (!value) co_return pass_on(value);
    if (!*value) co_return Counters{};
    co_return decode_counters(**value);
}

Task<Result<std::optional<Domain>>> Core::domain(std::string name) {
    auto key = domain_key(name);
    auto value = co_await read(key);
    if (!value) co_return pass_on(value);
    if (!*value) co_return std::nullopt;
    auto domain = decode_domain(key, **value);
    if (!domain) co_return pass_on(domain);
    co_return std::move(*domain);
}

Task<Result<std::optional<Entity>>> Core::entity(mail::Address address) {
    auto key = address_key(address);
    auto value = co_await read(key);
    if (!value) co_return pass_on(value);
    if (!*value) co_return std::nullopt;
    auto entity = decode_entity(key, **value);
    if (!entity) co_return pass_on(entity);
    co_return std::move(*entity);
}

std::optional<Account> Core::account_at_hand(const mail::Address& address) {
    auto key = address_key(address);
    auto value = engine.try_get(kDirectoryPartition, key);
    if (!value || !*value) return std::nullopt;
    auto entity = decode_entity(key, **value);
    auto* account = entity ? std::get_if<Account>(&*entity) : nullptr;
    if (account == nullptr) return std::nullopt;
    return std::move(*account);
}

Task<Result<std::optional<Match>>> Core::match(mail::Address address) {
    auto whole = co_await entity(address);
    if (!whole) co_return pass_on(whole);
    if (*whole) co_return Match{std::move(**whole), {}};
    auto parts = mail::split_detail(address.local, options.detail_separator);
    if (parts.user.size() == address.local.size()) co_return std::nullopt;
    std::string detail(parts.detail);
    auto user = co_await entity({std::string(parts.user), address.domain});
    if (!user) co_return pass_on(user);
    if (!*user) co_return std::nullopt;
    co_return Match{std::move(**user), std::move(detail)};
}

Task<Result<AccountId>> Core::new_account_id(Draft& draft) {
    for (;;) {
        AccountId id(draft.counters.next_account++);
        auto number = co_await engine.change_number(id);
        if (!number) co_return pass_on(number);
        if (number->value == 0) co_return id;
    }
}

Task<Result<Account>> Core::account(mail::Address address) {
    auto found = co_await entity(address);
    if (!found) co_return pass_on(found);
    if (*found)
        if (auto* account = std::get_if<Account>(&**found)) co_return std::move(*account);
    co_return fail(Errc::not_found, "no account " + mail::to_string(address));
}

Directory::Directory(engine::Engine& engine, const Clock& clock, Options options)
    : core_(new Core{engine, clock, options, {}, {}}) {}

Directory::~Directory() = default;

// Domains.

Task<Result<Domain>> Directory::add_domain(std::string name, std::string postmaster) {
    auto canonical = mail::canonical_domain(name);
    if (!canonical) co_return pass_on(canonical);
    mail::Address target;
    if (!postmaster.empty()) {
        auto parsed = core_->normalize(postmaster);
        if (!parsed) co_return pass_on(parsed);
        target = std::move(*parsed);
        if (target.domain == *canonical && is_postmaster(target.local))
            co_return fail(Errc::invalid, "the postmaster's mail can't lead to itself");
    }
    auto prepare = [&](Draft& draft) -> Task<Result<Domain>> {
        auto there = co_await core_->domain(*canonical);
        if (!there) co_return pass_on(there);
        if (*there) co_return fail(Errc::exists, "domain " + *canonical + " is there already");
        Domain domain{*canonical, {}, core_->clock.now()};
        draft.add(domain);
        if (postmaster.empty()) co_return domain;
        // The account may follow: there can be none before its domain.
        if (target.domain != *canonical) {
            auto match = co_await core_->match(target);
            if (!match) co_return pass_on(match);
            if (!*match && !core_->is_outside(target.domain))
                co_return fail(Errc::not_found, "no account or alias " + mail::to_string(target));
        }
        mail::Address from{std::string(kPostmaster), *canonical};
        draft.add(from, Alias{mail::to_string(from), {mail::to_string(target)}});
        co_return domain;
    };
    co_return co_await core_->write<Domain>(prepare);
}

Task<Result<>> Directory::remove_domain(std::string name) {
    auto canonical = mail::canonical_domain(name);
    if (!canonical) co_return pass_on(canonical);
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto there = co_await core_->domain(*canonical);
        if (!there) co_return pass_on(there);
        if (!*there) co_return fail(Errc::not_found, "no domain " + *canonical);
        auto range = engine::KeyRange::prefix(addresses_prefix(*canonical));
        auto used = co_await core_->engine.scan(kDirectoryPartition, std::move(range), 1);
        if (!used) co_return pass_on(used);
        if (!used->empty()) co_return fail(Errc::busy, "domain " + *canonical + " still has accounts or aliases");
        draft.batch.erase(domain_key(*canonical));
        --draft.counters.domains;
        co_return Result<>();
    };
    auto removed = co_await core_->write<void>(prepare);
    core_->forget_domains();
    co_return removed;
}

Task<Result<std::vector<Domain>>> Directory::domains() {
    auto snapshot = core_->engine.snapshot(kDirectoryPartition);
    auto range = engine::KeyRange::prefix(domains_prefix());
    std::vector<Domain> out;
    for (;;) {
        auto page = co_await core_->engine.scan(kDirectoryPartition, range, kPage, snapshot);
        if (!page) co_return pass_on(page);
        for (const auto [key, value] : *page) {
            auto domain = decode_domain(key, value);
            if (!domain) co_return pass_on(domain);
            out.push_back(std::move(*domain));
        }
        if (page->size() < kPage) co_return out;
        range.begin_behind(page->back().key);
    }
}

Task<Result<>> Directory::set_catch_all(std::string domain, std::string address) {
    auto canonical = mail::canonical_domain(domain);
    if (!canonical) co_return pass_on(canonical);
    mail::Address target;
    if (!address.empty()) {
        auto parsed = core_->normalize(address);
        if (!parsed) co_return pass_on(parsed);
        target = std::move(*parsed);
    }
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto record = co_await core_->domain(*canonical);
        if (!record) co_return pass_on(record);
        if (!*record) co_return fail(Errc::not_found, "no domain " + *canonical);
        (*record)->catch_all.clear();
        if (!address.empty()) {
            auto match = co_await core_->match(target);
            if (!match) co_return pass_on(match);
            (*record)->catch_all = mail::to_string(target);
            if (!*match && !core_->is_outside(target.domain))
                co_return fail(Errc::not_found, "no account or alias " + (*record)->catch_all);
        }
        draft.batch.put(domain_key(*canonical), encode(**record));
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare);
}

// Accounts.

Task<Result<Account>> Core::add_account(mail::Address name, Password password) {
    auto prepare = [&](Draft& draft) -> Task<Result<Account>> {
        auto there = co_await entity(name);
        if (!there) co_return pass_on(there);
        if (*there) co_return fail(Errc::exists, mail::to_string(name) + " is there already");
        auto ours = co_await domain(name.domain);
        if (!ours) co_return pass_on(ours);
        if (!*ours) co_return fail(Errc::not_found, "no domain " + name.domain);
        auto id = co_await new_account_id(draft);
        if (!id) co_return pass_on(id);
        Account account{.id = *id,
                        .address = mail::to_string(name),
                        .password = password.hash,
                        .credential_version = 1,
                        .status = AccountStatus::enabled,
                        .created = clock.now(),
                        .scram_keys = password.scram_keys,
                        .shared_secret = {}};
        draft.add(name, account);
        co_return account;
    };
    co_return co_await write<Account>(prepare);
}

Task<Result<Account>> Directory::add_account(std::string address, Password password) {
    auto name = core_->new_name(address);
    if (!name) co_return pass_on(name);
    if (auto good = Core::check_password(password); !good) co_return pass_on(good);
    co_return co_await core_->add_account(std::move(*name), std::move(password));
}

Task<Result<Account>> Directory::find_account(std::string address) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    co_return co_await core_->account(std::move(*name));
}

std::optional<Account> Directory::account_at_hand(std::string_view address) {
    auto name = core_->normalize(address);
    if (!name || core_->is_outside(name->domain)) return std::nullopt;
    return core_->account_at_hand(*name);
}

Task<Result<Account>> Directory::account(AccountId id) {
    auto missing = [&] { return fail(Errc::not_found, "no account with id " + std::to_string(id.value)); };
    auto value = co_await core_->read(account_id_key(id));
    if (!value) co_return pass_on(value);
    if (!*value) co_return missing();
    auto address = decode_location(**value);
    if (!address) co_return pass_on(address);
    auto account = co_await core_->account(std::move(*address));
    // Between the two reads the account may go, and another one may take its address.
    if (account && account->id != id) co_return missing();
    co_return account;
}

namespace {

/// Writes the account, with a new version of its credential, if `change` returns that it changed anything.
template <class Change>
Task<Result<>> change_credential(Core& core, const std::string& address, Change& change) {
    auto name = core.normalize(address);
    if (!name) co_return pass_on(name);
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto account = co_await core.account(*name);
        if (!account) co_return pass_on(account);
        if (!change(*account)) co_return Result<>();
        ++account->credential_version;
        draft.put(*name, *account);
        co_return Result<>();
    };
    co_return co_await core.write<void>(prepare);
}

}  // namespace

Task<Result<>> Directory::set_password(std::string address, Password password) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    if (auto good = Core::check_password(password); !good) co_return good;
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto account = co_await core_->account(*name);
        if (!account) co_return pass_on(account);
        if (auto good = co_await core_->expect_keys(*account, password.beside); !good) co_return good;
        account->password = password.hash;
        account->scram_keys = password.scram_keys;
        ++account->credential_version;
        draft.put(*name, *account);
        co_return co_await core_->close_windows(draft, account->id);
    };
    co_return co_await core_->write<void>(prepare);
}

Task<Result<>> Directory::upgrade_password(AccountId id, std::string old, Password password) {
    if (auto good = Core::check_password(password); !good) co_return good;
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto current = co_await account(id);
        if (!current) co_return pass_on(current);
        if (current->password != old) co_return fail(Errc::conflict, "the password has changed");
        if (auto good = co_await core_->expect_keys(*current, password.beside); !good) co_return good;
        auto name = core_->normalize(current->address);
        if (!name) co_return pass_on(name);
        current->password = password.hash;
        current->scram_keys = password.scram_keys;
        ++current->credential_version;
        draft.put(*name, *current);
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare);
}

Task<Result<>> Directory::set_shared_secret(std::string address, std::string secret) {
    if (secret.size() > kPasswordLimit) co_return fail(Errc::invalid, "secret longer than 1024 octets");
    auto change = [&](Account& account) {
        account.shared_secret = secret;
        return true;
    };
    co_return co_await change_credential(*core_, address, change);
}

Task<Result<>> Directory::set_status(std::string address, AccountStatus status) {
    auto change = [status](Account& account) { return std::exchange(account.status, status) != status; };
    co_return co_await change_credential(*core_, address, change);
}

Task<Result<>> Directory::set_settings(std::string address, AccountSettings settings) {
    auto replace = [&settings](AccountSettings& stored, const std::optional<FactorPolicy>&) -> Result<> {
        const auto encryption = stored.encryption;  // goes with the keychain
        stored = settings;
        stored.encryption = encryption;
        return {};
    };
    auto set = co_await change_settings(std::move(address), std::move(replace));
    if (!set) co_return pass_on(set);
    co_return Result<>();
}

Task<Result<Account>> Directory::change_settings(std::string address, ChangeSettings change) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    auto prepare = [&](Draft& draft) -> Task<Result<Account>> {
        auto account = co_await core_->account(*name);
        if (!account) co_return account;
        auto domain = co_await core_->domain(name->domain);
        if (!domain) co_return pass_on(domain);
        auto before = settings_keys(*account);
        const auto of_domain = *domain ? (*domain)->second_factor : std::nullopt;
        if (auto changed = change(account->settings, of_domain); !changed) co_return pass_on(changed);
        auto after = settings_keys(*account);
        for (auto& key : before)
            if (std::ranges::find(after, key) == after.end()) draft.batch.erase(std::move(key));
        for (auto& key : after) draft.batch.put(std::move(key), encode_mark());
        draft.put(*name, *account);
        co_return account;
    };
    co_return co_await core_->write<Account>(prepare);
}

Task<Result<AccountSettings>> Directory::strictest_settings() {
    AccountSettings strictest;
    auto first = [this](std::string prefix) {
        return core_->engine.scan(kDirectoryPartition, engine::KeyRange::prefix(std::move(prefix)), 1);
    };
    auto expire = co_await first(expire_days_prefix());
    if (!expire) co_return pass_on(expire);
    if (!expire->empty()) strictest.expire_days = expire_days_of(expire->front().key);
    auto delay = co_await first(login_delay_prefix());
    if (!delay) co_return pass_on(delay);
    if (!delay->empty()) strictest.login_delay = login_delay_of(delay->front().key);
    co_return strictest;
}

Task<Result<Account>> Directory::remove_account(std::string address) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    auto prepare = [&](Draft& draft) -> Task<Result<Account>> {
        auto account = co_await core_->account(*name);
        if (!account) co_return pass_on(account);
        auto own = co_await devices(account->id);
        if (!own) co_return pass_on(own);
        for (const auto& device : *own) {
            draft.batch.erase(device_key(account->id, device.id));
            draft.batch.erase(device_use_key(account->id, device.id));
        }
        draft.remove(*name, *account);
        co_return account;
    };
    co_return co_await core_->write<Account>(prepare);
}

// Aliases.

Task<Result<Alias>> Directory::add_alias(std::string address, std::vector<std::string> targets) {
    auto name = core_->new_name(address);
    if (!name) co_return pass_on(name);
    if (targets.empty()) co_return fail(Errc::invalid, "an alias needs a target");
    std::vector<mail::Address> to;
    for (const auto& target : targets) {
        auto parsed = core_->normalize(target);
        if (!parsed) co_return pass_on(parsed);
        if (std::ranges::find(to, *parsed) == to.end()) to.push_back(std::move(*parsed));
        if (to.size() > core_->options.alias_targets)
            co_return fail(Errc::invalid,
                           "an alias has at most " + std::to_string(core_->options.alias_targets) + " targets");
    }
    auto prepare = [&](Draft& draft) -> Task<Result<Alias>> {
        auto there = co_await core_->entity(*name);
        if (!there) co_return pass_on(there);
        if (*there) co_return fail(Errc::exists, mail::to_string(*name) + " is there already");
        auto domain = co_await core_->domain(name->domain);
        if (!domain) co_return pass_on(domain);
        if (!*domain) co_return fail(Errc::not_found, "no domain " + name->domain);
        Alias alias{mail::to_string(*name), {}};
        for (const auto& target : to) {
            auto match = co_await core_->match(target);
            if (!match) co_return pass_on(match);
            // Whether an account is there outside is asked when mail comes: it may be there tomorrow.
            if (!*match && !core_->is_outside(target.domain)) {
                auto ours = co_await core_->domain(target.domain);
                if (!ours) co_return pass_on(ours);
                if (*ours) co_return fail(Errc::not_found, "no account or alias " + mail::to_string(target));
            }
            alias.targets.push_back(mail::to_string(target));
        }
        draft.add(*name, alias);
        co_return alias;
    };
    co_return co_await core_->write<Alias>(prepare);
}

Task<Result<>> Directory::remove_alias(std::string address) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto there = co_await core_->entity(*name);
        if (!there) co_return pass_on(there);
        if (!*there || !std::holds_alternative<Alias>(**there))
            co_return fail(Errc::not_found, "no alias " + mail::to_string(*name));
        draft.remove(*name, **there);
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare);
}

std::optional<Directory::WithDetail> Directory::split_detail(std::string_view text) const {
    const auto at = std::min(text.rfind('@'), text.size());
    const auto separator = text.find(core_->options.detail_separator, 1);
    if (separator == std::string_view::npos || separator > at || text.front() == '"') return std::nullopt;
    return WithDetail{std::string(text.substr(0, separator)).append(text.substr(at)),
                      std::string(text.substr(separator + 1, at - separator - 1))};
}

std::string Directory::canonical(std::string text) const {
    auto address = core_->normalize(text);
    return address ? mail::to_string(*address) : text;
}

Task<Result<std::string>> Directory::server_secret() {
    auto there = co_await core_->read(server_secret_key());
    if (!there) co_return pass_on(there);
    if (*there) co_return decode_server_secret(**there);
    auto prepare = [&](Draft& draft) -> Task<Result<std::string>> {
        auto made = co_await core_->read(server_secret_key());
        if (!made) co_return pass_on(made);
        if (*made) co_return decode_server_secret(**made);
        std::string secret(kServerSecret, '\0');
        random_bytes(secret.data(), secret.size());
        draft.batch.put(server_secret_key(), encode_server_secret(secret));
        co_return secret;
    };
    co_return co_await core_->write<std::string>(prepare);
}

// Lists and totals.

namespace {

/// Lists entities of one kind in key order, at most `limit`, after the address `after`.
template <class Kind>
Task<Result<std::vector<Kind>>> list(Core& core, std::string domain, std::string after, std::size_t limit) {
    if (!domain.empty()) {
        auto canonical = mail::canonical_domain(domain);
        if (!canonical) co_return pass_on(canonical);
        auto there = co_await core.domain(*canonical);
        if (!there) co_return pass_on(there);
        if (!*there) co_return fail(Errc::not_found, "no domain " + *canonical);
        domain = std::move(*canonical);
    }
    auto range = engine::KeyRange::prefix(addresses_prefix(domain));
    if (!after.empty()) {
        auto last = core.normalize(after);
        if (!last) co_return pass_on(last);
        range.begin = std::max(range.begin, address_key(*last) + '\0');
    }
    auto snapshot = core.engine.snapshot(kDirectoryPartition);
    std::vector<Kind> out;
    while (out.size() < limit && range.begin < range.end) {
        std::size_t ask = std::min(kPage, limit - out.size());
        auto page = co_await core.engine.scan(kDirectoryPartition, range, ask, snapshot);
        if (!page) co_return pass_on(page);
        for (const auto [key, value] : *page) {
            auto entity = decode_entity(key, value);
            if (!entity) co_return pass_on(entity);
            if (auto* wanted = std::get_if<Kind>(&*entity)) out.push_back(std::move(*wanted));
        }
        if (page->size() < ask) break;
        range.begin_behind(page->back().key);
    }
    co_return out;
}

}  // namespace

Task<Result<std::vector<Account>>> Directory::accounts(std::string domain, std::string after, std::size_t limit) {
    return list<Account>(*core_, std::move(domain), std::move(after), limit);
}

Task<Result<std::vector<Alias>>> Directory::aliases(std::string domain, std::string after, std::size_t limit) {
    return list<Alias>(*core_, std::move(domain), std::move(after), limit);
}

Task<Result<Directory::Totals>> Directory::totals() {
    auto counters = co_await core_->counters();
    if (!counters) co_return pass_on(counters);
    co_return Totals{counters->domains, counters->accounts, counters->aliases};
}

}  // namespace poplar::directory
