#include <spdkio/runtime/latch.hpp>

#include <spdkio/base/error.hpp>

namespace spdkio {

void Latch::count_down(std::size_t by) {
  if (by > count_) {
    throw Error(Misuse::invalid_argument, "counts down by more than is left").with_operation("Latch::count_down");
  }
  if (count_ == by) event_.set();  // refuses before anything changes
  count_ -= by;
}

}  // namespace spdkio
