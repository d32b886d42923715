
#include "spdkio/copy/copy_run.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/copy/copy_lane.hpp"
#include "spdkio/copy/crc32c_combine.hpp"
#include "spdkio/terminal/progress_line.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/join_handle.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace spdkio::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_interval{20};

// Finer than the holes that file systems make.
constexpr std::size_t least_grain = 4096;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Keeps a request to stop from cancelling the task that runs the copy: it looks at `App::stopping` itself.
Task<> take_stop_request() { co_await App::stop_requested(); }

void check_devices(const CopyPlan& plan, const BdevDesc& source, const BdevDesc& destination) {
  const std::uint64_t size = source.size().value;
  if (destination.size().value < size) {
    throw Failure{fmt::format("{} of {} does not fit on {} of {}", source.name(), format_bytes(source.size()),
                              destination.name(), format_bytes(destination.size()))};
  }
  if (size % destination.block_size() != 0) {
    throw Failure{fmt::format("the size of {}, {} bytes, is no multiple of the block size of {}, {}", source.name(),
                              size, destination.name(), destination.block_size())};
  }
  const std::uint64_t block = std::lcm<std::uint64_t>(source.block_size(), destination.block_size());
  if (plan.io_bytes % block != 0) {
    throw Failure::usage(
        fmt::format("--io-size is no multiple of {}, of which the blocks of both devices are parts", block));
  }
}

// One task per core, each on a Thread of its own; returns when all have ended. Throws the first failure.
Task<> run_lanes(App& app, CopyShared& shared, Task<> (*lane)(CopyShared&), std::string title,
                 const Terminal& terminal) {
  shared.next_piece = 0;
  shared.bytes_done = 0;
  shared.stop = false;
  ProgressLine line{terminal, {.title = std::move(title)}, Clock::now()};
  std::vector<Thread> threads;
  std::vector<JoinHandle<>> running;
  for (const CoreId core : Cores::all()) {
    const auto number = static_cast<unsigned>(core);
    threads.push_back(Thread::create(fmt::format("copy_{}", number), CpuSet{number}));
    running.push_back(threads.back().spawn(lane(shared), "copy"));
  }
  while (!std::all_of(running.begin(), running.end(), [](const auto& handle) { return handle.done(); })) {
    if (app.stopping()) shared.stop = true;
    const std::uint64_t done = shared.bytes_done.load(std::memory_order_relaxed);
    line.update({.now = Clock::now(),
                 .fraction = static_cast<double>(done) / static_cast<double>(shared.total_bytes),
                 .bytes = done});
    co_await sleep_for(look_interval);
  }
  std::exception_ptr failure;
  for (JoinHandle<>& handle : running) {
    try {
      co_await std::move(handle);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  for (Thread& thread : threads) co_await thread.exit();
  line.finish();
  if (failure) std::rethrow_exception(failure);
  if (app.stopping()) throw Failure{"interrupted; the destination is incomplete"};
}

std::uint32_t crc_of_all(const CopyShared& shared) {
  if (shared.num_pieces == 0) return 0;
  const Crc32cJoin join{shared.plan->io_bytes};
  std::uint32_t crc = shared.piece_crc.front();
  for (std::uint64_t piece = 1; piece + 1 < shared.num_pieces; ++piece) crc = join(crc, shared.piece_crc[piece]);
  if (shared.num_pieces > 1) {
    const Crc32cJoin last{shared.piece_bytes(shared.num_pieces - 1)};
    crc = last(crc, shared.piece_crc.back());
  }
  return crc;
}

Task<CopyOutcome> copy_open_devices(App& app, const CopyPlan& plan, const BdevDesc& source, const BdevDesc& destination,
                                    const Terminal& terminal) {
  check_devices(plan, source, destination);
  CopyShared shared;
  shared.plan = &plan;
  shared.source = &source;
  shared.destination = &destination;
  shared.total_bytes = source.size().value;
  shared.num_pieces = (shared.total_bytes + plan.io_bytes - 1) / plan.io_bytes;
  const std::size_t block = std::lcm(std::size_t{source.block_size()}, std::size_t{destination.block_size()});
  shared.grain = (least_grain + block - 1) / block * block;
  shared.piece_crc.resize(shared.num_pieces);

  CopyOutcome outcome{.total_bytes = shared.total_bytes};
  const auto start = Clock::now();
  co_await run_lanes(app, shared, copy_lane, "copy", terminal);
  if (destination.supports(bdev::IoType::flush)) {
    const IoChannel channel = destination.io_channel();
    co_await destination.flush(channel);
  }
  outcome.copy_s = seconds_since(start);
  outcome.data_bytes = shared.data_bytes;
  outcome.hole_bytes = shared.hole_bytes;
  outcome.source_crc = crc_of_all(shared);
  if (plan.verify) {
    const auto verify_start = Clock::now();
    co_await run_lanes(app, shared, verify_lane, "verify", terminal);
    outcome.verify_s = seconds_since(verify_start);
    outcome.destination_crc = crc_of_all(shared);
    if (shared.first_difference != UINT64_MAX) outcome.first_difference = shared.first_difference.load();
  }
  co_return outcome;
}

}  // namespace

Task<CopyOutcome> run_copy(App& app, const CopyPlan& plan, const Terminal& terminal) {
  const ErrorContext doing("copying {} to {}", plan.source, plan.destination);
  Scope scope{"copy"};
  scope.spawn(take_stop_request(), "stop");
  std::optional<BdevDesc> source;
  std::optional<BdevDesc> destination;
  CopyOutcome outcome;
  std::exception_ptr failure;
  try {
    source.emplace(co_await BdevDesc::open(plan.source, Access::read_only));
    destination.emplace(co_await BdevDesc::open(plan.destination, Access::read_write));
    outcome = co_await copy_open_devices(app, plan, *source, *destination, terminal);
  } catch (...) {
    failure = std::current_exception();
  }
  if (destination) co_await destination->close();
  if (source) co_await source->close();
  scope.request_stop();
  co_await as_result(scope.join());
  if (failure) std::rethrow_exception(failure);
  co_return outcome;
}

}  // namespace spdkio::tool
