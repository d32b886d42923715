
#include "spdkio/nvme/host_flags.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <chrono>

namespace spdkio::tool {

nvme::ControllerOptions HostFlags::controller_options() const {
  nvme::ControllerOptions options;
  options.num_io_queues = 1;
  options.reconnect.enabled = false;
  options.host_nqn = host_nqn;
  options.header_digest = header_digest;
  options.data_digest = data_digest;
  if (!(timeout_s > 0 && timeout_s <= 86'400)) throw Failure::usage("--timeout is not between 0 and 86400 seconds");
  options.connect_timeout = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(timeout_s));
  if (!host_id.empty()) {
    try {
      options.host_id = Uuid::parse(host_id);
    } catch (const Error& error) {
      throw Failure::usage(fmt::format("--hostid: {}", error.what()));
    }
  }
  return options;
}

void add_host_flags(CLI::App& app, HostFlags& flags) {
  app.add_option("--hostnqn", flags.host_nqn, "NQN of this host; one made from the host identifier when not given")
      ->type_name("NQN");
  app.add_option("--hostid", flags.host_id, "Identifier of this host; random when not given")->type_name("UUID");
  app.add_flag("--hdr-digest", flags.header_digest, "TCP: CRC-32C over headers");
  app.add_flag("--data-digest", flags.data_digest, "TCP: CRC-32C over data");
  app.add_option("--timeout", flags.timeout_s, "Seconds that each stage of connecting may take")
      ->type_name("SECONDS")
      ->capture_default_str();
}

}  // namespace spdkio::tool
