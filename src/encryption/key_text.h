#pragma once
// Keys as people copy them: 32 octets in base64.
#include <optional>
#include <string>
#include <string_view>

#include "encryption/mail_key.h"

namespace poplar::encryption {

std::string key_text(std::string_view octets);
/// Nothing: it is no such text. Spaces and line ends around it are passed over.
std::optional<PublicKey> read_public_key(std::string_view text);
std::optional<Secret> read_secret(std::string_view text);

}  // namespace poplar::encryption
