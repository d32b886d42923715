// Config: a JSON configuration in SPDK's format, run as RPC calls.
#pragma once

#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/task.hpp>

#include <string>
#include <vector>

namespace spdkio::app {

/// `{"subsystems": [{"subsystem": "bdev", "config": [{"method": ..., "params": {...}}, ...]}, ...]}`. What does not
/// have this shape is refused, with the place: a member that is misspelt must not be one that is silently not there.
class Config {
 public:
  Config() = default;
  /// Both throw Misuse::invalid_argument that names file or text, and place. The file may have comments. Blocks.
  static Config from_file(const std::string& path);
  static Config from_text(const std::string& text);

  /// Throws for the first method that `methods` does not have.
  void check_methods(const rpc::MethodTable& methods) const;
  /// Calls, in order, the methods that may run in the dispatcher's state and were not run in an earlier one. Throws
  /// what the first that fails throws, with the place.
  Task<> run(rpc::Dispatcher& dispatcher) const;

  bool empty() const noexcept { return calls_.empty(); }

 private:
  struct Call {
    std::string method;
    Json params;
    std::string place;  ///< `app.json: subsystems[0].config[2]`
  };
  Config(const Json& json, const std::string& source);
  std::vector<Call> calls_;
};

}  // namespace spdkio::app
