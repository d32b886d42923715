// A task that keeps an object alive: a member coroutine starts later than it is called, when its object may be gone.
#pragma once

#include <spdkio/runtime/task.hpp>

#include <memory>
#include <utility>

namespace spdkio::nvme {

inline Task<> keeping(std::shared_ptr<const void> owner, Task<> task) {
  co_await std::move(task);
  owner.reset();
}

}  // namespace spdkio::nvme
