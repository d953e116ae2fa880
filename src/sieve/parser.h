#pragma once
#include <expected>
#include <string_view>
#include <vector>

#include "sieve/options.h"
#include "sieve/syntax.h"

namespace poplar::sieve {

/// Reads a script by its grammar (RFC 5228 s8.2). The first problem ends it.
std::expected<std::vector<syntax::Node>, Problem> parse(std::string_view script, const Options& options);

}  // namespace poplar::sieve
