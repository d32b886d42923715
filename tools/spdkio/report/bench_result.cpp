
#include "spdkio/report/bench_result.hpp"

#include "spdkio/cli/failure.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

namespace spdkio::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view schema_name = "spdkio.bench-result";

Json transfer_json(const Transfer& transfer, double seconds) {
  const double scale = seconds > 0 ? 1 / seconds : 0;
  return {{"ios", transfer.ios},
          {"bytes", transfer.bytes},
          {"iops", static_cast<double>(transfer.ios) * scale},
          {"bytes_per_second", static_cast<double>(transfer.bytes) * scale}};
}

Json latency_json(const LatencySummary& latency) {
  Json percentiles = Json::array();
  for (const auto& p : latency.percentiles)
    percentiles.push_back({{"percent", p.percent}, {"latency_ns", p.latency_ns}});
  Json buckets = Json::array();
  for (const auto& b : latency.buckets) buckets.push_back(Json::array({b.from_ns, b.to_ns, b.count}));
  return {{"count", latency.count},   {"min_ns", latency.min_ns},   {"mean_ns", latency.mean_ns},
          {"max_ns", latency.max_ns}, {"percentiles", percentiles}, {"buckets", buckets}};
}

Json sample_json(const IntervalSample& sample) {
  const double seconds = sample.to_s - sample.from_s;
  Json json = {{"from_s", sample.from_s},
               {"to_s", sample.to_s},
               {"read", transfer_json(sample.read, seconds)},
               {"write", transfer_json(sample.write, seconds)}};
  if (sample.p50_ns) json["p50_ns"] = *sample.p50_ns;
  if (sample.p99_ns) json["p99_ns"] = *sample.p99_ns;
  return json;
}

Json config_json(const JobConfig& config) {
  return {{"bdev", config.bdev},
          {"product", config.product},
          {"block_size", config.block_size},
          {"num_blocks", config.num_blocks},
          {"workload", config.workload},
          {"io_size_bytes", config.io_size_bytes},
          {"queue_depth", config.queue_depth},
          {"cores", config.cores},
          {"read_percent", config.read_percent},
          {"runtime_s", config.runtime_s},
          {"warmup_s", config.warmup_s},
          {"total_bytes", config.total_bytes},
          {"rate_iops", config.rate_iops},
          {"seed", config.seed},
          {"verify", config.verify}};
}

Json job_json(const JobResult& job) {
  Json samples = Json::array();
  for (const auto& sample : job.samples) samples.push_back(sample_json(sample));
  Json totals = {{"elapsed_s", job.elapsed_s},
                 {"read", transfer_json(job.read, job.elapsed_s)},
                 {"write", transfer_json(job.write, job.elapsed_s)},
                 {"errors", job.errors},
                 {"verify_errors", job.verify_errors},
                 {"cpu_s", job.cpu_s}};
  if (!job.first_error.empty()) totals["first_error"] = job.first_error;
  Json json = {{"name", job.name}, {"config", config_json(job.config)}, {"totals", totals}, {"samples", samples}};
  Json latency = Json::object();
  if (job.latency) latency["all"] = latency_json(*job.latency);
  if (job.read_latency) latency["read"] = latency_json(*job.read_latency);
  if (job.write_latency) latency["write"] = latency_json(*job.write_latency);
  if (!latency.empty()) json["latency"] = latency;
  return json;
}

Json machine_json(const MachineInfo& machine) {
  return {{"hostname", machine.hostname},         {"kernel", machine.kernel},
          {"distribution", machine.distribution}, {"cpu_model", machine.cpu_model},
          {"cpus_allowed", machine.cpus_allowed}, {"numa_nodes", machine.numa_nodes},
          {"memory_bytes", machine.memory_bytes}, {"virtual_machine", machine.virtual_machine},
          {"container", machine.container}};
}

// A place in a document that knows its path, so that a complaint can name it.
class Node {
 public:
  Node(const Json& json, std::string path) : json_(&json), path_(std::move(path)) {}

