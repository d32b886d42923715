// How this host introduces itself to a controller: options that the NVMe commands share, with nvme-cli's names.
#pragma once

#include <spdkio/nvme/options.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace spdkio::tool {

struct HostFlags {
  std::string host_nqn;
  std::string host_id;
  bool header_digest = false;
  bool data_digest = false;
  double timeout_s = 15;

  /// For one short visit: no reconnects, few queues. Points to this object's strings. Throws `Failure` for what can't
  /// be right.
  nvme::ControllerOptions controller_options() const;
};

void add_host_flags(CLI::App& app, HostFlags& flags);

}  // namespace spdkio::tool
