
#include "spdkio/device/nvme_address.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
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
  // A port that is left out is that of NVMe over Fabrics. PCIe, which has none, is known before it is parsed.
  const bool has_port = transport.find("trsvcid") != std::string::npos;
  const auto lower = [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); };
  const bool over_network = std::ranges::search(transport, std::string_view("pcie"), {}, lower).empty();
  try {
    address.id = nvme::TransportId::parse(over_network && !has_port ? transport + " trsvcid:4420" : transport);
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("'{}': {}", text, error.what()));
  }
  return address;
}

}  // namespace spdkio::tool
