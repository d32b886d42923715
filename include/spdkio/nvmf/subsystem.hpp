// Subsystem: a set of namespaces that hosts connect to under one NQN.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/nvmf/host.hpp>
#include <spdkio/runtime/task.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::nvmf {

class SubsystemBackend;

/// The texts are copied when the subsystem is created.
struct SubsystemOptions {
  std::string_view serial_number = "00000000000000000000";   ///< at most 20 printable ASCII characters
  std::string_view model_number = "spdkio bdev Controller";  ///< at most 40
  bool allow_any_host = false;
  std::uint32_t max_namespaces = 32;  ///< 1 to 1024
  std::uint16_t min_cntlid = 1;       ///< controller ids that are given out
  std::uint16_t max_cntlid = 0xFFEF;
};

/// The text is copied when the namespace is added.
struct NamespaceOptions {
  std::uint32_t nsid = 0;                ///< 0: the lowest free one
  Uuid uuid{};                           ///< nil: the block device's
  std::array<std::uint8_t, 16> nguid{};  ///< all zero: made from the UUID
  std::array<std::uint8_t, 8> eui64{};   ///< all zero: none
};

struct NamespaceInfo {
  std::uint32_t nsid = 0;
  std::string bdev_name;
  Uuid uuid{};
  std::array<std::uint8_t, 16> nguid{};
  std::array<std::uint8_t, 8> eui64{};
  std::uint64_t num_blocks = 0;
  std::uint32_t block_size = 0;
};

struct ControllerInfo {
  std::uint16_t cntlid = 0;
  HostConnect host;
  std::uint32_t io_qpairs = 0;
};

enum class SubsystemStatus : std::uint8_t {
  inactive,  ///< hosts can't connect
  active,
  paused,  ///< hosts stay connected; their I/O waits
  removed
};
std::string_view to_string(SubsystemStatus status) noexcept;

/// A small copyable handle. Every function belongs to the Thread that made the Target, and throws Misuse::wrong_thread
/// elsewhere. After the subsystem was destroyed the handle stays valid: functions then throw ENODEV.
///
/// Namespaces, hosts and listeners may be changed in every state; hosts that are connected hear of changed namespaces
/// by an asynchronous event.
class Subsystem {
 public:
  explicit Subsystem(std::shared_ptr<SubsystemBackend> state) noexcept : state_(std::move(state)) {}

  const std::string& nqn() const noexcept;
  bool is_discovery() const noexcept;
  SubsystemStatus status() const noexcept;

  /// Opens the block device for writing, or for reading when it can't be written, and shows it to hosts. Gives its
  /// nsid. Throws ENODEV, EEXIST when the nsid is taken, EPERM when the device is claimed, Misuse::invalid_argument for
  /// what can't be a namespace (separate metadata, block sizes that are no power of two), ENOSPC when there are
  /// `max_namespaces`. The device's end (removal) removes the namespace, a resize is reported to hosts.
  Task<std::uint32_t> add_namespace(std::string_view bdev_name, const NamespaceOptions& options = {}) const;
  /// New commands are refused at once; returns when those in flight have ended. Throws ENOENT.
  Task<> remove_namespace(std::uint32_t nsid) const;
  std::vector<NamespaceInfo> namespaces() const;

  /// Starts to listen, with the transport of `where.trtype`, which the target must have; port "0" lets the kernel
  /// choose. Several subsystems may listen on one address: hosts say which they mean. Gives the address with the real
  /// port. Throws EADDRINUSE and so on, EEXIST when this subsystem listens there already.
  Task<nvme::TransportId> add_listener(const nvme::TransportId& where) const;
  /// Hosts that came in there are disconnected. Throws ENOENT.
  Task<> remove_listener(const nvme::TransportId& where) const;
  std::vector<nvme::TransportId> listeners() const;

  void allow_any_host(bool allowed) const;
  bool any_host_allowed() const;
  /// Throws EEXIST, Misuse::invalid_argument for what is no NQN.
  void add_host(std::string_view hostnqn) const;
  /// Disconnects the host. Throws ENOENT.
  Task<> remove_host(std::string_view hostnqn) const;
  std::vector<std::string> hosts() const;
  /// Closes the controllers of a host; it may connect again if it is allowed.
  Task<> disconnect_host(std::string_view hostnqn) const;

  /// Lets hosts connect. `stop` disconnects them. Both do nothing when that is how it is.
  Task<> start() const;
  Task<> stop() const;
  /// New I/O waits, and this returns when what was in flight has ended: the block devices are quiet then. `resume` lets
  /// it go on, in order. Throws EINVAL unless active, or paused; Misuse::not_supported for a subsystem of an engine's
  /// own target that it can't keep quiet (SPDK's: one with several namespaces).
  Task<> pause() const;
  Task<> resume() const;
  /// Stops it and takes it out of the target.
  Task<> destroy() const;

  /// Throws Misuse::not_supported for an engine's own target.
  std::vector<ControllerInfo> controllers() const;
  const std::string& serial_number() const noexcept;
  const std::string& model_number() const noexcept;
  std::uint32_t max_namespaces() const noexcept;
  std::uint16_t min_cntlid() const noexcept;
  std::uint16_t max_cntlid() const noexcept;

  const std::shared_ptr<SubsystemBackend>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<SubsystemBackend> state_;
};

}  // namespace spdkio::nvmf
