#include "nvme/pcie/test_controller.hpp"

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nvme/pcie/mmio.hpp"

namespace spdkio::nvme::pcie {
namespace {

using spec::Property;

constexpr std::size_t doorbells = 0x1000;
constexpr std::uint64_t page = 4096;

std::byte* pointer(std::uint64_t address) { return reinterpret_cast<std::byte*>(address); }

class TestFunction final : public Function {
 public:
  explicit TestFunction(std::shared_ptr<TestController> controller)
      : controller_(std::move(controller)), removal_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    const std::lock_guard lock(controller_->bus_mutex);
    ++controller_->open_count;
    if (controller_->removal_requested) ::eventfd_write(removal_.get(), 1);
  }
  ~TestFunction() override {
    const std::lock_guard lock(controller_->bus_mutex);
    --controller_->open_count;
    controller_->bus_master = false;
    controller_->events.clear();
  }
  std::span<std::byte> registers() const noexcept override { return controller_->registers(); }
  Result<> set_bus_master(bool on) noexcept override {
    const std::lock_guard lock(controller_->bus_mutex);
    controller_->bus_master = on;
    return {};
  }
  unsigned vector_count() const noexcept override { return controller_->setup().vectors; }
  Result<> connect_vectors(std::span<const int> events) override {
    const std::lock_guard lock(controller_->bus_mutex);
    controller_->events.assign(events.begin(), events.end());
    return {};
  }
  int removal_fd() const noexcept override {
    if (controller_->removal_requested) ::eventfd_write(removal_.get(), 1);
    return removal_.get();
  }

 private:
  std::shared_ptr<TestController> controller_;
  UniqueFd removal_;
};

}  // namespace

Result<std::unique_ptr<Function>> TestSource::open(const PciAddress&) {
  if (controller_->open_count != 0) return std::unexpected(Error(std::errc::device_or_resource_busy, "it is open"));
  return std::make_unique<TestFunction>(controller_);
}

TestController::TestController(Setup setup) : setup_(setup), storage_(setup.register_bytes + 8) {
  void* start = storage_.data();
  std::size_t room = storage_.size();
  registers_ = {static_cast<std::byte*>(std::align(8, setup.register_bytes, start, room)), setup.register_bytes};
  // CAP: MQES, contiguous queues, a timeout of half a second, the NVM command set.
  write64(register_at(registers_, Property::cap),
          std::uint64_t{setup.max_queue_entries - 1} | 1u << 16 | 1u << 24 | std::uint64_t{1} << 37);
  set_register32(Property::vs, 0x0001'0400);
}

void TestController::set_register32(Property property, std::uint32_t value) {
  write32(register_at(registers_, property), value);
}
std::uint32_t TestController::register32(Property property) const { return read32(register_at(registers_, property)); }

void TestController::disappear() { std::ranges::fill(registers_, std::byte{0xFF}); }

std::size_t TestController::io_queues() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(submission_, [](const auto& entry) { return entry.first != 0; }));
}

