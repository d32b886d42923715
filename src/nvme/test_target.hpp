// FakeTarget: an NVMe/TCP controller for the tests of this folder, written apart from the library's own socket code:
// plain blocking sockets, one OS thread per connection, and hooks to misbehave.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/features.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nvme/test_connection.hpp"

namespace spdkio::nvme::test {

struct FakeTargetOptions {
  std::uint32_t block_size = 512;
  std::uint64_t num_blocks = 4096;
  std::uint32_t in_capsule_bytes = 4096;
  std::uint32_t max_h2c_data = 8192;
  std::uint32_t r2t_bytes = 16384;  ///< asked for with one R2T
  std::uint32_t r2ts_at_once = 1;
  std::uint32_t c2h_data_bytes = 12288;  ///< in one C2HData
  bool c2h_success = true;
  std::uint8_t cpda = 0;
  bool header_digest = false;
  bool data_digest = false;
  std::uint8_t mdts = 5;  ///< 128 KiB
  std::uint16_t max_io_queues = 8;
  std::string subnqn = "nqn.2026-11.io.spdkio:fake";
};

class FakeTarget {
 public:
  explicit FakeTarget(FakeTargetOptions options = {});
  ~FakeTarget();
  FakeTarget(const FakeTarget&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  TransportId id() const { return TransportId::tcp("127.0.0.1", port_, options.subnqn); }
  /// Shuts every connection; `accepting` false: new ones are refused until it is true again.
  void drop_connections();
  void set_accepting(bool accepting);
  /// Completes an outstanding Asynchronous Event Request; false when there is none.
  bool raise_event(spec::AsyncEvent event);
  void resize(std::uint64_t num_blocks);
  std::vector<std::byte> content(std::uint64_t offset, std::size_t length);

  FakeTargetOptions options;
  /// Called for every command before it is handled; true: the hook has dealt with it. From the connection's OS thread.
  using Hook = std::function<bool(FakeConnection&, const spec::Command&)>;
  void set_hook(Hook hook);
  /// Called instead of answering ICReq when set.
  std::function<void(FakeConnection&)> on_ic_req;
  std::atomic<int> connections{0};
  std::atomic<int> keep_alives{0};
  std::atomic<int> aborts{0};
  std::atomic<std::uint32_t> kato_ms{0};
  std::atomic<int> writes{0};

 private:
  friend class FakeConnection;
  std::shared_ptr<const Hook> hook();
  void accept_loop();
  void listen_again();

  std::mutex mutex_;
  UniqueFd listener_;
  UniqueFd wake_;
  std::uint16_t port_ = 0;
  std::vector<std::byte> storage_;                                         // guarded by mutex_
  std::vector<std::shared_ptr<FakeConnection>> open_;                      // guarded by mutex_
  std::vector<std::pair<FakeConnection*, std::uint16_t>> waiting_events_;  // guarded by mutex_
  std::vector<std::thread> threads_;                                       // guarded by mutex_
  std::shared_ptr<const Hook> hook_;                                       // guarded by mutex_
  std::mutex send_mutex_;
  std::atomic<bool> accepting_{true};
  std::atomic<bool> ending_{false};
  std::thread acceptor_;
};

}  // namespace spdkio::nvme::test
