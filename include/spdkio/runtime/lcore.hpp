// Cores of the running engine, and functions sent to them.
#pragma once

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>

#include <cstdint>
#include <functional>
#include <vector>

namespace spdkio {

/// Number of a logical core, as the operating system counts.
enum class CoreId : std::uint32_t {};

namespace detail {

/// What the engine does for the functions below; installed while an engine runs.
class CoreHost {
 public:
  virtual std::vector<CoreId> cores() const = 0;
  virtual CoreId main_core() const noexcept = 0;
  virtual Result<> send_event(CoreId core, std::move_only_function<void()> fn) = 0;
  static CoreHost* current() noexcept;
  static void install(CoreHost* host) noexcept;
  /// The core whose reactor the calling OS thread is; negative: none.
  static void set_current_core(std::int64_t core) noexcept;
  static std::int64_t current_core() noexcept;

 protected:
  ~CoreHost() = default;
};

}  // namespace detail

/// The cores that have a reactor. Throw Misuse::not_started without a running engine.
namespace Cores {
std::vector<CoreId> all();
std::size_t count();
CoreId main();
/// The core whose reactor the calling OS thread is; throws Misuse::wrong_thread on any other OS thread.
CoreId current();
}  // namespace Cores

/// A function to be run once on a core, by its reactor, outside any Thread: what SPDK calls an event. For work that
/// needs a Thread use ThreadHandle::send.
namespace LcoreEvent {
/// Any OS thread. The error names the core when it has no reactor, or when the engine is stopping.
Result<> send(CoreId core, std::move_only_function<void()> fn);
}  // namespace LcoreEvent

}  // namespace spdkio