  [[noreturn]] void refuse(std::string_view why) const {
    throw Failure{fmt::format("{} {}", path_, why), "docs/formats/bench-result.md describes the format"};
  }

  const Json& json() const { return *json_; }
  bool has(const char* key) const { return json_->is_object() && json_->contains(key) && !(*json_)[key].is_null(); }
  Node at(const char* key) const {
    if (!json_->is_object()) refuse("is not an object");
    if (!has(key)) refuse(fmt::format("lacks '{}'", key));
    return {(*json_)[key], path_ + "." + key};
  }
  std::vector<Node> items() const {
    if (!json_->is_array()) refuse("is not a list");
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < json_->size(); ++i) nodes.emplace_back((*json_)[i], fmt::format("{}[{}]", path_, i));
    return nodes;
  }

  std::string text() const {
    if (!json_->is_string()) refuse("is not a string");
    return json_->get<std::string>();
  }
  bool flag() const {
    if (!json_->is_boolean()) refuse("is not true or false");
    return json_->get<bool>();
  }
  double real() const {
    if (!json_->is_number()) refuse("is not a number");
    const auto value = json_->get<double>();
    if (!std::isfinite(value) || value < 0) refuse("is negative or no number at all");
    return value;
  }
  template <class Unsigned = std::uint64_t>
  Unsigned whole() const {
    if (!json_->is_number_unsigned()) refuse("is not a whole number of zero or more");
    const auto value = json_->get<std::uint64_t>();
    if (value > std::numeric_limits<Unsigned>::max()) refuse("is too large");
    return static_cast<Unsigned>(value);
  }
  template <class T>
  std::vector<T> list() const {
    std::vector<T> values;
    for (const Node& item : items()) {
      if constexpr (std::is_same_v<T, std::string>) {
        values.push_back(item.text());
      } else {
        values.push_back(item.whole<T>());
      }
    }
    return values;
  }

 private:
  const Json* json_;
  std::string path_;
};

Transfer parse_transfer(const Node& node) { return {.ios = node.at("ios").whole(), .bytes = node.at("bytes").whole()}; }

LatencySummary parse_latency(const Node& node) {
  LatencySummary latency{.count = node.at("count").whole(),
                         .min_ns = node.at("min_ns").whole(),
                         .max_ns = node.at("max_ns").whole(),
                         .mean_ns = node.at("mean_ns").real()};
  for (const Node& item : node.at("percentiles").items()) {
    const double percent = item.at("percent").real();
    if (percent > 100) item.refuse("has a percent above 100");
    if (!latency.percentiles.empty() && percent <= latency.percentiles.back().percent) item.refuse("is out of order");
    latency.percentiles.push_back({percent, item.at("latency_ns").whole()});
  }
  for (const Node& item : node.at("buckets").items()) {
    const auto numbers = item.list<std::uint64_t>();
    if (numbers.size() != 3) item.refuse("is not [from, to, count]");
    const LatencyBucket bucket{numbers[0], numbers[1], numbers[2]};
    if (bucket.to_ns <= bucket.from_ns) item.refuse("is empty");
    if (!latency.buckets.empty() && bucket.from_ns < latency.buckets.back().to_ns) item.refuse("is out of order");
    if (bucket.count != 0) latency.buckets.push_back(bucket);
  }
  return latency;
}

IntervalSample parse_sample(const Node& node) {
  IntervalSample sample{.from_s = node.at("from_s").real(),
                        .to_s = node.at("to_s").real(),
                        .read = parse_transfer(node.at("read")),
                        .write = parse_transfer(node.at("write"))};
  if (sample.to_s <= sample.from_s) node.refuse("ends before it starts");
  if (node.has("p50_ns")) sample.p50_ns = node.at("p50_ns").whole();
  if (node.has("p99_ns")) sample.p99_ns = node.at("p99_ns").whole();
  return sample;
}

