#pragma once
// An issuer whose configuration and keys are fetched (OpenID Connect Discovery 1.0): at the first token, then from time
// to time, and when a token is signed by a key that is not known yet. While it does not answer, the keys that are known
// stay good.
#include <memory>
#include <string>

#include "auth/token.h"

namespace poplar::auth {

class Discovery {
public:
    /// Errors: invalid; the detail says what is wrong with the URL or the file.
    static Result<std::unique_ptr<Discovery>> load(const TokenOptions& options, const Clock& clock);
    ~Discovery();

    /// Errors: denied; timed_out, io (no keys are known, and they can't be fetched).
    Task<Result<TokenHolder>> holder_of(std::string token);

private:
    struct Impl;
    explicit Discovery(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::auth
