#pragma once
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"
#include "http/message.h"
#include "mail/wire_form.h"

namespace poplar::admin {

/// A message that is the body of a request, in wire form as it comes. Line ends are normalized, because files on this
/// machine have LF more often than CRLF.
class WireBody {
public:
    explicit WireBody(http::Body& body) : body_(body) {}

    /// The next octets; "" at the end. Valid until the next call. Errors: those of the connection.
    Task<Result<std::string_view>> next();
    const mail::WireSizes& sizes() const { return encoder_.sizes(); }  ///< at the end

private:
    http::Body& body_;
    mail::WireEncoder encoder_{mail::BareNewlines::normalize};
    std::string wire_;
    bool ended_ = false;
};

}  // namespace poplar::admin
