// The seam: everything the rest of the library asks of an engine. Chosen as a whole by name at start-up, never mixed.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/memory.hpp>
#include <spdkio/engine/options.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {
class Service;
}
namespace spdkio::nvme {
class Driver;
}
namespace spdkio::nvmf {
class Driver;
}

namespace spdkio::engine {

/// What an engine can do; conformance tests read it instead of skipping by name.
struct Capabilities {
  bool restart_in_process = false;  ///< may be started again after it was stopped
  bool sleeps_when_idle = false;    ///< PollMode::adaptive and interrupt are honoured
  bool virtual_time = false;        ///< time passes only when nothing else is to be done
  bool needs_hugepages = false;
  bool nvme = false;  ///< spdkio::nvme answers
  bool nvmf = false;  ///< spdkio::nvmf answers
};

struct ReactorInfo {
  CoreId core{};
  std::uint64_t busy_ticks = 0;
  std::uint64_t idle_ticks = 0;
  bool sleeping = false;
  std::vector<ThreadHandle> threads;
};

/// The reactors of an engine: OS threads that poll Threads, one per core.
class ReactorService {
 public:
  /// Runs the main reactor on the calling OS thread until `request_stop`, then ends every Thread: asks their tasks to
  /// stop and waits for them. Throws Misuse when the engine was started without reactors.
  virtual void run() = 0;
  /// Any OS thread and signal-safe.
  virtual void request_stop() noexcept = 0;
  virtual std::vector<ReactorInfo> info() const = 0;
  virtual PollMode poll_mode() const noexcept = 0;
  virtual void set_poll_mode(PollMode mode) = 0;

 protected:
  ~ReactorService() = default;
};

/// RPC methods that an engine brings along, answered next to those of the library, and in their place where both have
/// the name of a device's or target's method.
class MethodService {
 public:
  struct Method {
    std::string name;
    bool at_startup = false;  ///< may run before `start_services`
    bool at_runtime = true;   ///< may run after it
  };
  /// Fixed while the engine runs. Any OS thread.
  virtual std::vector<Method> methods() const = 0;
  /// The result of a method; `params` is an object, an array, or null for none. On any Thread. Throws rpc::RpcError
  /// with the engine's own answer when the method fails, Error when it could not be asked. A stop request does not
  /// reach it.
  virtual Task<nlohmann::ordered_json> call(std::string method, nlohmann::ordered_json params) = 0;

 protected:
  ~MethodService() = default;
};

/// A running engine. Made by the composition root; owned by Env.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual std::string_view name() const noexcept = 0;
  /// For people: what answers, in which version.
  virtual std::string version() const = 0;
  virtual const Capabilities& capabilities() const noexcept = 0;

  virtual MemoryService& memory() noexcept = 0;
  virtual ReactorService& reactors() noexcept = 0;
  virtual bdev::Service& bdevs() noexcept = 0;
  /// The engine's own NVMe initiator. Null: controllers are reached with the library's.
  virtual nvme::Driver* nvme_driver() noexcept { return nullptr; }
  /// The engine's own NVMe-oF target. Null: the library's serves its devices.
  virtual nvmf::Driver* nvmf_driver() noexcept { return nullptr; }
  /// Null for an engine without any.
  virtual MethodService* methods() noexcept { return nullptr; }

  /// Brings up what serves I/O; before it only start-up methods may run. Awaited once, by Env::start, or by an App
  /// between the start-up calls of its configuration and the others.
  virtual Task<> start_services();
  /// Ends it, after the block devices were removed and while the reactors still run. Without `start_services` nothing.
  virtual Task<> stop_services();

  /// The engine of the running Env; throws Misuse::not_started when there is none.
  static Engine& current();
  static Engine* current_or_null() noexcept;
  /// For Env alone.
  static void install(Engine* engine) noexcept;
};

}  // namespace spdkio::engine
