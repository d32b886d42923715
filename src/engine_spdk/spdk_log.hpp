// SPDK's log lines in the log of this library.
#pragma once

namespace spdkio::spdk {

/// From now on what SPDK logs and prints goes to spdkio::log: errors and warnings at their level, notices as debug.
void redirect_log();

}  // namespace spdkio::spdk
