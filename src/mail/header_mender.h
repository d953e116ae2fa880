#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mail/header_walk.h"

namespace poplar::mail {

/// Puts into a message, as it passes in wire form, what it lacks to be fields, an empty line and a text (RFC 5322
/// s2.1): the empty line before its first line that is no field, or before all of it if it has no header; and a field
/// name before an mbox's "From " line on top. All else passes unchanged. Incremental: the same octets give the same
/// result however they are cut. Memory: a line's beginning at most (kLongestFieldName), and nothing at all for one that
/// is not cut in two.
class HeaderMender {
public:
    /// The octets to be stored in place of `wire`, which are nearly always `wire` itself. Good until the next call.
    std::string_view pass(std::string_view wire);
    /// After the last octet: what is still to be stored.
    std::string_view finish();

    const HeaderWalk& header() const { return header_; }  ///< of what came out
    std::size_t added() const { return added_; }          ///< octets put in

private:
    void put_in(std::string_view& text, std::size_t at, std::string_view what);

    HeaderWalk header_;
    bool begun_ = false;      // how the message begins is known
    std::string held_, out_;  // of a line's beginning: came in and not out yet
    std::uint64_t passed_ = 0;
    std::size_t added_ = 0;
};

}  // namespace poplar::mail
