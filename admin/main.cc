// The program `relais`.
#include "admin/cli.h"

int main(int argc, char** argv) { return relais::admin::run_cli(argc, argv); }
