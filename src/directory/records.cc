// Encodes and decodes the directory's keys and values.
#include "directory/records.h"

#include "base/encoding.h"

namespace poplar::directory {

namespace {

constexpr std::uint8_t kVersion = 1;             // of every value, but
constexpr std::uint8_t kVersionWithSecrets = 2;  // of an account with SCRAM keys or a shared secret
constexpr std::uint8_t kAccountKind = 1, kAliasKind = 2;
// Tags of an account's settings. Each has a number behind it, kLanguage and kMaySendAs a text.
constexpr std::uint64_t kExpireDays = 1, kLoginDelay = 2, kSecondFactor = 3, kKeepDeleted = 4, kQuotaOctets = 5,
                        kQuotaMessages = 6, kLanguage = 7, kMaySendAs = 8;
// Tags of a domain.
constexpr std::uint64_t kDomainSecondFactor = 1, kDomainQuotaOctets = 2, kDomainQuotaMessages = 3, kTotalOctets = 4,
                        kTotalMessages = 5;
constexpr std::uint64_t kRetention = 16;   // of an account and of a domain
constexpr std::uint64_t kEncryption = 17;  // of an account
// Tags of what an account has for second factors.
constexpr std::uint64_t kTotp = 1, kRecovery = 2, kWrongCodes = 3, kSite = 4, kNextSite = 5, kMailed = 6, kTaken = 7;
// Tags of a device.
constexpr std::uint64_t kExpires = 1, kReadOnly = 2, kScramKeys = 3, kNetwork = 4, kOwnView = 5, kMailbox = 6;
constexpr std::uint64_t kMostSeconds = 0xffff'ffff;

std::string location(const mail::Address& address) { return address.domain + '\0' + address.local; }

Result<mail::Address> parse_location(std::string_view text) {
    std::size_t nul = text.find('\0');
    if (nul == std::string_view::npos) return fail(Errc::corrupt, "directory: an address key without separator");
    return mail::Address{std::string(text.substr(nul + 1)), std::string(text.substr(0, nul))};
}

std::unexpected<Error> damaged(std::string_view what) {
    return fail(Errc::corrupt, "directory: damaged or newer record: " + std::string(what));
}

void encode_limits(Encoder& out, const MailLimits& limits, std::uint64_t octets_tag, std::uint64_t messages_tag) {
    if (limits.octets) out.varint(octets_tag).varint(*limits.octets);
    if (limits.messages) out.varint(messages_tag).varint(*limits.messages);
}

/// One number, as the other settings are: the ways, and behind them when one is needed.
std::uint64_t to_number(const FactorPolicy& policy) {
    return static_cast<std::uint64_t>(policy.ways) << 2 | static_cast<std::uint64_t>(policy.need);
}
std::uint64_t to_number(std::chrono::seconds time) { return static_cast<std::uint64_t>(time.count()); }
/// Nothing: a newer program's. A way that this one does not know could be the only one.
std::optional<FactorPolicy> to_policy(std::uint64_t number) {
    constexpr std::uint64_t kWays = 15;
    if ((number & 3) > static_cast<std::uint64_t>(SecondFactor::required) || number >> 2 > kWays) return std::nullopt;
    return FactorPolicy{static_cast<SecondFactor>(number & 3), static_cast<std::uint8_t>(number >> 2)};
}

}  // namespace

std::string address_key(const mail::Address& canonical) { return 'a' + location(canonical); }
std::string addresses_prefix(std::string_view domain) {
    std::string prefix = "a";
    if (!domain.empty()) prefix.append(domain).push_back('\0');
    return prefix;
}
std::string domain_key(std::string_view domain) { return domains_prefix().append(domain); }
std::string domains_prefix() { return "d"; }
std::string counters_key() { return "c"; }
std::string account_id_key(AccountId id) { return Encoder().raw("i").u64_key(id.value).bytes(); }
std::string familiar_peers_key(AccountId id) { return Encoder().raw("f").u64_key(id.value).bytes(); }
std::string devices_prefix(AccountId account) { return Encoder().raw("g").u64_key(account.value).bytes(); }
std::string device_key(AccountId account, std::uint32_t device) {
    return Encoder().raw(devices_prefix(account)).u32_key(device).bytes();
}
std::string device_uses_prefix(AccountId account) { return Encoder().raw("j").u64_key(account.value).bytes(); }
std::string device_use_key(AccountId account, std::uint32_t device) {
    return Encoder().raw(device_uses_prefix(account)).u32_key(device).bytes();
}
std::uint32_t device_of(std::string_view key) {
    Decoder in(key);
    in.raw(1);
    in.u64_key();
    return in.u32_key();
}
std::string factors_key(AccountId account) { return Encoder().raw("m").u64_key(account.value).bytes(); }
std::string all_factors_prefix() { return "m"; }
AccountId account_of_factors(std::string_view key) {
    Decoder in(key);
    in.raw(1);
    return AccountId(in.u64_key());
}
std::string keychain_key(AccountId account) { return Encoder().raw("e").u64_key(account.value).bytes(); }
std::string all_keychains_prefix() { return "e"; }
std::string outside_key(AccountId account) { return Encoder().raw("o").u64_key(account.value).bytes(); }
std::string server_secret_key() { return "k"; }
std::string postmaster_key(std::string_view domain) { return postmasters_prefix().append(domain); }
std::string postmasters_prefix() { return "p"; }

std::string expire_days_prefix() { return "se"; }
std::string login_delay_prefix() { return "sl"; }

std::vector<std::string> settings_keys(const Account& account) {
    std::vector<std::string> keys;
    auto add = [&](std::string_view prefix, std::uint32_t value) {
        keys.push_back(Encoder().raw(prefix).u32_key(value).u64_key(account.id.value).bytes());
    };
    const auto& own = account.settings;
    if (own.expire_days) add(expire_days_prefix(), *own.expire_days);
    if (own.login_delay) add(login_delay_prefix(), static_cast<std::uint32_t>(kMostSeconds - *own.login_delay));
    return keys;
}

std::uint32_t expire_days_of(std::string_view key) {
    Decoder in(key);
    in.raw(expire_days_prefix().size());
    return in.u32_key();
}

std::uint32_t login_delay_of(std::string_view key) {
    Decoder in(key);
    in.raw(login_delay_prefix().size());
    return static_cast<std::uint32_t>(kMostSeconds - in.u32_key());
}

std::string encode(const Account& account) {
    Encoder out;
    // An account without secrets is written as older programs did, so that they can read it.
    bool secrets = !account.scram_keys.empty() || !account.shared_secret.empty();
    out.u8(secrets ? kVersionWithSecrets : kVersion).u8(kAccountKind);
    out.u64(account.id.value).u8(static_cast<std::uint8_t>(account.status));
    out.varint(account.credential_version).u64(millis(account.created)).string(account.password);
    if (secrets) out.string(account.scram_keys).string(account.shared_secret);
    if (account.settings.expire_days) out.varint(kExpireDays).varint(*account.settings.expire_days);
    if (account.settings.login_delay) out.varint(kLoginDelay).varint(*account.settings.login_delay);
    if (const auto& policy = account.settings.second_factor) out.varint(kSecondFactor).varint(to_number(*policy));
    if (account.settings.keep_deleted) out.varint(kKeepDeleted).varint(1);
    encode_limits(out, account.settings.quota, kQuotaOctets, kQuotaMessages);
    if (const auto& language = account.settings.language; !language.empty()) out.varint(kLanguage).string(language);
    if (const auto& keep = account.settings.retention) out.varint(kRetention).varint(to_number(*keep));
    if (const auto state = account.settings.encryption; state != Encryption::off)
        out.varint(kEncryption).varint(static_cast<std::uint64_t>(state));
    for (const auto& address : account.settings.may_send_as) out.varint(kMaySendAs).string(address);
    return std::move(out).bytes();
}

std::string encode(const Alias& alias) {
    Encoder out;
    out.u8(kVersion).u8(kAliasKind).varint(alias.targets.size());
    for (const auto& target : alias.targets) out.string(target);
    return std::move(out).bytes();
}

std::string encode(const Domain& domain) {
    Encoder out;
    out.u8(kVersion).u64(millis(domain.created)).string(domain.catch_all);
    if (domain.second_factor) out.varint(kDomainSecondFactor).varint(to_number(*domain.second_factor));
    encode_limits(out, domain.quota, kDomainQuotaOctets, kDomainQuotaMessages);
    encode_limits(out, domain.total, kTotalOctets, kTotalMessages);
    if (domain.retention) out.varint(kRetention).varint(to_number(*domain.retention));
    return std::move(out).bytes();
}

std::string encode(const Counters& counters) {
    Encoder out;
    out.u8(kVersion).u64(counters.next_account);
    out.varint(counters.domains).varint(counters.accounts).varint(counters.aliases);
    return std::move(out).bytes();
}

std::string encode_location(const mail::Address& canonical) {
    return Encoder().u8(kVersion).raw(location(canonical)).bytes();
}

std::string encode_familiar_peers(const Directory::PeerKeys& peers) {
    Encoder out;
    out.u8(kVersion);
    for (auto peer : peers) out.u64(peer);
    return std::move(out).bytes();
}

// Fields that most devices don't have follow with a tag each, so that more kinds can be added.
std::string encode(const Device& device) {
    Encoder out;
    out.u8(kVersion).u64(millis(device.created)).string(device.name).string(device.secret).u8(device.services);
    if (device.expires) out.varint(kExpires).varint(millis(*device.expires));
    if (device.read_only) out.varint(kReadOnly).varint(1);
    if (device.own_view) out.varint(kOwnView).varint(1);
    if (!device.scram_keys.empty()) out.varint(kScramKeys).string(device.scram_keys);
    for (const auto& network : device.networks) out.varint(kNetwork).string(network);
    for (auto mailbox : device.mailboxes) out.varint(kMailbox).varint(mailbox);
    return std::move(out).bytes();
}

std::string encode(const DeviceUse& use) {
    Encoder out;
    out.u8(kVersion).u64(millis(use.last)).string(use.peer).string(use.protocol).string(use.client);
    out.varint(use.logins).varint(use.fetched).varint(use.deleted);
    return std::move(out).bytes();
}

std::string encode(const Factors& factors) {
    Encoder out;
    out.u8(kVersion);
    if (const auto& totp = factors.totp) {
        out.varint(kTotp).string(totp->secret).u8(totp->confirmed ? 1 : 0);
        for (auto step : totp->taken) out.varint(kTaken).varint(step);
        for (const auto& hash : totp->recovery) out.varint(kRecovery).string(hash);
    }
    if (factors.wrong_codes != 0)
        out.varint(kWrongCodes).varint(factors.wrong_codes).u64(millis(factors.wrong_counted));
    for (const auto& site : factors.sites) {
        out.varint(kSite).u8(static_cast<std::uint8_t>(site.kind)).varint(site.id);
        out.string(site.network).string(site.peer).u8(static_cast<std::uint8_t>(site.service));
        out.u64(millis(site.since)).u64(millis(site.until));
    }
    if (factors.next_site != 1) out.varint(kNextSite).varint(factors.next_site);
    if (factors.mailed != Timestamp{}) out.varint(kMailed).string(factors.mailed_code).u64(millis(factors.mailed));
    return std::move(out).bytes();
}

std::string encode_server_secret(std::string_view secret) { return Encoder().u8(kVersion).raw(secret).bytes(); }

std::string encode_mark() { return Encoder().u8(kVersion).bytes(); }

Result<Entity> decode_entity(std::string_view key, std::string_view value) {
    auto address = parse_location(key.substr(1));
    if (!address) return pass_on(address);
    auto text = mail::to_string(*address);
    Decoder in(value);
    std::uint8_t version = in.u8(), kind = in.u8();
    bool secrets = version == kVersionWithSecrets && kind == kAccountKind;
    if (version != kVersion && !secrets) return damaged(text);
    if (kind == kAccountKind) {
        Account account;
        account.id = AccountId(in.u64());
        std::uint8_t status = in.u8();
        account.status = static_cast<AccountStatus>(status);
        account.credential_version = in.varint();
        account.created = timestamp(in.u64());
        account.password = in.string();
        if (secrets) {
            account.scram_keys = in.string();
            account.shared_secret = in.string();
        }
        while (in.ok() && !in.at_end()) {
            const auto tag = in.varint();
            if (tag == kLanguage) {
                account.settings.language = in.string();
                continue;
            }
            if (tag == kMaySendAs) {
                account.settings.may_send_as.emplace_back(in.string());
                continue;
            }
            const auto setting = in.varint();
            if (setting > kMostSeconds && tag != kQuotaOctets && tag != kQuotaMessages) return damaged(text);
            switch (tag) {
                case kSecondFactor:
                    account.settings.second_factor = to_policy(setting);
                    if (!account.settings.second_factor) return damaged(text);
                    break;
                case kExpireDays: account.settings.expire_days = static_cast<std::uint32_t>(setting); break;
                case kLoginDelay: account.settings.login_delay = static_cast<std::uint32_t>(setting); break;
                case kKeepDeleted: account.settings.keep_deleted = setting != 0; break;
                case kQuotaOctets: account.settings.quota.octets = setting; break;
                case kQuotaMessages: account.settings.quota.messages = setting; break;
                case kRetention: account.settings.retention = std::chrono::seconds(setting); break;
                case kEncryption:
                    account.settings.encryption = static_cast<Encryption>(setting);
                    if (setting < 1 || setting > 2) return damaged(text);
                    break;
                default: return damaged(text);
            }
        }
        if (!in.ok() || !in.at_end() || status > static_cast<std::uint8_t>(AccountStatus::disabled))
            return damaged(text);
        account.address = std::move(text);
        return account;
    }
    if (kind != kAliasKind) return damaged(text);
    Alias alias;
    for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) alias.targets.emplace_back(in.string());
    if (!in.ok() || !in.at_end()) return damaged(text);
    alias.address = std::move(text);
    return alias;
}

