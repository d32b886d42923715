#include <spdkio/runtime/for_each_concurrent.hpp>

#include <spdkio/base/error.hpp>

namespace spdkio::detail {

void throw_stopped_half_way() {
  throw Error(std::errc::operation_canceled, "stopped before the last element").with_operation("for_each_concurrent");
}

}  // namespace spdkio::detail
