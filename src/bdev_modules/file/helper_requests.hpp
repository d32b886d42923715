// HelperRequests: a channel's requests that go to helper threads and come back as messages.
#pragma once

#include <spdkio/bdev/io.hpp>
#include <spdkio/runtime/mailbox.hpp>

#include <memory>

#include "bdev_modules/file/backing_file.hpp"
#include "bdev_modules/file/in_flight.hpp"
#include "bdev_modules/file/request_head.hpp"
#include "bdev_modules/file/worker_pool.hpp"

namespace spdkio::bdev::file {

/// Belongs to a channel and its Thread.
class HelperRequests {
 public:
  HelperRequests(std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool,
                 std::shared_ptr<InFlight> in_flight);

  /// Executes `io` on a helper thread and completes it on this Thread.
  void submit(Io& io) noexcept;
  /// Ends a request that waits for a thread; one that has started runs to its end.
  void abort(Io& io) noexcept;

 private:
  /// The way back.
  struct Done final : detail::Message {
    explicit Done(Io& request) noexcept : io(&request) {}
    void run() noexcept override;
    void abandon() noexcept override {}  // the Thread ended with the request open; nobody is left to be told
    Io* io;
  };
  struct Request : RequestHead, WorkerJob {
    Request(HelperRequests& owner, Io& io) noexcept;
    Done done;
    HelperRequests* requests;
    IoStatus status;
  };
  static void on_helper(WorkerJob& job) noexcept;

  std::shared_ptr<BackingFile> file_;
  std::shared_ptr<WorkerPool> pool_;
  std::shared_ptr<InFlight> in_flight_;
  std::shared_ptr<detail::Mailbox> home_;
};

}  // namespace spdkio::bdev::file
