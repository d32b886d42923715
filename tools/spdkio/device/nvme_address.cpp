
#include "spdkio/device/nvme_address.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <charconv>
#include <ranges>
#include <string>

namespace spdkio::tool {
namespace {

std::uint32_t nsid_from(std::string_view word) {
  const std::string_view digits = word.substr(3);
  std::uint32_t nsid = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), nsid);
  if (problem != std::errc{} || end != digits.data() + digits.size() || nsid == 0 || nsid == UINT32_MAX) {
    throw Failure::usage(fmt::format("'{}' names no namespace", word), "for example ns:1");
  }
  return nsid;
}

}  // namespace

bool is_transport_id(std::string_view text) {
  // The keys may stand in any order; none of them starts a path or a kind of device.
  for (const std::string_view key : {"trtype", "traddr", "adrfam", "trsvcid", "subnqn"}) {
    if (text.size() > key.size() && text.starts_with(key) && (text[key.size()] == ':' || text[key.size()] == '='))
      return true;
  }
  return false;
}

NvmeAddress parse_nvme_address(std::string_view text) {
  if (!is_transport_id(text)) {
    throw Failure::usage(fmt::format("'{}' is no transport id", text),
                         "for example 'trtype:TCP traddr:127.0.0.1 trsvcid:4420', or 'trtype:PCIe "
                         "traddr:0000:01:00.0'");
  }
  NvmeAddress address;
  std::string transport;
  for (const auto piece : std::views::split(text, ' ')) {
    const std::string_view word{piece.begin(), piece.end()};
    if (word.starts_with("ns:") || word.starts_with("ns=")) {
      if (address.nsid) throw Failure::usage(fmt::format("'{}': a namespace was named before", word));
      address.nsid = nsid_from(word);
    } else {
      transport += fmt::format("{}{}", transport.empty() ? "" : " ", word);
    }
  }
  try {
    address.id = nvme::TransportId::parse(transport);
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("'{}': {}", text, error.what()));
  }
  // A port that is left out is that of NVMe over Fabrics.
  if (address.id.trtype != nvme::TransportType::pcie && address.id.trsvcid.empty()) address.id.trsvcid = "4420";
  return address;
}

}  // namespace spdkio::tool
