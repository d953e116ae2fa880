#pragma once
// The private keys that sign mail of our domains (DKIM), as they are stored: in the server's own partition, a record
// each.
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::directory {

struct SigningKeyRecord {
    std::string domain;    ///< in its one spelling
    std::string selector;  ///< in lower case
    Timestamp created{};
    Timestamp from{};         ///< it signs from then on
    std::string private_key;  ///< PKCS #8 in DER
};

/// May be used from any thread. Errors of all calls: io, no_space, corrupt, cancelled.
class SigningKeys {
public:
    explicit SigningKeys(engine::Engine& engine) : engine_(engine) {}
    /// All of them, by domain and selector.
    Task<Result<std::vector<SigningKeyRecord>>> list();
    /// All or none, in one commit. Those of the same names are replaced.
    Task<Result<>> put(std::vector<SigningKeyRecord> keys);
    /// All or none; those that are not there count as removed.
    Task<Result<>> remove(std::string domain, std::vector<std::string> selectors);

private:
    engine::Engine& engine_;
};

}  // namespace poplar::directory
