// Env: the running engine, for as long as the object lives.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/memory.hpp>
#include <spdkio/engine/options.hpp>
#include <spdkio/runtime/lcore.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio {

namespace detail {
struct EnvAccess;
}

/// Starts an engine and stops it again; as often as wanted in one process (see `Capabilities::restart_in_process`), but
/// one at a time. For programs that bring their own main loop: App does this and more. Move-only. Start and stop it on
/// an OS thread that no reactor uses; the other members may be called from any.
class Env {
 public:
  /// Throws Misuse::already_started while another Env or App runs, Misuse::invalid_argument for options that can't be
  /// honoured, naming them, ENOENT for an engine that is not installed, and what the system says about memory.
  static Env start(EnvOptions options = {});

  Env(Env&& other) noexcept;
  Env& operator=(Env&& other) noexcept;
  /// Stops; what goes wrong is logged.
  ~Env();

  /// Removes every block device, asks every task on the engine's reactors to stop, waits for all of them and ends the
  /// engine. Attached Threads of the program must have been closed. Does nothing the second time. Throws
  /// Misuse::would_block inside a task, message or poller.
  void stop();
  bool stopped() const noexcept { return engine_ == nullptr; }

  /// As given, with the engine's name filled in. The functions below throw Misuse::not_started after `stop`.
  const EnvOptions& options() const noexcept { return options_; }
  const std::string& name() const noexcept { return options_.name; }
  engine::Engine& engine() const;
  /// The cores that have reactors; none when it was started without.
  std::vector<CoreId> cores() const;
  engine::MemoryInfo memory() const;

  /// What a program may be started with: the engines that this library knows, the default first.
  static std::vector<std::string> engines();

 private:
  friend struct detail::EnvAccess;
  Env(EnvOptions options, std::unique_ptr<engine::Engine> engine) noexcept;
  EnvOptions options_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace spdkio
