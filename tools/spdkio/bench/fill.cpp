#include "spdkio/bench/fill.hpp"

#include "spdkio/bench/random.hpp"
#include "spdkio/terminal/progress_line.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <ranges>
#include <span>
#include <utility>

namespace spdkio::tool {
namespace {

constexpr std::uint64_t most_bytes_at_once = std::uint64_t{1} << 20;
constexpr std::size_t queue_depth = 8;

void randomize(std::span<std::byte> bytes, std::uint64_t seed) {
  Random random{seed};
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.next();
    std::memcpy(&bytes[i], &word, std::min(sizeof word, bytes.size() - i));
  }
}

}  // namespace

Task<> fill_device(App& app, std::string name, std::uint64_t span_bytes, std::uint64_t seed, Terminal terminal) {
  const ErrorContext doing("filling {}", name);
  BdevDesc device = co_await BdevDesc::open(name, Access::read_write);
  IoChannel channel = device.io_channel();
  std::exception_ptr failure;
  try {
    const std::uint64_t block_size = device.block_size();
    const std::uint64_t bytes =
        span_bytes == 0 ? device.size().value : std::min(span_bytes, device.size().value) / block_size * block_size;
    const std::uint64_t step = std::max(most_bytes_at_once / block_size, std::uint64_t{1}) * block_size;
    // One buffer for all: it is only read.
    DmaBuf data{step};
    randomize(data.bytes(), seed);
    ProgressLine line{terminal, {.title = "fill"}, std::chrono::steady_clock::now()};
    std::uint64_t written = 0;
    const auto write = [&](std::uint64_t index) -> Task<> {
      if (app.stopping()) co_return;
      const std::uint64_t offset = index * step;
      const std::uint64_t length = std::min(step, bytes - offset);
      co_await device.write(channel, data.subspan(0, length), ByteOffset{offset});
      written += length;
      line.update({.now = std::chrono::steady_clock::now(),
                   .fraction = static_cast<double>(written) / static_cast<double>(bytes),
                   .bytes = written,
                   .note = name});
    };
    co_await for_each_concurrent(queue_depth, std::views::iota(std::uint64_t{0}, (bytes + step - 1) / step), write);
    line.finish();
  } catch (...) {
    failure = std::current_exception();
  }
  channel.close();
  co_await device.close();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace spdkio::tool
