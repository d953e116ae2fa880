#include "delivery/verdict.h"

#include "quota/quotas.h"

namespace poplar::delivery {

Verdict verdict_of(const Error& error) {
    switch (error.code()) {
        case Errc::not_found: return {Verdict::Kind::gone, error.code(), error.detail()};
        case Errc::too_large: return {Verdict::Kind::too_large, error.code(), error.detail()};
        default: return {Verdict::Kind::deferred, error.code(), error.detail()};
    }
}

Verdict verdict_of(const quota::Full& full) {
    return {.kind = full.for_good ? Verdict::Kind::over_quota : Verdict::Kind::full, .text = full.text};
}

std::unexpected<Verdict> refuse(Verdict::Kind kind, std::string text) {
    return std::unexpected(Verdict{.kind = kind, .text = std::move(text)});
}

std::unexpected<Verdict> failed(const Error& error) { return std::unexpected(verdict_of(error)); }

Error error_of(const Verdict& verdict) {
    switch (verdict.kind) {
        case Verdict::Kind::stored:
        case Verdict::Kind::deferred: break;
        case Verdict::Kind::later: return {Errc::busy, verdict.text};
        case Verdict::Kind::gone: return {Errc::not_found, verdict.text};
        case Verdict::Kind::too_large: return {Errc::too_large, verdict.text};
        case Verdict::Kind::bad_header:
        case Verdict::Kind::loop: return {Errc::invalid, verdict.text};
        case Verdict::Kind::over_quota:
        case Verdict::Kind::full: return {Errc::no_space, verdict.text};
        case Verdict::Kind::rejected: return {Errc::denied, verdict.text};
    }
    return {verdict.cause, verdict.text};
}

}  // namespace poplar::delivery
