#pragma once
// The checks of a message from outside (SPF, DKIM, DMARC, ARC), and the seal that vouches for them when it goes on.
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/clock.h"
#include "delivery/envelope.h"
#include "delivery/verdict.h"
#include "screening/authentication_results.h"
#include "screening/header.h"
#include "screening/screener.h"
#include "screening/signing.h"

namespace poplar::delivery {

class StrangerChecks {
public:
    /// `screener` must outlive it.
    StrangerChecks(const screening::Screener& screener, const Envelope& envelope);

    /// The octets to be kept in place of `wire`: without results that the message forges, as if we had found them.
    std::string_view pass(std::string_view wire);
    /// After the last octet: what is still to be kept.
    std::string_view finish() { return forged_.finish(); }
    std::uint64_t removed() const { return forged_.removed(); }  ///< octets taken out, unstuffed

    /// After finish(). An error: policy refuses the message.
    Task<std::expected<void, Verdict>> judge();
    /// After judge(): SPF or a signature vouches for it.
    bool authenticated() const { return judgement_.authenticated; }
    /// After judge(): policy wants it in the mailbox for junk.
    bool quarantined() const { return judgement_.action == screening::Judgement::Action::quarantine; }
    /// After judge(): the fields that tell of the checks.
    const std::string& results() const { return results_; }

    /// An inspector changed the message: what is sealed is read again, from its first octet to its last.
    void begin_changed() { changed_ = std::make_unique<Changed>(); }
    void feed_changed(std::string_view wire) { changed_->feed(wire); }
    void finish_changed();
    /// After judge(): our link of the chain, for a copy that leaves; "": there is none (RFC 8617).
    std::string seal(const screening::Signer& signer, Timestamp now) const;

private:
    /// A message as an inspector wants it, for the seal.
    struct Changed final : screening::MessageReader {
        void on_header(std::string text) override { header.emplace(std::move(text)); }
        void on_body(std::string_view plain) override { body.feed(plain); }
        std::optional<screening::Header> header;
        screening::BodyHash body{screening::Canonical::relaxed};
        std::string body_hash;
    };

    const screening::Screener& screener_;
    screening::Examination examination_;
    screening::ForgedResultsFilter forged_;
    screening::Judgement judgement_;
    std::string results_;
    std::unique_ptr<Changed> changed_;  // null: it leaves as it came
};

}  // namespace poplar::delivery
