#include <spdkio/engine/dma_span.hpp>

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

namespace spdkio {

DmaSpan DmaSpan::subspan(std::size_t offset, std::size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    throw Error(Misuse::out_of_range,
                fmt::format("{} byte(s) from offset {} of a buffer of {} byte(s)", count, offset, size_))
        .with_operation("DmaSpan::subspan");
  }
  return {data_ + offset, count};
}

}  // namespace spdkio
