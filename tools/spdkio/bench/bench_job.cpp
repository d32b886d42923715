
#include "spdkio/bench/bench_job.hpp"

#include "spdkio/bench/verify_pattern.hpp"
#include "spdkio/cli/failure.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/clock.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace spdkio::tool {
namespace {

// Generations of verified units take four bytes each.
constexpr std::uint64_t most_verified_units = std::uint64_t{1} << 28;

double seconds_of(std::uint64_t tick_count) { return static_cast<double>(ns_from_ticks(tick_count).count()) / 1e9; }

std::uint64_t ns_of(std::uint64_t tick_count) { return static_cast<std::uint64_t>(ns_from_ticks(tick_count).count()); }

// What `later` counted beyond `earlier`.
LatencyHistogram difference(const LatencyHistogram& later, const LatencyHistogram& earlier) {
  std::vector<std::uint64_t> counts(later.counts().begin(), later.counts().end());
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] -= std::min(counts[i], earlier.counts()[i]);
  return LatencyHistogram::from_counts(later.bucket_shift(), counts);
}

}  // namespace

LatencySummary summarize_ticks(const LatencyHistogram& ticks) {
  std::vector<LatencyBucket> buckets;
  ticks.for_each([&](const LatencyHistogram::Bucket& bucket) {
    const std::uint64_t from = ns_of(bucket.low);
    const std::uint64_t to = std::max(ns_of(bucket.high), from + 1);
    // Buckets finer than a nanosecond fall together.
    if (!buckets.empty() && from < buckets.back().to_ns) {
      buckets.back().to_ns = std::max(buckets.back().to_ns, to);
      buckets.back().count += bucket.count;
    } else {
      buckets.push_back({from, to, bucket.count});
    }
  });
  LatencySummary summary = summarize(std::move(buckets));
  if (summary.count == 0) return summary;
  summary.min_ns = ns_of(ticks.min());
  summary.max_ns = std::max(summary.min_ns, ns_of(ticks.max()));
  summary.mean_ns = ticks.mean() * 1e9 / static_cast<double>(ticks_per_second());
  for (LatencyPercentile& percentile : summary.percentiles)
    percentile.latency_ns = summary.percentile(percentile.percent);
  return summary;
}

BenchJob::BenchJob(const BenchPlan& plan, const BenchPhase& phase, std::vector<CoreId> cores)
    : plan_(plan), phase_(phase), cores_(std::move(cores)), verifies_(plan.verify || phase.workload.verifies) {}

Task<> BenchJob::open(std::string name, Access access) {
  name_ = std::move(name);
  device_.emplace(co_await BdevDesc::open(name_, access));
  plan_lanes();
}

