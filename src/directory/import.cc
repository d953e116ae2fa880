// Many accounts at once, in commits of a thousand.
#include <algorithm>
#include <span>
#include <tuple>
#include <unordered_map>

#include "directory/core.h"

namespace poplar::directory {

namespace {

constexpr std::size_t kChunk = 1000;            // accounts a commit
constexpr std::size_t kPage = 2 * kChunk;       // entries a scan
constexpr std::size_t kScanBudget = 4 * kPage;  // entries worth reading past to spare single reads

struct Item {
    std::string key;
    mail::Address address;
    std::string password;
    std::size_t position;  ///< in the list
};

/// The values stored under the items' keys, in the items' order (which is key order). A scan over the chunk's range
/// answers for most lists (a new domain, the same list again) in one call; where too much else lies between, the rest
/// is read one by one.
Task<Result<std::vector<std::optional<std::string>>>> stored_values(Core& core, std::span<const Item> items) {
    std::vector<std::optional<std::string>> values(items.size());
    engine::KeyRange range{items.front().key, items.back().key + '\0'};
    std::size_t at = 0;
    for (std::size_t read = 0; at < items.size() && read < kScanBudget; read += kPage) {
        auto page = co_await core.engine.scan(kDirectoryPartition, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto [key, value] : *page) {
            while (at < items.size() && items[at].key < key) ++at;
            if (at < items.size() && items[at].key == key) values[at++].emplace(value);
        }
        if (page->size() < kPage) co_return values;
        range.begin_behind(page->back().key);
        while (at < items.size() && items[at].key < range.begin) ++at;
    }
    for (; at < items.size(); ++at) {
        auto value = co_await core.read(items[at].key);
        if (!value) co_return pass_on(value);
        values[at] = std::move(*value);
    }
    co_return values;
}

class Importer {
public:
    Importer(Core& core, Directory::AddDomains add_domains) : core_(core), add_domains_(add_domains) {}

    Task<Result<Directory::ImportCounts>> prepare(Draft& draft, std::span<const Item> items) {
        auto values = co_await stored_values(core_, items);
        if (!values) co_return pass_on(values);
        known_domains_.clear();
        changed_.clear();
        Directory::ImportCounts counts;
        for (std::size_t i = 0; i < items.size(); ++i) {
            auto done = co_await one(draft, counts, items[i], (*values)[i]);
            if (!done) co_return pass_on(done);
        }
        co_return counts;
    }
    /// Those that the last prepare() gave another password.
    const std::vector<AccountId>& changed() const { return changed_; }

private:
    Task<Result<>> one(Draft& draft, Directory::ImportCounts& counts, const Item& item,
                       const std::optional<std::string>& value) {
        auto text = mail::to_string(item.address);
        if (value) {
            auto entity = decode_entity(item.key, *value);
            if (!entity) co_return pass_on(entity);
            auto* account = std::get_if<Account>(&*entity);
            if (account == nullptr) {
                counts.refused.emplace_back(text, "an alias has this address");
            } else if (account->password == item.password) {
                ++counts.unchanged;
            } else if (account->settings.encryption == Encryption::on) {
                counts.refused.emplace_back(text, "its mail is encrypted: another password could not open it");
            } else {
                account->password = item.password;
                account->scram_keys.clear();
                ++account->credential_version;
                changed_.push_back(account->id);
                draft.put(item.address, *account);
                if (auto closed = co_await core_.close_windows(draft, account->id); !closed) co_return closed;
                ++counts.updated;
            }
            co_return Result<>();
        }
        auto ours = co_await have_domain(draft, item.address.domain);
        if (!ours) co_return pass_on(ours);
        if (!*ours) {
            counts.refused.emplace_back(text, "no domain " + item.address.domain);
            co_return Result<>();
        }
        auto id = co_await core_.new_account_id(draft);
        if (!id) co_return pass_on(id);
        Account account{.id = *id,
                        .address = text,
                        .password = item.password,
                        .credential_version = 1,
                        .status = AccountStatus::enabled,
                        .created = core_.clock.now(),
                        .scram_keys = {},
                        .shared_secret = {}};
        draft.add(item.address, account);
        ++counts.added;
        co_return Result<>();
    }

    Task<Result<bool>> have_domain(Draft& draft, std::string name) {
        if (auto known = known_domains_.find(name); known != known_domains_.end()) co_return known->second;
        auto domain = co_await core_.domain(name);
        if (!domain) co_return pass_on(domain);
        bool have = domain->has_value();
        if (!have && add_domains_ == Directory::AddDomains::yes) {
            draft.add(Domain{name, {}, core_.clock.now()});
            have = true;
        }
        known_domains_.emplace(std::move(name), have);
        co_return have;
    }

    Core& core_;
    Directory::AddDomains add_domains_;
    std::unordered_map<std::string, bool> known_domains_;
    std::vector<AccountId> changed_;
};

/// Takes out what appears twice: an equal entry counts as unchanged, a different one is refused. `items` are sorted,
/// equal keys in the order of the list.
void drop_repeated(std::vector<Item>& items, Directory::ImportCounts& counts) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (kept == 0 || items[kept - 1].key != items[i].key) {
            if (kept != i) items[kept] = std::move(items[i]);
            ++kept;
        } else if (items[kept - 1].password == items[i].password) {
            ++counts.unchanged;
        } else {
            counts.refused.emplace_back(mail::to_string(items[i].address), "listed before with another password");
        }
    }
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(kept), items.end());
}

void add_up(Directory::ImportCounts& sum, Directory::ImportCounts more) {
    sum.added += more.added;
    sum.updated += more.updated;
    sum.unchanged += more.unchanged;
    std::ranges::move(more.refused, std::back_inserter(sum.refused));
}

}  // namespace

Task<Result<Directory::ImportCounts>> Directory::import_accounts(std::vector<NewAccount> accounts,
                                                                 AddDomains add_domains,
                                                                 std::function<void(AccountId)> changed) {
    auto executor = co_await asio::this_coro::executor;
    ImportCounts counts;
    std::vector<Item> items;
    items.reserve(accounts.size());
    for (auto& account : accounts) {
        auto address = core_->new_name(account.address);
        auto password = Core::check_password(Password(account.password));
        if (!address) {
            counts.refused.emplace_back(std::move(account.address), address.error().detail());
        } else if (!password) {
            counts.refused.emplace_back(std::move(account.address), password.error().detail());
        } else {
            auto key = address_key(*address);
            items.push_back({std::move(key), std::move(*address), std::move(account.password), items.size()});
        }
        // A long list must not keep the others on this thread waiting.
        if (items.size() % kChunk == kChunk - 1) co_await asio::post(executor, use_awaitable);
    }
    std::ranges::sort(
        items, [](const Item& a, const Item& b) { return std::tie(a.key, a.position) < std::tie(b.key, b.position); });
    drop_repeated(items, counts);

    Importer importer(*core_, add_domains);
    for (std::size_t begin = 0; begin < items.size(); begin += kChunk) {
        auto chunk = std::span<const Item>(items).subspan(begin, std::min(kChunk, items.size() - begin));
        auto prepare = [&](Draft& draft) { return importer.prepare(draft, chunk); };
        auto done = co_await core_->write<ImportCounts>(prepare);
        if (!done) co_return done;
        for (auto id : importer.changed()) changed(id);
        add_up(counts, std::move(*done));
    }
    co_return counts;
}

}  // namespace poplar::directory
