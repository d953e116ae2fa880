#pragma once
// Signing what leaves in the name of our own domains (RFC 6376 s5).
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "screening/canonical_form.h"
#include "screening/header.h"
#include "screening/keys.h"

namespace poplar::screening {

struct SigningKey {
    std::string selector;
    Timestamp from{};  ///< it signs from then on, so that its record can be published before
    PrivateKey key;
};

/// The keys to sign with at a moment.
struct Signer {
    std::string domain;
    std::vector<std::shared_ptr<const SigningKey>> keys;  ///< one of each algorithm at most
};

/// The private keys of our domains, in memory. May be used from any thread.
class KeyRing {
public:
    bool empty() const { return count_.load(std::memory_order_relaxed) == 0; }
    /// Replaces those of a domain (in its one spelling).
    void set(const std::string& domain, std::vector<SigningKey> keys);
    /// For mail of this domain: those of the domain, or of the nearest one above it that has any; of each algorithm the
    /// newest whose time has come. Nothing: there is none.
    std::optional<Signer> signer(std::string_view domain, Timestamp now) const;

private:
    mutable std::shared_mutex mutex_;
    std::map<std::string, std::vector<std::shared_ptr<const SigningKey>>, std::less<>> keys_;
    std::atomic<std::size_t> count_ = 0;
};

/// Takes a message as it passes and makes its DKIM-Signature fields.
class MessageSigner final : public MessageReader {
public:
    /// `ring` must outlive it.
    MessageSigner(const KeyRing& ring, Timestamp now) : ring_(ring), now_(now) {}

    /// After finish(): the fields to put on top, one for each key; "" where the domain of From has none. `added`:
    /// fields that were put on top of the message, and are signed like its own.
    std::string fields(std::string_view added);

protected:
    void on_header(std::string text) override;
    void on_body(std::string_view plain) override;

private:
    const KeyRing& ring_;
    const Timestamp now_;
    std::string header_;
    std::optional<Signer> signer_;
    std::optional<BodyHash> body_;
};

/// The domain of the one author that From names; "" if it has none, several in different domains, or can't be read.
std::string author_domain(const Header& header);

/// A field of tags, folded: `name`, then "tag=value; " of each; `signature` as b= behind them.
std::string format_tags(std::string_view name, const std::vector<std::pair<std::string, std::string>>& tags);

}  // namespace poplar::screening
