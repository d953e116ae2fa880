#include "server/cli.h"

int main(int argc, char** argv) { return poplar::server::run(argc, argv); }
