#pragma once
// Makes the exchange of each mechanism. Only Sasl::begin uses this.
#include <memory>

#include "auth/exchange.h"

namespace poplar::auth {

using ExchangePtr = std::unique_ptr<Exchange>;

// exchange_password.cc
ExchangePtr make_plain(Authenticator& authenticator, const Channel& channel);
ExchangePtr make_login(Authenticator& authenticator, const Channel& channel);
// exchange_proof.cc
ExchangePtr make_cram_md5(Authenticator& authenticator, const Channel& channel, std::string challenge);
/// `plus_offered`: whether the client could have chosen a mechanism with channel binding.
ExchangePtr make_scram(Mechanism mechanism, Authenticator& authenticator, const Channel& channel, bool plus_offered);
ExchangePtr make_external(Authenticator& authenticator, const Channel& channel);
// exchange_token.cc
ExchangePtr make_bearer(Mechanism mechanism, Authenticator& authenticator, const Channel& channel,
                        std::shared_ptr<TokenVerifier> tokens, std::string failure);

}  // namespace poplar::auth
