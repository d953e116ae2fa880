// Devices: passwords of an account for one client each, in records of their own beside the account's.
#include "base/random.h"
#include "directory/core.h"

namespace poplar::directory {

namespace {

constexpr std::size_t kLongestSecret = 1024, kLongestScramKeys = 2048;  // octets: four keys, salts of 256
constexpr std::size_t kNetworks = 32;

std::uint32_t random_id() {
    std::uint32_t id = 0;
    random_bytes(&id, sizeof id);
    return id % kDeviceIds;
}

}  // namespace

Result<> check(const Device& device) {
    if (device.name.empty() || device.name.size() > kDeviceNameLimit)
        return fail(Errc::invalid, fmt::format("a device's name has 1 to {} octets", kDeviceNameLimit));
    if (device.secret.size() > kLongestSecret || device.scram_keys.size() > kLongestScramKeys)
        return fail(Errc::invalid, "a device's stored secret or its SCRAM keys are too long");
    if (device.mailboxes.size() > kDeviceMailboxes)
        return fail(Errc::invalid, fmt::format("a device may have at most {} mailboxes", kDeviceMailboxes));
    if (device.networks.size() > kNetworks)
        return fail(Errc::invalid, fmt::format("a device may have at most {} networks", kNetworks));
    return {};
}

void DeviceUse::add(const DeviceUse& other) {
    logins += other.logins;
    fetched += other.fetched;
    deleted += other.deleted;
    if (other.last <= last) return;
    last = other.last;
    peer = other.peer;
    protocol = other.protocol;
    client = other.client;
}

Task<Result<std::vector<Device>>> Directory::devices(AccountId id) { return core_->devices(id); }

Task<Result<std::vector<Device>>> Core::devices(AccountId id) {
    auto range = engine::KeyRange::prefix(devices_prefix(id));
    auto found = co_await engine.scan(kDirectoryPartition, std::move(range), options.devices + 1);
    if (!found) co_return pass_on(found);
    std::vector<Device> out;
    for (const auto [key, value] : *found) {
        auto device = decode_device(key, value);
        if (!device) co_return pass_on(device);
        out.push_back(std::move(*device));
    }
    co_return out;
}

Task<Result<KeysStamp>> Core::keys_stamp(Account account) {
    auto there = co_await devices(account.id);
    if (!there) co_return pass_on(there);
    auto all = account.password + '\0' + account.scram_keys;
    for (const auto& device : *there)
        if (!device.scram_keys.empty()) all.append(1, '\0').append(device.scram_keys);
    co_return std::hash<std::string>()(all);
}

Task<Result<>> Core::expect_keys(Account account, std::optional<KeysStamp> beside) {
    if (!beside) co_return Result<>();
    auto now = co_await keys_stamp(std::move(account));
    if (!now) co_return pass_on(now);
    if (*now != *beside) co_return fail(Errc::conflict, "the account or a device has got other SCRAM keys");
    co_return Result<>();
}

Task<Result<KeysStamp>> Directory::keys_stamp(AccountId id) {
    auto there = co_await account(id);
    if (!there) co_return pass_on(there);
    co_return co_await core_->keys_stamp(std::move(*there));
}

Task<Result<std::optional<Device>>> Directory::device(AccountId account, std::uint32_t id) {
    auto key = device_key(account, id);
    auto value = co_await core_->read(key);
    if (!value) co_return pass_on(value);
    if (!*value) co_return std::nullopt;
    auto device = decode_device(key, **value);
    if (!device) co_return pass_on(device);
    co_return std::move(*device);
}

Task<Result<std::uint32_t>> Directory::free_device_id(AccountId account) {
    auto there = co_await devices(account);
    if (!there) co_return pass_on(there);
    for (;;) {
        auto id = random_id();
        if (std::ranges::find(*there, id, &Device::id) == there->end()) co_return id;
    }
}

Task<Result<Device>> Directory::add_device(AccountId id, Device device, std::optional<KeysStamp> beside) {
    if (auto good = check(device); !good) co_return pass_on(good);
    auto prepare = [&](Draft& draft) -> Task<Result<Device>> {
        auto there = co_await account(id);
        if (!there) co_return pass_on(there);
        if (auto good = co_await core_->expect_keys(std::move(*there), beside); !good) co_return pass_on(good);
        auto others = co_await devices(id);
        if (!others) co_return pass_on(others);
        for (const auto& other : *others) {
            if (other.id == device.id) co_return fail(Errc::exists, "a device has this id already");
            if (other.name == device.name)
                co_return fail(Errc::exists, "there is a device " + device.name + " already");
        }
        if (others->size() >= core_->options.devices)
            co_return fail(Errc::busy, fmt::format("an account may have at most {} devices", core_->options.devices));
        device.created = core_->clock.now();
        draft.batch.put(device_key(id, device.id), encode(device));
        co_return device;
    };
    co_return co_await core_->write<Device>(prepare, AliasesLead::as_before);
}

Task<Result<Device>> Directory::set_device(AccountId account, Device device) {
    if (auto good = check(device); !good) co_return pass_on(good);
    auto prepare = [&](Draft& draft) -> Task<Result<Device>> {
        auto others = co_await devices(account);
        if (!others) co_return pass_on(others);
        bool there = false;
        for (const auto& other : *others) {
            there |= other.id == device.id;
            if (other.id != device.id && other.name == device.name)
                co_return fail(Errc::exists, "there is a device " + device.name + " already");
        }
        if (!there) co_return fail(Errc::not_found, "no such device");
        draft.batch.put(device_key(account, device.id), encode(device));
        co_return device;
    };
    co_return co_await core_->write<Device>(prepare, AliasesLead::as_before);
}

Task<Result<Device>> Directory::remove_device(AccountId account, std::uint32_t id) {
    auto prepare = [&](Draft& draft) -> Task<Result<Device>> {
        auto there = co_await device(account, id);
        if (!there) co_return pass_on(there);
        if (!*there) co_return fail(Errc::not_found, "no such device");
        draft.batch.erase(device_key(account, id));
        draft.batch.erase(device_use_key(account, id));
        co_return std::move(**there);
    };
    co_return co_await core_->write<Device>(prepare, AliasesLead::as_before);
}

bool Directory::has_expired(const Device& device) const {
    return device.expires && core_->clock.now() >= *device.expires;
}

Timestamp Directory::in(std::chrono::seconds time) const { return core_->clock.now() + time; }

Task<Result<std::vector<Directory::UsedDevice>>> Directory::device_uses(AccountId account) {
    auto range = engine::KeyRange::prefix(device_uses_prefix(account));
    auto found = co_await core_->engine.scan(kDirectoryPartition, std::move(range), core_->options.devices + 1);
    if (!found) co_return pass_on(found);
    std::vector<UsedDevice> out;
    for (const auto [key, value] : *found) {
        auto use = decode_device_use(value);
        if (!use) co_return pass_on(use);
        out.push_back({account, device_of(key), std::move(*use)});
    }
    co_return out;
}

Task<Result<>> Directory::note_device_uses(std::vector<UsedDevice> uses) {
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        for (const auto& [account, id, use] : uses) {
            auto there = co_await core_->read(device_key(account, id));
            if (!there) co_return pass_on(there);
            if (!*there) continue;  // it was revoked meanwhile
            auto before = co_await core_->read(device_use_key(account, id));
            if (!before) co_return pass_on(before);
            auto sum = use;
            if (*before)
                if (auto known = decode_device_use(**before)) sum.add(*known);  // a damaged one is written anew
            draft.batch.put(device_use_key(account, id), encode(sum));
        }
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare, AliasesLead::as_before);
}

}  // namespace poplar::directory
