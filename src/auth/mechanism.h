#pragma once
// The SASL mechanisms there are, by name.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace poplar::auth {

/// In the order they are offered: the strongest first (RFC 4422 leaves the choice to the client; some take the first).
enum class Mechanism : std::uint8_t {
    scram_sha_256_plus,  ///< RFC 7677
    scram_sha_1_plus,    ///< RFC 5802
    scram_sha_256,
    scram_sha_1,
    external,     ///< RFC 4422 app. A
    oauthbearer,  ///< RFC 7628
    xoauth2,      ///< Google's and Microsoft's, before RFC 7628
    cram_md5,     ///< RFC 2195
    plain,        ///< RFC 4616
    login,        ///< PLAIN in two steps, for old clients
};

/// "SCRAM-SHA-256-PLUS"
std::string_view name_of(Mechanism mechanism);
/// In any case.
std::optional<Mechanism> find_mechanism(std::string_view name);
const std::vector<Mechanism>& all_mechanisms();

}  // namespace poplar::auth