Result<Domain> decode_domain(std::string_view key, std::string_view value) {
    Domain domain;
    domain.name = key.substr(1);
    Decoder in(value);
    std::uint8_t version = in.u8();
    domain.created = timestamp(in.u64());
    domain.catch_all = in.string();
    while (in.ok() && !in.at_end()) {
        const auto tag = in.varint(), setting = in.varint();
        switch (tag) {
            case kDomainSecondFactor:
                domain.second_factor = to_policy(setting);
                if (!domain.second_factor) return damaged(domain.name);
                break;
            case kDomainQuotaOctets: domain.quota.octets = setting; break;
            case kDomainQuotaMessages: domain.quota.messages = setting; break;
            case kTotalOctets: domain.total.octets = setting; break;
            case kTotalMessages: domain.total.messages = setting; break;
            case kRetention:
                if (setting > kMostSeconds) return damaged(domain.name);
                domain.retention = std::chrono::seconds(setting);
                break;
            default: return damaged(domain.name);
        }
    }
    if (version != kVersion || !in.ok() || !in.at_end()) return damaged(domain.name);
    return domain;
}

Result<Counters> decode_counters(std::string_view value) {
    Counters counters;
    Decoder in(value);
    std::uint8_t version = in.u8();
    counters.next_account = in.u64();
    counters.domains = in.varint();
    counters.accounts = in.varint();
    counters.aliases = in.varint();
    if (version != kVersion || !in.ok() || !in.at_end()) return damaged("counters");
    return counters;
}

