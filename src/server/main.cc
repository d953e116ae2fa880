#include "server/commands.h"

int main(int argc, char** argv) { return poplar::cli::run(argc, argv, poplar::server::host()); }