void BenchJob::plan_lanes() {
  const std::uint32_t block_size = device_->block_size();
  const std::uint64_t device_bytes = device_->size().value;
  if (plan_.io_bytes % block_size != 0) {
    throw Failure::usage(fmt::format("I/O size {} is no multiple of the block size of {}, {} bytes",
                                     format_bytes(ByteCount{plan_.io_bytes}), name_, block_size),
                         fmt::format("--io-size {}", (plan_.io_bytes / block_size + 1) * block_size));
  }
  for (const auto& [type, wanted] : {std::pair{bdev::IoType::read, phase_.workload.reads || verifies_},
                                     std::pair{bdev::IoType::write, phase_.workload.writes}}) {
    if (wanted && !device_->supports(type)) {
      throw Failure{fmt::format("{} does not support {}", name_, bdev::to_string(type))};
    }
  }
  if (verifies_ && block_size < min_pattern_bytes) {
    throw Failure{fmt::format("blocks of {} bytes are too small for verification", block_size)};
  }
  const std::uint64_t span = plan_.span_bytes == 0 ? device_bytes : std::min(plan_.span_bytes, device_bytes);
  const std::uint64_t units = span / plan_.io_bytes;
  if (units < cores_.size()) {
    throw Failure{fmt::format("{} of {} is too small for I/Os of {} on {} cores", format_bytes(ByteCount{span}), name_,
                              format_bytes(ByteCount{plan_.io_bytes}), cores_.size())};
  }
  if (verifies_ && units > most_verified_units) {
    throw Failure{fmt::format("{} is too large to keep track of every write", name_),
                  fmt::format("--span {}", format_bytes(ByteCount{most_verified_units * plan_.io_bytes}))};
  }

  config_ = {.bdev = name_,
             .product = device_->bdev().product_name(),
             .block_size = block_size,
             .num_blocks = device_->num_blocks().value,
             .workload = std::string{phase_.workload.name},
             .io_size_bytes = plan_.io_bytes,
             .queue_depth = phase_.queue_depth,
             .read_percent = !phase_.workload.writes  ? 100
                             : !phase_.workload.reads ? 0
                                                      : plan_.read_percent,
             .runtime_s = plan_.runtime_s,
             .warmup_s = plan_.warmup_s,
             .total_bytes = plan_.total_bytes,
             .rate_iops = plan_.rate_iops,
             .seed = plan_.seed,
             .verify = verifies_};

  const std::uint64_t lanes = cores_.size();
  const bool shared_range = phase_.workload.random && !verifies_;
  for (std::uint64_t i = 0; i < lanes; ++i) {
    config_.cores.push_back(static_cast<unsigned>(cores_[i]));
    IoWorkerPlan worker{.device = &*device_,
                        .workload = phase_.workload,
                        .queue_depth = phase_.queue_depth,
                        .blocks_per_io = static_cast<std::uint32_t>(plan_.io_bytes / block_size),
                        .first_unit = 0,
                        .num_units = units,
                        .read_percent = plan_.read_percent,
                        .verify = verifies_,
                        .run_id = Random{plan_.seed + 1}.next(),
                        .seed = plan_.seed * 1024 + i,
                        .max_ios = (plan_.total_bytes / plan_.io_bytes + lanes - 1) / lanes,
                        .ios_per_second = static_cast<double>(plan_.rate_iops) / static_cast<double>(lanes),
                        .latency = plan_.latency,
                        .stop_on_error = plan_.stop_on_error};
    if (!shared_range) {
      // Lanes that would get into each other's way have a part of the device each.
      worker.first_unit = units * i / lanes;
      worker.num_units = units * (i + 1) / lanes - worker.first_unit;
    }
    Lane lane;
    lane.worker = std::make_unique<IoWorker>(worker);
    const auto core = static_cast<unsigned>(cores_[i]);
    lane.thread = std::make_unique<Thread>(Thread::create(fmt::format("bench_{}_{}", name_, core), CpuSet{core}));
    lanes_.push_back(std::move(lane));
  }
}

void BenchJob::start() {
  for (Lane& lane : lanes_) lane.running = lane.thread->spawn(lane.worker->run(), "bench");
}

Task<> BenchJob::begin_measuring() {
  for (Lane& lane : lanes_) {
    // A worker that could not start is found out by `stop`.
    const auto begin = [worker = lane.worker.get()] {
      worker->begin_measuring();
      return worker->start_ticks();
    };
    lane.start_ticks = co_await lane.thread->handle().call(begin);
  }
}

Task<std::vector<IoSnapshot>> BenchJob::snapshots() {
  std::vector<IoSnapshot> all;
  for (Lane& lane : lanes_) {
    const auto take = [worker = lane.worker.get()] { return worker->snapshot(); };
    IoSnapshot snapshot = co_await lane.thread->handle().call(take);
    all.push_back(std::move(snapshot));
  }
  co_return all;
}

Task<> BenchJob::take_sample() {
  std::vector<IoSnapshot> now = co_await snapshots();
  IntervalSample sample{.from_s = sampled_until_s_};
  LatencyHistogram interval;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const IoSnapshot& last = lanes_[i].last;
    sample.to_s = std::max(sample.to_s, seconds_of(now[i].moment.ticks - lanes_[i].start_ticks));
    sample.read.ios += now[i].moment.counts.reads - last.moment.counts.reads;
    sample.write.ios += now[i].moment.counts.writes - last.moment.counts.writes;
    interval.merge(difference(now[i].read_ticks, last.read_ticks));
    interval.merge(difference(now[i].write_ticks, last.write_ticks));
  }
  // The end of the last interval may follow the one before at once.
  if (sample.to_s - sample.from_s < 1e-3) co_return;
  sample.read.bytes = sample.read.ios * plan_.io_bytes;
  sample.write.bytes = sample.write.ios * plan_.io_bytes;
  if (interval.count() != 0) {
    sample.p50_ns = ns_of(interval.percentile(50));
    sample.p99_ns = ns_of(interval.percentile(99));
  }
  sampled_until_s_ = sample.to_s;
  samples_.push_back(sample);
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i].last = std::move(now[i]);
}

