
#include "spdkio/report/bench_result.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/report/example_results.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace spdkio::tool {
namespace {

using Json = nlohmann::ordered_json;

std::string refusal(const Json& json) {
  try {
    bench_result_from_json(json.dump(), "run.json");
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(BenchResult, ComesBackAsItWas) {
  const BenchResult result = example_result();
  EXPECT_EQ(bench_result_from_json(to_json(result).dump(), "run.json"), result);
}

TEST(BenchResult, WithoutLatencyComesBackWithout) {
  BenchResult result = example_result();
  result.jobs[0].latency.reset();
  result.jobs[0].samples[0].p99_ns.reset();
  const Json json = to_json(result);
  EXPECT_FALSE(json["jobs"][0]["latency"].contains("all"));
  EXPECT_EQ(bench_result_from_json(json.dump(), "run.json"), result);
}

TEST(BenchResult, DerivedRatesAreThere) {
  const Json json = to_json(example_result());
  const auto& totals = json["jobs"][0]["totals"];
  EXPECT_DOUBLE_EQ(totals["read"]["iops"].get<double>(),
                   totals["read"]["ios"].get<double>() / totals["elapsed_s"].get<double>());
}

TEST(BenchResult, UnknownMembersAreIgnored) {
  Json json = to_json(example_result());
  json["colour"] = "green";
  json["jobs"][0]["config"]["colour"] = 3;
  EXPECT_EQ(refusal(json), "accepted");
}

TEST(BenchResult, EveryMemberThatIsMissingIsNamed) {
  const Json good = to_json(example_result());
  for (const char* path :
       {"/engine", "/machine/kernel", "/jobs/0/config/bdev", "/jobs/0/totals/read/ios", "/jobs/0/samples/0/to_s",
        "/jobs/0/latency/all/buckets", "/jobs/0/latency/all/percentiles/0/percent"}) {
    Json bad = good;
    const nlohmann::ordered_json::json_pointer pointer{path};
    bad[pointer.parent_pointer()].erase(pointer.back());
    EXPECT_NE(refusal(bad).find("'" + pointer.back() + "'"), std::string::npos) << path << ": " << refusal(bad);
  }
}

TEST(BenchResult, WrongTypesAndRangesAreRefusedByPath) {
  const Json good = to_json(example_result());
  const auto with = [&](const char* path, const Json& value) {
    Json bad = good;
    bad[nlohmann::ordered_json::json_pointer{path}] = value;
    return refusal(bad);
  };
  EXPECT_EQ(with("/jobs/0/totals/errors", -1), "run.json.jobs[0].totals.errors is not a whole number of zero or more");
  EXPECT_EQ(with("/jobs/0/totals/errors", "3"), "run.json.jobs[0].totals.errors is not a whole number of zero or more");
  EXPECT_EQ(with("/jobs/0/config/queue_depth", 1ULL << 40), "run.json.jobs[0].config.queue_depth is too large");
  EXPECT_EQ(with("/jobs/0/totals/elapsed_s", -1.5),
            "run.json.jobs[0].totals.elapsed_s is negative or no number at all");
  EXPECT_EQ(with("/jobs", 3), "run.json.jobs is not a list");
  EXPECT_EQ(with("/jobs/0", 3), "run.json.jobs[0] is not an object");
  EXPECT_EQ(with("/jobs/0/samples/0/to_s", 0.0), "run.json.jobs[0].samples[0] ends before it starts");
  EXPECT_EQ(with("/jobs/0/latency/all/buckets/0", Json::array({5, 5, 1})),
            "run.json.jobs[0].latency.all.buckets[0] is empty");
  EXPECT_EQ(with("/jobs/0/latency/all/buckets/1", Json::array({0, 1, 1})),
            "run.json.jobs[0].latency.all.buckets[1] is out of order");
  EXPECT_EQ(with("/jobs/0/latency/all/buckets/0", Json::array({1, 2})),
            "run.json.jobs[0].latency.all.buckets[0] is not [from, to, count]");
}

TEST(BenchResult, OtherDocumentsAreRefused) {
  EXPECT_NE(refusal(Json::object()).find("is not a result"), std::string::npos);
  EXPECT_NE(refusal(Json(3)).find("is not a result"), std::string::npos);
  Json newer = to_json(example_result());
  newer["schema_version"] = 2;
  EXPECT_NE(refusal(newer).find("schema version 2"), std::string::npos);
  EXPECT_THROW(bench_result_from_json("{", "run.json"), Failure);
}

}  // namespace
}  // namespace spdkio::tool
