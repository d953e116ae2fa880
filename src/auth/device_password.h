#pragma once
// The password of a device: made by the server, shown once, typed or pasted into one client. It has 28 symbols of an
// alphabet in which no two look alike: 4 name the device, so that one hash is made however many devices an account has,
// and 24 are secret (120 bits), so that a quick hash is enough. Pure functions.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::auth {

/// Names a device within its account; below kDeviceIds.
using DeviceId = std::uint32_t;
inline constexpr DeviceId kDeviceIds = 1u << 20;

struct DevicePassword {
    DeviceId device = 0;
    std::string secret;  ///< 24 symbols, in lower case
};

/// The four symbols that name it.
std::string to_text(DeviceId device);
/// Reads what to_text() made, in either case. Nothing: it is no such text.
std::optional<DeviceId> device_of_text(std::string_view text);

/// A new one for this device.
DevicePassword make_device_password(DeviceId device);

/// As it is shown: four groups of seven symbols, with hyphens between them (31 characters).
std::string grouped(const DevicePassword& password);
/// The same without hyphens.
std::string plain(const DevicePassword& password);

/// Reads a password as a person typed or pasted it: hyphens and spaces anywhere or nowhere, either case, `o` for 0, `i`
/// or `l` for 1. Nothing: it is no device's password, but may be another.
std::optional<DevicePassword> parse_device_password(std::string_view typed);

/// The stored form: 16 random octets, and a hash (BLAKE2b, 32 octets) of the secret under them.
std::string hash_device_secret(std::string_view secret);
/// Compares in constant time.
bool matches_device_secret(std::string_view stored, std::string_view secret);

}  // namespace poplar::auth
