// PollGroup: the part of a target that lives on one poll thread: connections, their buffers, and the subsystems as this
// thread sees them.
#pragma once

#include <spdkio/nvmf/host.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvme/tcp/socket_group.hpp"
#include "nvmf/buffer_cache.hpp"
#include "nvmf/queue.hpp"
#include "nvmf/subsystem_view.hpp"
#include "nvmf/transport_settings.hpp"

namespace spdkio::nvmf {

class TargetState;

class PollGroup {
 public:
  /// Becomes usable by `open`. `thread` is what polls; null: the current Thread does.
  PollGroup(TargetState& target, std::string name, std::optional<Thread> thread);
  PollGroup(const PollGroup&) = delete;
  PollGroup& operator=(const PollGroup&) = delete;

  // ---- any thread
  const ThreadHandle& thread() const noexcept { return handle_; }
  const std::string& name() const noexcept { return name_; }
  std::shared_ptr<TargetState> target() const;
  /// Connections, for choosing the group of a new one.
  std::atomic<std::uint32_t> connection_count{0};

  // ---- on the target's home thread
  Task<> open();
  /// Closes every connection, and ends the thread.
  Task<> close();

  // ---- on its own thread
  void set_transport(const TransportSettings& settings);
  const TransportSettings& transport() const noexcept { return transport_; }
  BufferCache& buffers() noexcept { return *buffers_; }
  nvme::tcp::SocketGroup& sockets() noexcept { return *sockets_; }

  void adopt(std::unique_ptr<Queue> queue);
  Queue* find(std::uint64_t id) const noexcept;
  /// The queue has ended: it is destroyed soon, outside of its own calls.
  void retire(Queue& queue) noexcept;
  void queue_disconnected(bool admin) noexcept { --(admin ? stats_.current_admin_qpairs : stats_.current_io_qpairs); }
  void count_connected(bool admin) noexcept {
    ++(admin ? stats_.admin_qpairs : stats_.io_qpairs);
    ++(admin ? stats_.current_admin_qpairs : stats_.current_io_qpairs);
  }
  /// One that was announced was not made.
  void connection_lost() noexcept;
  void count_protocol_error() noexcept { ++stats_.protocol_errors; }
  PollGroupStats stats() const;
  std::vector<ConnectionStats> connections() const;

  /// Null unless the subsystem is active here.
  SubsystemView* view(const std::string& nqn) const noexcept;
  void add_view(std::unique_ptr<SubsystemView> view);
  /// Closes the subsystem's connections and awaits their end.
  Task<> remove_view(const std::string& nqn);
  /// Closes the connections of that controller, or of that listener.
  void close_queues(const std::function<bool(const Queue&)>& which, std::string_view why);

 private:
  struct DestroyRetired : detail::Deferred {
    PollGroup* group = nullptr;
  };
  void housekeeping();
  std::size_t destroy_retired() noexcept;
  Task<> close_connections();

  TargetState& target_;
  const std::string name_;
  std::optional<Thread> owned_thread_;
  ThreadHandle handle_;

  TransportSettings transport_;
  std::unique_ptr<BufferCache> buffers_;
  std::shared_ptr<nvme::tcp::SocketGroup> sockets_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<std::unique_ptr<Queue>> retired_;
  DestroyRetired destroy_retired_;
  std::map<std::string, std::unique_ptr<SubsystemView>, std::less<>> views_;
  std::optional<Poller> housekeeping_;
  PollGroupStats stats_;
  std::uint64_t closed_commands_ = 0;
  bool closing_ = false;
  Event queue_gone_;
};

}  // namespace spdkio::nvmf
