// Any text: it is refused with an Error, or printed and read back the same. The same bytes as an entry of the discovery
// log give an entry that says whether one could connect to it.
#include <spdkio/base/error.hpp>
#include <spdkio/nvme/discover.hpp>
#include <spdkio/nvme/transport_id.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "nvme/discovery_log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spdkio;
  std::optional<nvme::TransportId> id;
  try {
    id = nvme::TransportId::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error& error) {
    if (!error.is_misuse()) std::abort();
  }
  if (id && nvme::TransportId::parse(id->to_string()) != *id) std::abort();

  spec::discovery::LogEntry raw;
  std::memcpy(static_cast<void*>(&raw), data, std::min(size, sizeof raw));
  const nvme::DiscoveryEntry entry = nvme::parse_discovery_entry(raw);
  if (entry.connectable) entry.id.check();
  return 0;
}
