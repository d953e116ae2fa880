#pragma once
#include <string>
#include <string_view>

namespace poplar::mail {

/// Looks for `TLS-Required: No` (RFC 8689 s3) in a message's header as it passes, in wire form or plain. Incremental;
/// any octets are allowed. Memory: the beginning of a field.
class TlsRequiredFinder {
public:
    void feed(std::string_view octets);
    bool says_no() const { return says_no_; }
    bool done() const { return done_; }  ///< the header is over, or the field was found

private:
    void end_field();

    std::string field_;  // its beginning, folds included
    bool begins_line_ = true;
    bool done_ = false, says_no_ = false;
};

/// Whether a field with its name and folds is `TLS-Required: No`.
bool says_tls_not_required(std::string_view field);

}  // namespace poplar::mail
