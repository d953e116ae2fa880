#pragma once
// Asks a token's issuer whom it stands for (RFC 7662), with one HTTP(S) request that is bounded in time, size and
// number. Good answers are remembered for a moment, because clients poll.
#include <memory>
#include <string>

#include "auth/token.h"

namespace poplar::auth {

class Introspection {
public:
    /// Errors: invalid; the detail names the file, or says what is wrong with the URL.
    static Result<std::unique_ptr<Introspection>> load(const TokenOptions& options, const Clock& clock);
    ~Introspection();

    /// Errors: denied, busy (too many requests are under way), timed_out, io.
    Task<Result<TokenHolder>> holder_of(std::string token);

private:
    struct Impl;
    explicit Introspection(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::auth
