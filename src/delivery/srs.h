#pragma once
// The sender of mail that is sent on: an address of ours that leads back to the first sender, so that the next server
// finds our name in SPF, and a bounce finds its way (Sender Rewriting Scheme). Anybody may read the first sender in it;
// only this server can make one, because a hash under its key is part of it.
#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "mail/address.h"

namespace poplar::delivery {

struct ForwardOptions {
    std::string srs_domain;       ///< "": senders stay as they are
    std::string srs_secret_file;  ///< "": `srs-secret` in the data directory
    std::chrono::seconds srs_lifetime = std::chrono::days(21);
    std::string srs_secret;  ///< what the file holds; read when the server starts
};

class Srs {
public:
    explicit Srs(const ForwardOptions& options) : options_(options) {}

    bool enabled() const { return !options_.srs_domain.empty(); }
    /// `sender` as mail that is sent on has it. "" stays "", and so does what would get too long (RFC 5321 s4.5.3.1.1)
    /// or is at `srs_domain` already.
    std::string wrap(const std::string& sender, Timestamp now) const;
    /// Whether the address is one that wrap() may have made.
    bool is_wrapped(const mail::Address& address) const;
    /// The sender before wrap(). Errors: invalid (not made here, or too long ago).
    Result<std::string> unwrap(const mail::Address& address, Timestamp now) const;

private:
    std::string hash_of(std::string_view text) const;

    const ForwardOptions& options_;
};

/// The secret in the file, which is made if it is not there. Errors: io, invalid (too short).
Result<std::string> read_srs_secret(const std::string& file);

}  // namespace poplar::delivery
