#pragma once
// The directory's keys and values in its partition (storage-format.md, "Directory"). Keys, in byte order:
//
//   a <domain> NUL <local part>   an address that is taken: an account or an alias
//   c                             counters, and the next account id
//   d <domain>                    a domain
//   e <account id, 8 octets BE>   the account's keychain (encryption/keychain.h)
//   f <account id, 8 octets BE>   the peers the account was logged in from
//   g <account id, 8 octets BE> <device, 4 octets BE>   a device of the account
//   i <account id, 8 octets BE>   where the account is: `<domain> NUL <local part>`
//   j <account id, 8 octets BE> <device, 4 octets BE>   what that device was used for
//   k                             the server's secret
//   m <account id, 8 octets BE>   what the account has for second factors
//   o <account id, 8 octets BE>   what another directory said of the account (directory/outside/kept.h)
//   p <domain>                    this domain has a postmaster; for "postmaster" without a domain
//   s e <days, 4 octets BE> <account id, 8 octets BE>            the account has its own expire_days
//   s l <2^32-1 - seconds, 4 octets BE> <account id, 8 octets BE>  the account has its own login_delay
//
// The last two put the strictest settings first. Domains and local parts are canonical (mail/address.h); a domain never
// holds a NUL, so a domain's addresses are one range of keys. Values begin with a version octet.
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "directory/directory.h"
#include "mail/address.h"

namespace poplar::directory {

/// Written with every change of the directory that adds or removes something.
struct Counters {
    std::uint64_t next_account = kFirstAccount.value;  ///< only grows: an id is never given twice
    std::uint64_t domains = 0, accounts = 0, aliases = 0;
    bool operator==(const Counters&) const = default;
};

/// The thing that an address stands for.
using Entity = std::variant<Account, Alias>;

std::string address_key(const mail::Address& canonical);
std::string addresses_prefix(std::string_view domain);  ///< of a domain's address keys; of all for ""
std::string domain_key(std::string_view domain);
std::string domains_prefix();
std::string counters_key();
std::string account_id_key(AccountId id);
std::string familiar_peers_key(AccountId id);
std::string devices_prefix(AccountId account);
std::string device_key(AccountId account, std::uint32_t device);
std::string device_uses_prefix(AccountId account);
std::string device_use_key(AccountId account, std::uint32_t device);
std::uint32_t device_of(std::string_view key);  ///< of either
std::string factors_key(AccountId account);
std::string all_factors_prefix();
AccountId account_of_factors(std::string_view key);
std::string keychain_key(AccountId account);
std::string all_keychains_prefix();
std::string outside_key(AccountId account);
std::string server_secret_key();
std::string postmaster_key(std::string_view domain);
std::string postmasters_prefix();
std::vector<std::string> settings_keys(const Account& account);  ///< of the settings that it has
std::string expire_days_prefix();
std::string login_delay_prefix();
std::uint32_t expire_days_of(std::string_view key);
std::uint32_t login_delay_of(std::string_view key);

// Encoders; the address stands in the key alone.
std::string encode(const Account& account);
std::string encode(const Alias& alias);
std::string encode(const Domain& domain);
std::string encode(const Counters& counters);
std::string encode_location(const mail::Address& canonical);  ///< value of account_id_key
std::string encode_familiar_peers(const Directory::PeerKeys& peers);
std::string encode(const Device& device);
std::string encode(const DeviceUse& use);
std::string encode(const Factors& factors);
std::string encode_server_secret(std::string_view secret);
std::string encode_mark();  ///< value of postmaster_key and settings_keys

// Decoders. Errors: corrupt (also a version this program does not know).
Result<Entity> decode_entity(std::string_view key, std::string_view value);
Result<Domain> decode_domain(std::string_view key, std::string_view value);
Result<Counters> decode_counters(std::string_view value);
Result<mail::Address> decode_location(std::string_view value);
Result<Directory::PeerKeys> decode_familiar_peers(std::string_view value);
Result<Device> decode_device(std::string_view key, std::string_view value);
Result<DeviceUse> decode_device_use(std::string_view value);
Result<Factors> decode_factors(std::string_view value);
Result<std::string> decode_server_secret(std::string_view value);

}  // namespace poplar::directory