Result<Directory::PeerKeys> decode_familiar_peers(std::string_view value) {
    Decoder in(value);
    std::uint8_t version = in.u8();
    Directory::PeerKeys peers;
    while (in.ok() && !in.at_end()) peers.push_back(in.u64());
    if (version != kVersion || !in.ok()) return damaged("familiar peers");
    return peers;
}

Result<Device> decode_device(std::string_view key, std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    Device device;
    device.id = device_of(key);
    device.created = timestamp(in.u64());
    device.name = in.string();
    device.secret = in.string();
    device.services = in.u8();
    while (in.ok() && !in.at_end()) {
        switch (in.varint()) {
            case kExpires: device.expires = timestamp(in.varint()); break;
            case kReadOnly: device.read_only = in.varint() != 0; break;
            case kOwnView: device.own_view = in.varint() != 0; break;
            case kScramKeys: device.scram_keys = in.string(); break;
            case kNetwork: device.networks.emplace_back(in.string()); break;
            case kMailbox: device.mailboxes.push_back(static_cast<std::uint32_t>(in.varint())); break;
            default: return damaged("device");  // an unknown field may forbid something
        }
    }
    if (version != kVersion || !in.ok()) return damaged("device");
    return device;
}

Result<DeviceUse> decode_device_use(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    DeviceUse use;
    use.last = timestamp(in.u64());
    use.peer = in.string();
    use.protocol = in.string();
    use.client = in.string();
    use.logins = in.varint();
    use.fetched = in.varint();
    use.deleted = in.varint();
    if (version != kVersion || !in.ok()) return damaged("use of a device");
    return use;
}

