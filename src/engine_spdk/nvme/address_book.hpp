// AddressBook: lets several controllers of this process be at the same address.
#pragma once

#include <spdk/nvme.h>

#include <optional>
#include <set>
#include <string>

namespace spdkio::spdk {

/// SPDK knows a controller by transport, address, service, subsystem and host NQN, and who connects to the same again
/// gets the same one. Here each has an association of its own, so that further ones write the service with leading
/// zeroes, which means the same port. On the driver's Thread.
class AddressBook {
 public:
  /// Changes `id` to one that was not taken, beginning with `first` zeroes; gives their number. Nothing: all are taken.
  std::optional<unsigned> take(spdk_nvme_transport_id& id, const std::string& host_nqn, unsigned first);
  void give_back(const spdk_nvme_transport_id& id, const std::string& host_nqn);

 private:
  static std::string key(const spdk_nvme_transport_id& id, const std::string& host_nqn);
  std::set<std::string> taken_;
};

}  // namespace spdkio::spdk
