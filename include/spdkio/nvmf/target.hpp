// Target: serves block devices of this process to NVMe hosts over a network.
#pragma once

#include <spdkio/nvmf/host.hpp>
#include <spdkio/nvmf/subsystem.hpp>
#include <spdkio/nvmf/transport.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::nvmf {

class TargetBackend;

/// Whose target it is. What an engine's own one can't do throws Misuse::not_supported; docs/engines.md has the table.
enum class Provider : std::uint8_t {
  automatic,  ///< the engine's own where it has one, as nvme::Controller does it
  library,    ///< the library's own, over the block devices of whatever engine
  engine      ///< the engine's own; Misuse::not_supported where it has none
};

/// The texts are copied by `Target::create`.
struct TargetOptions {
  std::string_view name = "nvmf_tgt";
  std::uint32_t max_subsystems = 1024;
  /// Cores whose reactors poll connections, in a notation of CpuSet::parse; empty: all that the engine has. Without
  /// reactors the Target's own Thread polls.
  std::string_view poll_groups_mask{};
  Provider provider = Provider::automatic;
};

/// Another discovery service that hosts are told of.
struct Referral {
  /// TCP or RDMA; where hosts reach it, and its NQN: the well-known discovery NQN when empty.
  nvme::TransportId where{};
  bool secure_channel = false;  ///< hosts have to connect to it over a secure channel
};

/// A target of any number of subsystems, and the discovery subsystem that lists them. Belongs to the Thread that
/// created it; connections are spread over poll threads, one per reactor, and never leave theirs.
///
/// `destroy` it; a Target that goes without is destroyed by the end of the application, which says so in the log.
class Target {
 public:
  /// Throws Misuse::not_started without an Env, EEXIST when there is a target of that name.
  static Task<Target> create(const TargetOptions& options = {});

  Target(Target&&) noexcept = default;
  Target& operator=(Target&&) noexcept = default;
  ~Target();

  const std::string& name() const noexcept;

  /// Throws EEXIST when there is one of that type, Misuse::invalid_argument naming the option that can't be,
  /// Misuse::not_supported naming the transport or the option that this target doesn't have (RDMA: an engine's own
  /// target has it where the engine was built with it).
  Task<> add_transport(const Transport& transport) const;
  bool has_transport(nvme::TransportType type) const;

  /// Inactive at first. Throws EEXIST, ENOSPC, Misuse::invalid_argument for what is no NQN and for options that can't
  /// be.
  Task<Subsystem> create_subsystem(std::string_view nqn, const SubsystemOptions& options = {}) const;
  std::optional<Subsystem> find_subsystem(std::string_view nqn) const;
  /// The discovery subsystem first, then in the order of creation.
  std::vector<Subsystem> subsystems() const;
  /// Its listeners answer discovery only; those of the other subsystems answer it as well.
  Subsystem discovery() const;

  /// Lists another discovery service in the discovery log. Throws EEXIST when it is listed, Misuse::invalid_argument
  /// for an address that no host could use.
  void add_referral(const Referral& referral) const;
  /// Throws ENOENT when it is not listed.
  void remove_referral(const nvme::TransportId& where) const;
  /// In the order in which they were added.
  std::vector<Referral> referrals() const;

  /// An empty function: who is on the subsystem's list may connect. Throws Misuse::not_supported for an engine's own
  /// target.
  void set_admission(AdmissionHook hook) const;
  /// What hosts did, in order; waits for it. The latest 1024 are kept for a reader that is slow. Empty once the target
  /// is destroyed. Throws Misuse::not_supported for an engine's own target.
  Task<std::optional<HostEvent>> next_host_event() const;

  /// Throws Misuse::not_supported for an engine's own target.
  Task<std::vector<ConnectionStats>> connections() const;
  /// An engine's own target leaves `buffer_waits`, `buffer_bytes` and `protocol_errors` at 0.
  Task<std::vector<PollGroupStats>> poll_groups() const;

  /// Disconnects every host, lets commands in flight end, closes the block devices and ends the poll threads.
  Task<> destroy();

  /// All that exist in this process, by name: for RPC. On their Thread.
  static std::shared_ptr<TargetBackend> find(std::string_view name);
  const std::shared_ptr<TargetBackend>& state() const noexcept { return state_; }

  explicit Target(std::shared_ptr<TargetBackend> state, bool owner = true) noexcept
      : state_(std::move(state)), owner_(owner) {}

 private:
  std::shared_ptr<TargetBackend> state_;
  bool owner_ = true;
};

/// Destroys the targets that still exist on the current Thread: the end of an application.
Task<> destroy_all_targets();

}  // namespace spdkio::nvmf
