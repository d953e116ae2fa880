#include "delivery/stranger_checks.h"

#include <fmt/format.h>

#include "screening/arc.h"

namespace poplar::delivery {

StrangerChecks::StrangerChecks(const screening::Screener& screener, const Envelope& envelope)
    : screener_(screener),
      examination_(screener, {envelope.received.peer, envelope.received.helo}, envelope.reverse_path),
      forged_(screener.hostname()) {}

// Signatures are checked over what came, before anything is taken out.
std::string_view StrangerChecks::pass(std::string_view wire) {
    examination_.feed(wire);
    return forged_.in_body() ? wire : forged_.pass(wire);
}

Task<std::expected<void, Verdict>> StrangerChecks::judge() {
    examination_.finish();
    judgement_ = co_await examination_.judge();
    results_ = fmt::format("Authentication-Results: {}\r\n{}", judgement_.results, judgement_.received_spf);
    if (judgement_.action == screening::Judgement::Action::reject)
        co_return refuse(Verdict::Kind::rejected, judgement_.reason);
    co_return std::expected<void, Verdict>();
}

void StrangerChecks::finish_changed() {
    changed_->finish();
    changed_->body_hash = changed_->body.finish();
}

std::string StrangerChecks::seal(const screening::Signer& signer, Timestamp now) const {
    if (!changed_) return examination_.seal(judgement_, signer);
    if (!screener_.options().arc) return {};
    return screening::seal_arc(*changed_->header, judgement_.arc, signer, judgement_.results, changed_->body_hash, now);
}

}  // namespace poplar::delivery