bool TestController::follow_configuration() {
  const spec::Configuration cc{register32(Property::cc)};
  if (cc.value == 0xFFFF'FFFF || cc.enabled() == enabled_ || setup_.never_ready) return false;
  enabled_ = cc.enabled();
  submission_.clear();
  completion_.clear();
  shadow_ = event_indexes_ = nullptr;
  held.clear();
  held_qids_.clear();
  std::ranges::fill(registers_.subspan(doorbells), std::byte{0});
  if (enabled_) {
    const std::uint32_t aqa = register32(Property::aqa);
    submission_[0] = {.memory = pointer(read64(register_at(registers_, Property::asq))), .entries = (aqa & 0xFFF) + 1};
    completion_[0] = {.memory = pointer(read64(register_at(registers_, Property::acq))),
                      .entries = (aqa >> 16 & 0xFFF) + 1,
                      .vector = 0};
  }
  set_register32(Property::csts, enabled_ ? 1 : 0);
  return true;
}

std::uint32_t TestController::tail_of(std::uint16_t qid, SubmissionQueue& queue) {
  const std::uint32_t written = read32(registers_.data() + doorbells + std::size_t{8} * qid);
  if (written != queue.last_register) ++doorbell_writes;
  queue.last_register = written;
  if (shadow_ == nullptr || qid == 0) return written;
  const std::uint32_t tail = read32(shadow_ + std::size_t{8} * qid);
  // It is awake and looks by itself from now on: the next write is wanted only when it has caught up.
  write32(event_indexes_ + std::size_t{8} * qid, tail);
  return tail;
}

bool TestController::tick() {
  const std::lock_guard lock(bus_mutex);
  bool worked = follow_configuration();
  if (!enabled_ || !bus_master || register32(Property::csts) == 0xFFFF'FFFF) return worked;
  std::vector<std::uint16_t> qids;
  for (const auto& [qid, queue] : submission_) qids.push_back(qid);
  for (const std::uint16_t qid : qids) {
    while (submission_.contains(qid)) {
      SubmissionQueue& queue = submission_[qid];
      const std::uint32_t tail = tail_of(qid, queue);
      EXPECT_LT(tail, queue.entries);
      if (queue.head == tail) break;
      spec::Command command;
      std::memcpy(&command, queue.memory + sizeof command * queue.head, sizeof command);
      queue.head = (queue.head + 1) % queue.entries;
      worked = true;
      if (qid == 0) {
        execute_admin(command);
      } else {
        execute_io(qid, command);
      }
    }
  }
  return worked;
}

void TestController::execute_admin(const spec::Command& command) {
  admin_log.push_back(command);
  const auto qid = static_cast<std::uint16_t>(command.cdw10.value());
  const std::uint32_t entries = (command.cdw10 >> 16) + 1;
  const auto refuse = [&](std::uint8_t sc) { complete(0, command.cid, 1, sc); };
  switch (static_cast<spec::AdminOpcode>(command.opcode)) {
    case spec::AdminOpcode::identify: {
      std::byte* const data = pointer(command.dptr[0]);
      std::memset(data, 0, page);
      const spec::Le32 sgls = setup_.sgls;
      const spec::Le16 oacs = static_cast<std::uint16_t>(setup_.shadow_doorbells ? 1u << 8 : 0);
      std::memcpy(data + 536, &sgls, sizeof sgls);
      std::memcpy(data + 256, &oacs, sizeof oacs);
      break;
    }
    case spec::AdminOpcode::create_io_cq:
      if (setup_.refuse_queues) return refuse(0x01);
      EXPECT_EQ(command.cdw11 & 1, 1u) << "contiguous";
      completion_[qid] = {.memory = pointer(command.dptr[0]),
                          .entries = entries,
                          .vector = (command.cdw11 & 2) != 0 ? static_cast<int>(command.cdw11 >> 16) : -1};
      break;
    case spec::AdminOpcode::create_io_sq:
      submission_[qid] = {.memory = pointer(command.dptr[0]),
                          .entries = entries,
                          .cqid = static_cast<std::uint16_t>(command.cdw11 >> 16)};
      break;
    case spec::AdminOpcode::delete_io_sq:
      for (std::size_t i = 0; i < held.size(); ++i) {
        if (held_qids_[i] == qid) complete(qid, held[i].cid, 0, 0x08);  // aborted by the deletion
      }
      held.clear();
      held_qids_.clear();
      submission_.erase(qid);
      break;
    case spec::AdminOpcode::delete_io_cq:
      EXPECT_FALSE(submission_.contains(qid)) << "the submission queue goes first";
      completion_.erase(qid);
      break;
    case spec::AdminOpcode::doorbell_buffer_config:
      if (setup_.refuse_shadow_doorbells) return complete(0, command.cid, 0, 0x02);
      shadow_ = pointer(command.dptr[0]);
      event_indexes_ = pointer(command.dptr[1]);
      break;
    case spec::AdminOpcode::async_event_request: return;
    default: return complete(0, command.cid, 0, 0x01);
  }
  complete(0, command.cid, 0, 0);
}

std::vector<std::span<std::byte>> TestController::data_of(const spec::Command& command, std::size_t bytes) const {
  std::vector<std::span<std::byte>> pieces;
  if (command.psdt() != spec::Psdt::prp) {
    EXPECT_NE(setup_.sgls & 3, 0u) << "it has no SGLs";
    const spec::SglDescriptor first = command.sgl();
    if (first.type() == spec::SglType::data_block) return {{pointer(first.address), first.length}};
    EXPECT_EQ(first.type(), spec::SglType::last_segment);
    for (std::uint32_t i = 0; i < first.length / 16; ++i) {
      spec::SglDescriptor entry;
      std::memcpy(&entry, pointer(first.address) + 16 * i, sizeof entry);
      pieces.emplace_back(pointer(entry.address), entry.length);
    }
    return pieces;
  }
  std::uint64_t entry = command.dptr[0];
  std::size_t take = std::min<std::size_t>(bytes, page - entry % page);
  pieces.emplace_back(pointer(entry), take);
  bytes -= take;
  const bool list = bytes > page;
  for (std::size_t i = 0; bytes != 0; ++i) {
    entry = command.dptr[1];
    if (list) {
      spec::Le64 stored;
      std::memcpy(&stored, pointer(command.dptr[1]) + 8 * i, sizeof stored);
      entry = stored;
    }
    EXPECT_EQ(entry % page, 0u);
    take = std::min<std::size_t>(bytes, page);
    pieces.emplace_back(pointer(entry), take);
    bytes -= take;
  }
  return pieces;
}

void TestController::execute_io(std::uint16_t qid, const spec::Command& command) {
  io_log.push_back(command);
  if (hold_io) {
    held.push_back(command);
    held_qids_.push_back(qid);
    return;
  }
  const auto opcode = static_cast<spec::NvmOpcode>(command.opcode);
  if (opcode == spec::NvmOpcode::flush) return complete(qid, command.cid, 0, 0);
  const std::size_t bytes = std::size_t{(command.cdw12 & 0xFFFF) + 1} * block_bytes;
  std::size_t offset = command.cdw10_11() * block_bytes;
  if (offset + bytes > disk.size()) return complete(qid, command.cid, 0, 0x80);
  for (const std::span<std::byte> piece : data_of(command, bytes)) {
    if (opcode == spec::NvmOpcode::write) {
      std::memcpy(disk.data() + offset, piece.data(), piece.size());
    } else {
      std::memcpy(piece.data(), disk.data() + offset, piece.size());
    }
    offset += piece.size();
  }
  complete(qid, command.cid, 0, 0);
}

void TestController::release_held() {
  hold_io = false;
  const auto commands = std::exchange(held, {});
  const auto qids = std::exchange(held_qids_, {});
  for (std::size_t i = 0; i < commands.size(); ++i) execute_io(qids[i], commands[i]);
}

void TestController::post_stray_completion(std::uint16_t qid, std::uint16_t cid) { complete(qid, cid, 0, 0); }

void TestController::complete(std::uint16_t qid, std::uint16_t cid, std::uint8_t sct, std::uint8_t sc) {
  if (!bus_master) {
    touched_memory_unasked = true;
    return;
  }
  const std::uint16_t cqid = qid == 0 || !submission_.contains(qid) ? qid : submission_[qid].cqid;
  CompletionQueue& queue = completion_.at(cqid);
  spec::Completion entry;
  entry.cid = cid;
  entry.sqid = qid;
  if (submission_.contains(qid)) entry.sqhd = static_cast<std::uint16_t>(submission_[qid].head);
  entry.status_field = queue.phase ? 1 : 0;
  entry.set_status({.sct = sct, .sc = sc});
  std::memcpy(queue.memory + sizeof entry * queue.tail, &entry, sizeof entry);
  queue.tail = (queue.tail + 1) % queue.entries;
  if (queue.tail == 0) queue.phase = !queue.phase;
  if (queue.vector >= 0 && static_cast<std::size_t>(queue.vector) < events.size()) {
    ::eventfd_write(events[static_cast<std::size_t>(queue.vector)], 1);
  }
}

}  // namespace spdkio::nvme::pcie
