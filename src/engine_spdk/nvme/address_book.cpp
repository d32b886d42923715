#include "engine_spdk/nvme/address_book.hpp"

#include <fmt/format.h>

#include <cstring>

namespace spdkio::spdk {

std::string AddressBook::key(const spdk_nvme_transport_id& id, const std::string& host_nqn) {
  return fmt::format("{} {} {} {} {}", static_cast<int>(id.trtype), id.traddr, id.trsvcid, id.subnqn, host_nqn);
}

std::optional<unsigned> AddressBook::take(spdk_nvme_transport_id& id, const std::string& host_nqn, unsigned first) {
  const std::string service = id.trsvcid;
  if (service.empty() && first != 0) return std::nullopt;  // PCIe: there is but one
  for (unsigned zeroes = first; service.size() + zeroes <= SPDK_NVMF_TRSVCID_MAX_LEN; ++zeroes) {
    const std::string varied = std::string(zeroes, '0') + service;
    std::memcpy(id.trsvcid, varied.c_str(), varied.size() + 1);
    if (taken_.insert(key(id, host_nqn)).second) return zeroes;
    if (service.empty()) break;
  }
  return std::nullopt;
}

void AddressBook::give_back(const spdk_nvme_transport_id& id, const std::string& host_nqn) {
  taken_.erase(key(id, host_nqn));
}

}  // namespace spdkio::spdk
