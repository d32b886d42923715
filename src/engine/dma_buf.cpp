#include <spdkio/engine/dma_buf.hpp>

#include <spdkio/engine/engine.hpp>

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace spdkio {
namespace {

Error no_memory(std::size_t size, const DmaBufOptions& options, const engine::MemoryInfo& info) {
  std::string message = fmt::format("no {} bytes of DMA memory", size);
  if (options.numa_node != engine::any_numa_node) message += fmt::format(" on NUMA node {}", options.numa_node);
  return Error(std::errc::not_enough_memory, std::move(message))
      .with_operation("DmaBuf")
      .with_hint(
          fmt::format("{} byte(s) are reserved, {} of them allocated ({}); free buffers, or allow the process more "
                      "memory or hugepages",
                      info.reserved, info.allocated, info.description));
}

}  // namespace

Result<DmaBuf> DmaBuf::allocate(std::size_t size, const DmaBufOptions& options) {
  if (size == 0) {
    return std::unexpected(Error(Misuse::invalid_argument, "a size of zero").with_operation("DmaBuf"));
  }
  if (!std::has_single_bit(options.alignment)) {
    return std::unexpected(
        Error(Misuse::invalid_argument, fmt::format("an alignment of {}, which is no power of two", options.alignment))
            .with_operation("DmaBuf"));
  }
  engine::Engine* engine = engine::Engine::current_or_null();
  if (engine == nullptr) {
    return std::unexpected(Error(Misuse::not_started, "no engine is running")
                               .with_operation("DmaBuf")
                               .with_hint("start an Env or App first"));
  }
  engine::MemoryService& service = engine->memory();
  void* memory = service.allocate(size, options.alignment, options.numa_node);
  if (memory == nullptr) return std::unexpected(no_memory(size, options, service.info()));
  if (options.zeroed) std::memset(memory, 0, size);
  return DmaBuf{service, static_cast<std::byte*>(memory), size};
}

DmaBuf::DmaBuf(std::size_t size, const DmaBufOptions& options) {
  auto made = allocate(size, options);
  if (!made) throw std::move(made).error();
  *this = *std::move(made);
}

void DmaBuf::fill(std::byte value) const noexcept {
  if (size_ != 0) std::memset(data_, std::to_integer<int>(value), size_);
}

Result<engine::IovaRange> DmaBuf::iova() const {
  if (service_ == nullptr) {
    return std::unexpected(Error(Misuse::invalid_argument, "an empty buffer").with_operation("DmaBuf::iova"));
  }
  return service_->translate(data_, size_);
}

}  // namespace spdkio