Result<Factors> decode_factors(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    Factors factors;
    while (in.ok() && !in.at_end()) {
        switch (in.varint()) {
            case kTotp: {
                auto& totp = factors.totp.emplace();
                totp.secret = in.string();
                totp.confirmed = in.u8() != 0;
                break;
            }
            case kTaken:
                if (!factors.totp) return damaged("second factors");
                factors.totp->taken.push_back(in.varint());
                break;
            case kRecovery:
                if (!factors.totp) return damaged("second factors");
                factors.totp->recovery.emplace_back(in.string());
                break;
            case kWrongCodes:
                factors.wrong_codes = static_cast<std::uint32_t>(in.varint());
                factors.wrong_counted = timestamp(in.u64());
                break;
            case kSite: {
                auto& site = factors.sites.emplace_back();
                const auto kind = in.u8();
                if (kind < 1 || kind > static_cast<std::uint8_t>(Site::Kind::pending)) return damaged("second factors");
                site.kind = static_cast<Site::Kind>(kind);
                site.id = static_cast<std::uint32_t>(in.varint());
                site.network = in.string();
                site.peer = in.string();
                site.service = static_cast<Service>(in.u8());
                site.since = timestamp(in.u64());
                site.until = timestamp(in.u64());
                break;
            }
            case kNextSite: factors.next_site = static_cast<std::uint32_t>(in.varint()); break;
            case kMailed:
                factors.mailed_code = in.string();
                factors.mailed = timestamp(in.u64());
                break;
            default: return damaged("second factors");
        }
    }
    if (version != kVersion || !in.ok()) return damaged("second factors");
    return factors;
}

Result<std::string> decode_server_secret(std::string_view value) {
    Decoder in(value);
    if (in.u8() != kVersion || in.remaining().empty()) return damaged("server's secret");
    return std::string(in.remaining());
}

Result<mail::Address> decode_location(std::string_view value) {
    Decoder in(value);
    if (in.u8() != kVersion) return damaged("account id");
    return parse_location(in.remaining());
}

}  // namespace poplar::directory
