// AdminCommands: what admin queues answer, and Fabrics commands of all queues.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <cstddef>
#include <span>

#include "nvmf/queue.hpp"

namespace spdkio::nvmf {

class AdminCommands {
 public:
  static void execute(Queue& queue, Request& request) noexcept;

 private:
  static void fabrics(Queue& queue, Request& request) noexcept;
  static void property_get(Queue& queue, Request& request) noexcept;
  static void property_set(Queue& queue, Request& request) noexcept;
  static void identify(Queue& queue, Request& request) noexcept;
  static void get_log_page(Queue& queue, Request& request) noexcept;
  static void get_features(Queue& queue, Request& request) noexcept;
  static void set_features(Queue& queue, Request& request) noexcept;
  static void abort(Queue& queue, Request& request) noexcept;
  static Task<> abort_on(Queue& queue, Request& request, QueueAddress address, std::uint16_t cid);
  static void async_event_request(Queue& queue, Request& request) noexcept;
  static Task<> connect(Queue& queue, Request& request);
  static Task<> discovery_log(Queue& queue, Request& request);

  /// Copies what the host asked for of a page, from the offset that the command names, and answers. Beyond the end of
  /// the page are zeroes.
  static void answer_log(Queue& queue, Request& request, std::span<const std::byte> page) noexcept;
  static void answer_data(Queue& queue, Request& request, std::span<const std::byte> data) noexcept;
};

}  // namespace spdkio::nvmf