Task<> BenchJob::join_all() {
  std::exception_ptr failure;
  for (Lane& lane : lanes_) {
    if (!lane.running) continue;
    JoinHandle<> running = std::move(*lane.running);
    lane.running.reset();
    try {
      co_await std::move(running);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

Task<> BenchJob::stop() {
  for (Lane& lane : lanes_) {
    const auto end = [worker = lane.worker.get()] { worker->stop(); };
    co_await lane.thread->handle().call(end);
  }
  co_await join_all();
  co_await take_sample();
  finals_ = co_await snapshots();
}

Task<> BenchJob::read_back(App& app) {
  if (!verifies_ || !phase_.workload.writes) co_return;
  for (Lane& lane : lanes_) {
    if (lane.worker->counts().errors == 0) lane.running = lane.thread->spawn(lane.worker->read_back(), "read back");
  }
  while (!done()) {
    if (app.stopping()) {
      for (Lane& lane : lanes_) {
        const auto end = [worker = lane.worker.get()] { worker->stop(); };
        co_await lane.thread->handle().call(end);
      }
      break;
    }
    co_await sleep_for(std::chrono::milliseconds{10});
  }
  co_await join_all();
}

Task<> BenchJob::close() {
  for (Lane& lane : lanes_) {
    if (lane.running) {
      const auto end = [worker = lane.worker.get()] { worker->stop(); };
      co_await lane.thread->handle().call(end);
    }
  }
  const auto ended = co_await as_result(join_all());
  if (!ended && first_error_.empty()) first_error_ = ended.error().what();
  for (Lane& lane : lanes_) {
    counts_at_close_.errors += lane.worker->counts().errors;
    counts_at_close_.verify_errors += lane.worker->counts().verify_errors;
    if (first_error_.empty()) first_error_ = lane.worker->first_error();
    // Buffers, channel and histograms belong to the worker's Thread.
    const auto drop = [&worker = lane.worker] { worker.reset(); };
    co_await lane.thread->handle().call(drop);
    co_await lane.thread->exit();
  }
  lanes_.clear();
  if (device_) co_await device_->close();
}

JobResult BenchJob::result(std::string name) const {
  JobResult result{.name = std::move(name), .config = config_};
  LatencyHistogram reads;
  LatencyHistogram writes;
  for (const IoSnapshot& snapshot : finals_) {
    result.read.ios += snapshot.moment.counts.reads;
    result.write.ios += snapshot.moment.counts.writes;
    result.cpu_s += static_cast<double>(snapshot.moment.cpu_ns) / 1e9;
    reads.merge(snapshot.read_ticks);
    writes.merge(snapshot.write_ticks);
  }
  result.elapsed_s = sampled_until_s_;
  result.read.bytes = result.read.ios * plan_.io_bytes;
  result.write.bytes = result.write.ios * plan_.io_bytes;
  result.errors = counts_at_close_.errors;
  result.verify_errors = counts_at_close_.verify_errors;
  result.first_error = first_error_;
  result.samples = samples_;
  LatencyHistogram all = reads;
  all.merge(writes);
  if (all.count() != 0) result.latency = summarize_ticks(all);
  if (reads.count() != 0 && writes.count() != 0) {
    result.read_latency = summarize_ticks(reads);
    result.write_latency = summarize_ticks(writes);
  }
  return result;
}

bool BenchJob::done() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return !lane.running || lane.running->done(); });
}

std::uint64_t BenchJob::live_ios() const {
  std::uint64_t sum = 0;
  for (const Lane& lane : lanes_) sum += lane.worker->live_ios();
  return sum;
}

std::uint64_t BenchJob::live_errors() const {
  std::uint64_t sum = 0;
  for (const Lane& lane : lanes_) sum += lane.worker->live_errors();
  return sum;
}

}  // namespace spdkio::tool
