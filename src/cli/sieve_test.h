#pragma once
#include <CLI/CLI.hpp>

namespace poplar::cli {

struct Cli;

/// poplar sieve test: runs a script over a message without a server, and tells what would be done.
void add_sieve_test_command(CLI::App& family, Cli& cli);

}  // namespace poplar::cli
