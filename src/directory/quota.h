#pragma once
// How much mail may be held: by an account, by each of a domain's accounts, and by a domain as a whole. src/quota/
// holds accounts to it.
#include <cstdint>
#include <optional>
#include <string>

namespace poplar::directory {

/// Limits as somebody has set them. Nothing: not set; 0: no limit, whatever a domain says.
struct MailLimits {
    std::optional<std::uint64_t> octets = {};  ///< as POP3's STAT counts them, trace fields included
    std::optional<std::uint64_t> messages = {};
    bool operator==(const MailLimits&) const = default;
};

/// All that bounds the mail of one account. 0: no limit.
struct Bounds {
    std::uint64_t octets = 0, messages = 0;                ///< of the account
    std::string domain = {};                               ///< canonical
    std::uint64_t domain_octets = 0, domain_messages = 0;  ///< of all accounts of the domain together

    bool of_account() const { return octets != 0 || messages != 0; }
    bool of_domain() const { return domain_octets != 0 || domain_messages != 0; }
    bool operator==(const Bounds&) const = default;
};

}  // namespace poplar::directory
