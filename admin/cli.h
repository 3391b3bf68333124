// The command line: `relais help` is its manual.
#pragma once

namespace relais::admin {

/// Exit codes, for scripts.
enum Exit : int {
  kExitOk = 0,
  kExitRefused = 1,      ///< the answer is no: no such account, exists already, bad file, …
  kExitUsage = 2,        ///< the command line is wrong
  kExitUnavailable = 3,  ///< not now: platform or data cannot be reached, disk full
  kExitDamaged = 4,      ///< the data is damaged, or a check found problems
};

/// Parses and runs one command. @return an Exit
int run_cli(int argc, char** argv);

}  // namespace relais::admin