JobConfig parse_config(const Node& node) {
  return {.bdev = node.at("bdev").text(),
          .product = node.at("product").text(),
          .block_size = node.at("block_size").whole<std::uint32_t>(),
          .num_blocks = node.at("num_blocks").whole(),
          .workload = node.at("workload").text(),
          .io_size_bytes = node.at("io_size_bytes").whole(),
          .queue_depth = node.at("queue_depth").whole<std::uint32_t>(),
          .cores = node.at("cores").list<unsigned>(),
          .read_percent = node.at("read_percent").whole<std::uint32_t>(),
          .runtime_s = node.at("runtime_s").real(),
          .warmup_s = node.at("warmup_s").real(),
          .total_bytes = node.at("total_bytes").whole(),
          .rate_iops = node.at("rate_iops").whole(),
          .seed = node.at("seed").whole(),
          .verify = node.at("verify").flag()};
}

JobResult parse_job(const Node& node) {
  JobResult job;
  job.name = node.at("name").text();
  job.config = parse_config(node.at("config"));
  const Node totals = node.at("totals");
  job.elapsed_s = totals.at("elapsed_s").real();
  job.read = parse_transfer(totals.at("read"));
  job.write = parse_transfer(totals.at("write"));
  job.errors = totals.at("errors").whole();
  job.verify_errors = totals.at("verify_errors").whole();
  job.cpu_s = totals.at("cpu_s").real();
  if (totals.has("first_error")) job.first_error = totals.at("first_error").text();
  for (const Node& sample : node.at("samples").items()) job.samples.push_back(parse_sample(sample));
  if (node.has("latency")) {
    const Node latency = node.at("latency");
    if (latency.has("all")) job.latency = parse_latency(latency.at("all"));
    if (latency.has("read")) job.read_latency = parse_latency(latency.at("read"));
    if (latency.has("write")) job.write_latency = parse_latency(latency.at("write"));
  }
  return job;
}

MachineInfo parse_machine(const Node& node) {
  return {.hostname = node.at("hostname").text(),
          .kernel = node.at("kernel").text(),
          .distribution = node.at("distribution").text(),
          .cpu_model = node.at("cpu_model").text(),
          .cpus_allowed = node.at("cpus_allowed").list<unsigned>(),
          .numa_nodes = node.at("numa_nodes").whole<unsigned>(),
          .memory_bytes = node.at("memory_bytes").whole(),
          .virtual_machine = node.at("virtual_machine").flag(),
          .container = node.at("container").text()};
}

}  // namespace

Json to_json(const BenchResult& result) {
  Json jobs = Json::array();
  for (const auto& job : result.jobs) jobs.push_back(job_json(job));
  return {{"schema", schema_name},
          {"schema_version", BenchResult::schema_version},
          {"tool", {{"name", "spdkio"}, {"version", result.tool_version}}},
          {"started_at", result.started_at},
          {"engine", {{"name", result.engine}}},
          {"command", result.command},
          {"machine", machine_json(result.machine)},
          {"jobs", jobs}};
}

BenchResult bench_result_from_json(std::string_view text, std::string_view source_name) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Failure{fmt::format("{} is not JSON: {}", source_name, error.what()), "'spdkio bench --json' writes results"};
  }
  const Node root{json, std::string{source_name}};
  if (!root.has("schema") || root.at("schema").json() != schema_name) {
    throw Failure{fmt::format("{} is not a result of 'spdkio bench'", source_name),
                  fmt::format("its member 'schema' should be '{}'", schema_name)};
  }
  const auto version = root.at("schema_version").whole<int>();
  if (version != BenchResult::schema_version) {
    throw Failure{fmt::format("{} has schema version {}, this program reads version {}", source_name, version,
                              BenchResult::schema_version),
                  "use the version of spdkio that wrote it"};
  }
  BenchResult result;
  result.tool_version = root.at("tool").at("version").text();
  result.started_at = root.at("started_at").text();
  result.engine = root.at("engine").at("name").text();
  result.command = root.at("command").list<std::string>();
  result.machine = parse_machine(root.at("machine"));
  for (const Node& job : root.at("jobs").items()) result.jobs.push_back(parse_job(job));
  return result;
}

}  // namespace spdkio::tool
