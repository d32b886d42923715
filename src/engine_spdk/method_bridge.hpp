// MethodBridge: SPDK's RPC methods, called from inside the process.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/poller.hpp>

#include <spdk/rpc.h>

#include <optional>
#include <string>
#include <vector>

#include "engine_spdk/control.hpp"

namespace spdkio::spdk {

/// SPDK offers its handlers over a socket alone. It listens in a folder that only this user can enter, and each call is
/// a connection of its own, on the control Thread at both ends; the server is polled only while somebody waits for it.
class MethodBridge final : public engine::MethodService {
 public:
  /// Throws Error.
  explicit MethodBridge(Control& control);
  MethodBridge(const MethodBridge&) = delete;
  MethodBridge& operator=(const MethodBridge&) = delete;
  ~MethodBridge();

  /// On the control Thread, before the first call and after the last.
  void open();
  void close();

  std::vector<Method> methods() const override { return methods_; }
  Task<Json> call(std::string method, Json params) override;

  /// What SPDK is asked to do from now on: only start-up methods, or those of the runtime. As the app thread.
  static void set_runtime(bool runtime);

 private:
  Task<Json> call_here(std::string method, Json params);
  Task<Json> exchange(std::string request);
  Task<> check_version();
  Task<> list_methods();

  Control& control_;
  std::string folder_;
  std::string address_;
  std::vector<Method> methods_;
  // Control Thread only.
  spdk_rpc_server* server_ = nullptr;
  std::optional<Poller> poller_;
  std::size_t calls_ = 0;
};

}  // namespace spdkio::spdk
