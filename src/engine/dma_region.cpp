#include <spdkio/engine/dma_region.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/engine/engine.hpp>

#include <utility>

namespace spdkio {
namespace {

engine::MemoryService& running_memory() {
  engine::Engine* engine = engine::Engine::current_or_null();
  if (engine == nullptr) {
    throw Error(Misuse::not_started, "no engine is running")
        .with_operation("DmaRegion")
        .with_hint("start an Env or App first");
  }
  return engine->memory();
}

}  // namespace

DmaRegion::DmaRegion(std::span<std::byte> memory) {
  engine::MemoryService& service = running_memory();
  if (auto done = service.register_region(memory.data(), memory.size()); !done) throw std::move(done).error();
  service_ = &service;
  memory_ = memory;
}

DmaRegion::DmaRegion(DmaRegion&& other) noexcept
    : service_(std::exchange(other.service_, nullptr)), memory_(std::exchange(other.memory_, {})) {}

DmaRegion& DmaRegion::operator=(DmaRegion&& other) noexcept {
  std::swap(service_, other.service_);
  std::swap(memory_, other.memory_);
  return *this;
}

DmaRegion::~DmaRegion() {
  if (service_ == nullptr) return;
  if (const auto done = service_->unregister_region(memory_.data()); !done) log::error("{}", done.error().what());
}

Result<engine::IovaRange> DmaRegion::iova() const {
  if (service_ == nullptr) {
    return std::unexpected(Error(Misuse::invalid_argument, "an empty region").with_operation("DmaRegion::iova"));
  }
  return service_->translate(memory_.data(), memory_.size());
}

}  // namespace spdkio
