// An NVMe controller made of memory, for the tests: registers, queues, PRPs and SGLs read as the specification says,
// from the other side.
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/registers.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nvme/pcie/function.hpp"

namespace spdkio::nvme::pcie {

/// The device addresses that it is given are addresses of this process. Works when `tick` is called.
class TestController {
 public:
  struct Setup {
    std::uint32_t sgls = 0;
    bool shadow_doorbells = false;
    bool refuse_shadow_doorbells = false;
    unsigned vectors = 4;
    std::uint32_t max_queue_entries = 64;
    bool refuse_queues = false;
    std::size_t register_bytes = 0x2000;
    bool never_ready = false;
  };
  explicit TestController(Setup setup);

  /// Does what the host asked for since the last time; false: nothing.
  bool tick();

  static constexpr std::uint32_t block_bytes = 512;
  std::vector<std::byte> disk = std::vector<std::byte>(block_bytes * 8192);
  /// I/O commands are taken and not answered while it is set.
  bool hold_io = false;
  /// Whether it changed memory of the host's while it was not allowed to.
  bool touched_memory_unasked = false;
  std::uint64_t doorbell_writes = 0;  ///< of submission queues, as far as they could be told apart
  std::vector<spec::Command> admin_log;
  std::vector<spec::Command> io_log;
  std::vector<spec::Command> held;
  bool removal_requested = false;

  // ---- what the bus does
  void disappear();
  void set_register32(spec::Property property, std::uint32_t value);
  std::uint32_t register32(spec::Property property) const;
  /// A completion that nobody asked for.
  void post_stray_completion(std::uint16_t qid, std::uint16_t cid);
  void release_held();
  std::size_t io_queues() const;

  std::span<std::byte> registers() { return registers_; }
  /// The transport opens and closes the function on an OS thread of its own while the device ticks.
  std::mutex bus_mutex;
  bool bus_master = false;
  std::vector<int> events;
  unsigned open_count = 0;
  const Setup& setup() const { return setup_; }

 private:
  struct CompletionQueue {
    std::byte* memory = nullptr;
    std::uint32_t entries = 0;
    std::uint32_t tail = 0;
    bool phase = true;
    int vector = -1;
  };
  struct SubmissionQueue {
    std::byte* memory = nullptr;
    std::uint32_t entries = 0;
    std::uint32_t head = 0;
    std::uint16_t cqid = 0;
    std::uint32_t last_register = 0;
  };

  bool follow_configuration();
  std::uint32_t tail_of(std::uint16_t qid, SubmissionQueue& queue);
  void execute_admin(const spec::Command& command);
  void execute_io(std::uint16_t qid, const spec::Command& command);
  void complete(std::uint16_t qid, std::uint16_t cid, std::uint8_t sct, std::uint8_t sc);
  std::vector<std::span<std::byte>> data_of(const spec::Command& command, std::size_t bytes) const;

  const Setup setup_;
  std::vector<std::byte> storage_;
  std::span<std::byte> registers_;
  bool enabled_ = false;
  std::map<std::uint16_t, SubmissionQueue> submission_;
  std::map<std::uint16_t, CompletionQueue> completion_;
  std::byte* shadow_ = nullptr;
  std::byte* event_indexes_ = nullptr;
  std::vector<std::uint16_t> held_qids_;
};

/// Gives out the controller as a function of the bus.
class TestSource final : public FunctionSource {
 public:
  explicit TestSource(std::shared_ptr<TestController> controller) : controller_(std::move(controller)) {}
  Result<std::unique_ptr<Function>> open(const PciAddress& address) override;

 private:
  std::shared_ptr<TestController> controller_;
};

}  // namespace spdkio::nvme::pcie
