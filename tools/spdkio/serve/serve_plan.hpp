// ServePlan: a target from the flags of one command line, as the configuration that makes it.
#pragma once

#include "spdkio/device/device_spec.hpp"

#include <spdkio/nvme/transport_id.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::tool {

struct ServeOptions {
  std::vector<std::string> devices;
  std::string config;
  std::string nqn = "nqn.2026-11.io.spdkio:target";
  std::vector<std::string> listen;
  std::vector<std::string> hosts;
  std::string serial = "SPDKIO0000000001";
  std::uint32_t queue_depth = 128;
  std::uint32_t max_queues = 127;
  std::string in_capsule_data = "4KiB";
  std::string max_io_size = "128KiB";
  bool one_subsystem_each = false;
};

/// `127.0.0.1:4420`, `[::1]:4420`, `127.0.0.1`, `:4420`, or a transport id. Throws Failure.
nvme::TransportId listen_address(const std::string& text);

/// Adds the `nvmf` part for the devices to the plan's configuration. Without devices it is as the file says.
Json serve_config(const ServeOptions& options, DevicePlan& devices);

}  // namespace spdkio::tool
