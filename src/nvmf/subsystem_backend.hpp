// SubsystemBackend: what stands behind a Subsystem: one of the library's own target, or of an engine's.
#pragma once

#include <spdkio/nvmf/subsystem.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace spdkio::nvmf {

class TargetBackend;

/// On the Thread of its target, unless noted. Each change waits for the one before.
class SubsystemBackend {
 public:
  /// Throws Misuse::invalid_argument that names what can't be.
  SubsystemBackend(const TargetBackend& owner, std::string nqn, const SubsystemOptions& options);
  SubsystemBackend(const SubsystemBackend&) = delete;
  SubsystemBackend& operator=(const SubsystemBackend&) = delete;
  virtual ~SubsystemBackend();

  // ---- fixed: any thread
  const std::string& nqn() const noexcept { return nqn_; }
  bool is_discovery() const noexcept { return discovery_; }
  const std::string& serial_number() const noexcept { return serial_number_; }
  const std::string& model_number() const noexcept { return model_number_; }
  std::uint32_t max_namespaces() const noexcept { return max_namespaces_; }
  std::uint16_t min_cntlid() const noexcept { return min_cntlid_; }
  std::uint16_t max_cntlid() const noexcept { return max_cntlid_; }

  /// Throws Misuse::wrong_thread, or ENODEV once destroyed.
  void require_usable(const char* operation) const;
  SubsystemStatus status() const noexcept { return status_; }

  virtual Task<std::uint32_t> add_namespace(std::string bdev_name, NamespaceOptions options) = 0;
  virtual Task<> remove_namespace(std::uint32_t nsid) = 0;
  virtual std::vector<NamespaceInfo> namespaces() const = 0;

  virtual Task<nvme::TransportId> add_listener(nvme::TransportId where) = 0;
  virtual Task<> remove_listener(nvme::TransportId where) = 0;
  const std::vector<nvme::TransportId>& listeners() const noexcept { return listeners_; }
  bool listens_on(const nvme::TransportId& where) const noexcept;

  void allow_any_host(bool allowed);
  bool any_host_allowed() const noexcept { return any_host_; }
  void add_host(std::string hostnqn);
  virtual Task<> remove_host(std::string hostnqn) = 0;
  const std::set<std::string>& hosts() const noexcept { return hosts_; }
  virtual Task<> disconnect_host(std::string hostnqn) = 0;

  virtual Task<> start() = 0;
  virtual Task<> stop() = 0;
  virtual Task<> pause() = 0;
  virtual Task<> resume() = 0;
  virtual Task<> destroy() = 0;

  virtual std::vector<ControllerInfo> controllers() const = 0;

 protected:
  /// What `any_host_` and `hosts_` say has changed.
  virtual void any_host_changed() = 0;
  virtual void host_added(const std::string& hostnqn) = 0;

  [[noreturn]] void refuse(std::string what) const;
  /// The first free one when `wanted` is 0. Throws ENOSPC, EEXIST.
  std::uint32_t choose_nsid(std::uint32_t wanted, const std::set<std::uint32_t>& taken) const;
  /// Throws ENOENT when the host is not on the list.
  void erase_host(const std::string& hostnqn);
  /// Throws EEXIST.
  void require_new_listener(const nvme::TransportId& where) const;
  /// Throws ENOENT.
  nvme::TransportId take_listener(const nvme::TransportId& where);
  /// Logs why a namespace's device is not followed any more, unless the namespace or the target has gone.
  void watch_failed(std::uint32_t nsid, const Error& error) const;
  /// Throws EINVAL that says what it is.
  void require_status(SubsystemStatus wanted, const char* operation) const;

  SubsystemStatus status_ = SubsystemStatus::inactive;
  bool any_host_;
  std::set<std::string> hosts_;
  std::vector<nvme::TransportId> listeners_;

 private:
  const TargetBackend& owner_;
  const std::string nqn_;
  const bool discovery_;
  const std::string serial_number_;
  const std::string model_number_;
  const std::uint32_t max_namespaces_;
  const std::uint16_t min_cntlid_;
  const std::uint16_t max_cntlid_;
};

/// The same transport, address and port.
bool same_address(const nvme::TransportId& a, const nvme::TransportId& b) noexcept;

}  // namespace spdkio::nvmf
