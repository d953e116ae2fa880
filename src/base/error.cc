#include "base/error.h"

namespace poplar {

std::string_view to_string(Errc code) {
    switch (code) {
        case Errc::not_found: return "not_found";
        case Errc::exists: return "exists";
        case Errc::busy: return "busy";
        case Errc::conflict: return "conflict";
        case Errc::denied: return "denied";
        case Errc::invalid: return "invalid";
        case Errc::too_large: return "too_large";
        case Errc::timed_out: return "timed_out";
        case Errc::closed: return "closed";
        case Errc::cancelled: return "cancelled";
        case Errc::no_space: return "no_space";
        case Errc::io: return "io";
        case Errc::corrupt: return "corrupt";
        case Errc::outcome_unknown: return "outcome_unknown";
    }
    return "unknown";
}

}  // namespace poplar
