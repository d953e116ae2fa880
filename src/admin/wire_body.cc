#include "admin/wire_body.h"

namespace poplar::admin {

Task<Result<std::string_view>> WireBody::next() {
    wire_.clear();
    while (wire_.empty() && !ended_) {
        auto part = co_await body_.next();
        if (!part) co_return pass_on(part);
        ended_ = part->empty();
        if (ended_)
            encoder_.finish(wire_);
        else
            encoder_.encode(*part, wire_);
    }
    co_return std::string_view(wire_);
}

}  // namespace poplar::admin
