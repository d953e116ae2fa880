#pragma once
// The keys that sign what leaves: made, stored, taken into use and removed.
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "directory/signing_keys.h"
#include "screening/signing.h"

namespace poplar::delivery {

/// A key as its owner sees it.
struct SigningKeyInfo {
    std::string domain, selector;
    std::string algorithm;  ///< "rsa-sha256"
    std::string record;     ///< the TXT record at SELECTOR._domainkey.DOMAIN
    Timestamp created{};
    Timestamp from{};  ///< it signs from then on, unless a newer one does
};

/// Those who change keys are on one thread; ring() may be used from any. Errors of all calls, beside those named: the
/// engine's.
class SigningStore {
public:
    SigningStore(engine::Engine& engine, const Clock& clock) : records_(engine), clock_(clock) {}

    const screening::KeyRing& ring() const { return ring_; }
    /// Reads all keys into memory. Returns how many can't be read, which are passed over.
    Task<Result<std::size_t>> load();
    /// A pair of new keys: RSA under the selector, Ed25519 under SELECTOR-ed25519. They sign from `from` on. Errors:
    /// invalid (no domain, or no selector), exists (the domain has a key with one of the selectors).
    Task<Result<std::vector<SigningKeyInfo>>> add(std::string domain, std::optional<std::string> selector,
                                                  std::chrono::seconds from_in);
    /// "": of all domains. Errors: invalid (no domain).
    Task<Result<std::vector<SigningKeyInfo>>> list(std::string domain);
    /// Of one selector (with the other key of its pair), or all of the domain. Returns how many. Errors: invalid,
    /// not_found.
    Task<Result<std::size_t>> remove(std::string domain, std::optional<std::string> selector);

private:
    void use(const std::string& domain, const std::vector<directory::SigningKeyRecord>& all);

    directory::SigningKeys records_;
    const Clock& clock_;
    screening::KeyRing ring_;
};

}  // namespace poplar::delivery
