#pragma once
#include <string>

#include "base/error.h"

namespace poplar::cli {

/// The first line of standard input. Errors: invalid.
Result<std::string> password_from_stdin();
/// The first line of a file. Errors: invalid.
Result<std::string> password_from_file(const std::string& path);
/// Asks twice at the terminal, without echo. Errors: invalid (no terminal, or the two differ).
Result<std::string> password_from_terminal();

}  // namespace poplar::cli
