// What a Thread tells about itself, asked from another one.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <optional>
#include <string>

namespace spdkio::app {

struct ThreadReport {
  detail::ThreadStats stats;
  std::string cpumask;  ///< SPDK's form
};

/// Nothing when the Thread has ended.
Task<std::optional<ThreadReport>> report_thread(ThreadHandle thread);

}  // namespace spdkio::app
