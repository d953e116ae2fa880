#pragma once
// The field that tells a message's reader what our checks found (RFC 8601), and taking out those that others wrote in
// our name.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "screening/outcome.h"

namespace poplar::screening {

/// One result: `dkim=pass (2048 bits) header.d=example.org`.
struct MethodResult {
    std::string method;
    Outcome outcome = Outcome::none;
    std::string comment, reason;
    std::vector<std::pair<std::string, std::string>> properties = {};  ///< "header.d", "example.org"
};

/// `HOST; METHOD=RESULT ...`, folded, without a name and a CRLF. Any octets are allowed in the values.
std::string format_results(std::string_view host, const std::vector<MethodResult>& results);

/// The authserv-id of a field's value, in lower case; "": it has none (RFC 8601 s2.2).
std::string authserv_id(std::string_view value);

/// Takes out, as a message passes in wire form, the Authentication-Results fields that bear our own name, because a
/// reader would believe them (RFC 8601 s5). Incremental: the same octets give the same result however they are cut.
/// Memory: a field, of those with that name.
class ForgedResultsFilter {
public:
    /// `host`: ours, in lower case.
    explicit ForgedResultsFilter(std::string host) : host_(std::move(host)) {}
    /// The octets to be kept in place of `wire`, good until the next call.
    std::string_view pass(std::string_view wire);
    /// After the last octet: what is still to be kept.
    std::string_view finish();
    bool in_body() const { return in_body_; }
    std::uint64_t removed() const { return removed_; }  ///< octets

private:
    void end_field();
    void begin_line();

    const std::string host_;
    std::string line_, out_;  // line_: the beginning of a line that is not known yet
    std::string field_;       // that may be one of ours
    bool held_ = false;       // the present field goes into field_
    bool in_line_ = false, in_body_ = false;
    std::uint64_t removed_ = 0;
};

}  // namespace poplar::screening
