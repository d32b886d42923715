
#include "spdkio/cli/run_for_test.hpp"
#include "spdkio/report/bench_result.hpp"
#include "spdkio/system/fake_root.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/rpc/json.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace spdkio::tool {
namespace {

BenchResult result_of(const ProgramRun& run) { return bench_result_from_json(run.out, "output"); }

TEST(BenchCommand, TransfersExactlyWhatWasAskedFor) {
  const ProgramRun run =
      run_for_test({"bench", "malloc:8MiB", "--total", "4MiB", "-q", "8", "--json", "--latency", "all"});
  ASSERT_EQ(run.code, 0) << run.err;
  const BenchResult result = result_of(run);
  ASSERT_EQ(result.jobs.size(), 1U);
  const JobResult& job = result.jobs[0];
  EXPECT_EQ(job.read.ios, 1024U);
  EXPECT_EQ(job.read.bytes, 4U << 20);
  EXPECT_EQ(job.write.ios, 0U);
  EXPECT_EQ(job.errors, 0U);
  ASSERT_TRUE(job.latency.has_value());
  EXPECT_EQ(job.latency->count, 1024U);
  EXPECT_EQ(job.config.bdev, "malloc0");
  EXPECT_EQ(job.config.queue_depth, 8U);
  EXPECT_EQ(result.engine, "embedded");
}

TEST(BenchCommand, LatencyCanBeOff) {
  const ProgramRun run = run_for_test({"bench", "null:1MiB", "--total", "1MiB", "--latency", "off", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_FALSE(result_of(run).jobs[0].latency.has_value());
}

TEST(BenchCommand, WorkloadsAndDepthsRunOneAfterTheOther) {
  const ProgramRun run = run_for_test(
      {"bench", "malloc:1MiB", "malloc:2MiB", "-w", "read,randwrite", "-q", "1,4", "--total", "256KiB", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const BenchResult result = result_of(run);
  ASSERT_EQ(result.jobs.size(), 8U);
  EXPECT_EQ(result.jobs[0].name, "read q1 malloc0");
  EXPECT_EQ(result.jobs[7].name, "randwrite q4 malloc1");
  for (const JobResult& job : result.jobs) EXPECT_EQ(job.ios(), 64U) << job.name;
}

TEST(BenchCommand, MixFollowsThePercentage) {
  const ProgramRun run = run_for_test(
      {"bench", "null:64MiB", "-w", "randrw", "--read-percent", "80", "--total", "64MiB", "--seed", "5", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const JobResult job = result_of(run).jobs[0];
  EXPECT_EQ(job.ios(), 16'384U);
  EXPECT_NEAR(static_cast<double>(job.read.ios) / static_cast<double>(job.ios()), 0.8, 0.02);
}

TEST(BenchCommand, VerifiedWorkloadFindsNothingOnAGoodDevice) {
  for (const char* workload : {"verify", "rw", "write"}) {
    const ProgramRun run =
        run_for_test({"bench", "malloc:4MiB", "-w", workload, "--verify", "--total", "8MiB", "-s", "8KiB", "--json"});
    ASSERT_EQ(run.code, 0) << run.err;
    const JobResult job = result_of(run).jobs[0];
    EXPECT_TRUE(job.config.verify);
    EXPECT_GT(job.write.ios, 0U);
    EXPECT_EQ(job.verify_errors, 0U);
  }
}

TEST(BenchCommand, VerifiedWorkloadNoticesADeviceThatForgets) {
  const ProgramRun run = run_for_test({"bench", "null:4MiB", "-w", "verify", "--total", "4MiB", "--json"});
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("blocks with wrong data"), std::string::npos) << run.err;
  EXPECT_GT(result_of(run).jobs[0].verify_errors, 0U) << "the result is written all the same";
}

TEST(BenchCommand, FailedOperationsAreReportedWithTheirPlace) {
  FakeRoot folder;
  folder.file("/config.json", R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "Base", "num_blocks": 2048, "block_size": 512}},
      {"method": "bdev_error_create", "params": {"base_name": "Base"}},
      {"method": "bdev_error_inject_error", "params": {"name": "EE_Base", "io_type": "read", "error_type": "failure", "num": 3}}]}]})");
  const std::string config = (folder.path() / "config.json").string();
  const ProgramRun stops = run_for_test({"bench", "-c", config, "EE_Base", "--total", "1MiB", "--json"});
  EXPECT_EQ(stops.code, 1);
  EXPECT_NE(stops.err.find("EE_Base"), std::string::npos) << stops.err;
  EXPECT_GE(result_of(stops).jobs[0].errors, 1U);

  const ProgramRun goes_on =
      run_for_test({"bench", "-c", config, "EE_Base", "--total", "1MiB", "--continue-on-error", "--json"});
  EXPECT_EQ(goes_on.code, 1);
  EXPECT_EQ(result_of(goes_on).jobs[0].errors, 3U);
  EXPECT_EQ(result_of(goes_on).jobs[0].read.ios, 253U);
}

TEST(BenchCommand, FillLeavesDataInEveryBlockOfTheSpan) {
  FakeRoot folder;
  // Two writes and a bit.
  folder.file("/disk.img", std::string((2 << 20) + 1024, '\0'));
  const std::string path = (folder.path() / "disk.img").string();
  const ProgramRun run =
      run_for_test({"bench", path, "--fill", "--overwrite", "--span", "2097664", "--total", "64KiB", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  std::ifstream file{path, std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{file}, {}};
  const std::string empty(512, '\0');
  for (std::size_t offset = 0; offset < content.size(); offset += 512) {
    EXPECT_EQ(content.compare(offset, 512, empty) == 0, offset >= 2'097'664) << offset;
  }
  EXPECT_EQ(result_of(run).jobs[0].ios(), 16U) << "filling is not measured";
}

TEST(BenchCommand, FilesAreNotOverwrittenByAccident) {
  FakeRoot folder;
  folder.file("/disk.img", std::string(1 << 20, 'x'));
  const std::string path = (folder.path() / "disk.img").string();
  const ProgramRun refused = run_for_test({"bench", path, "-w", "randwrite", "--total", "64KiB"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--overwrite"), std::string::npos);
  EXPECT_EQ(run_for_test({"bench", path, "--fill", "--total", "64KiB"}).code, 2);
  EXPECT_EQ(run_for_test({"bench", path, "--total", "64KiB", "--json"}).code, 0) << "reading needs no permission";
  const ProgramRun allowed = run_for_test({"bench", path, "-w", "verify", "--overwrite", "--total", "1MiB", "--json"});
  EXPECT_EQ(allowed.code, 0) << allowed.err;
}

TEST(BenchCommand, SavesResultAndReport) {
  FakeRoot folder;
  const std::string json = (folder.path() / "run.json").string();
  const std::string html = (folder.path() / "run.html").string();
  const ProgramRun run =
      run_for_test({"bench", "malloc:1MiB", "-w", "randrw", "--total", "1MiB", "-o", json, "--html", html});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("IOPS"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("p99.9 "), std::string::npos) << run.out;
  EXPECT_EQ(bench_result_from_json(*SystemRoot{folder.path()}.text("/run.json"), "run.json").jobs.size(), 1U);
  EXPECT_NE(SystemRoot{folder.path()}.text("/run.html")->find("<svg"), std::string::npos);
  EXPECT_EQ(run_for_test({"report", json, json}).code, 0);
}

TEST(BenchCommand, PlansThatDoNotFitAreRefused) {
  const auto refused = [](std::vector<std::string> args, int code, std::string_view part) {
    args.insert(args.begin(), "bench");
    const ProgramRun run = run_for_test(args);
    EXPECT_EQ(run.code, code) << run.err;
    EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  };
  refused({"malloc:1MiB", "-s", "1000"}, 2, "--io-size 1024");
  refused({"malloc:1MiB", "-s", "0"}, 2, "--io-size");
  refused({"malloc:1MiB", "-s", "4MB"}, 2, "4MB");
  refused({"malloc:1MiB", "-s", "2MiB"}, 1, "too small");
  refused({"malloc:1MiB", "-q", "0"}, 2, "--queue-depth");
  refused({"malloc:1MiB", "-t", "0"}, 2, "--total");
  refused({"malloc:1MiB", "-t", "nan"}, 2, "--time");
  refused({"malloc:1MiB", "--total", "1KiB"}, 2, "less than one I/O");
  refused({"malloc:1MiB", "--read-percent", "101"}, 2, "--read-percent");
  refused({"malloc:1MiB", "-w", "scribble"}, 2, "scribble");
  refused({"malloc:1MiB", "--cores", "nonsense"}, 1, "nonsense");
  refused({"malloc:1MiB,name=a", "a"}, 2, "'a'");
  refused({"/nonexistent/disk.img"}, 1, "/nonexistent/disk.img");
  refused({}, 2, "DEVICE");
}

TEST(BenchCommand, ADeviceThatDoesNotSuitIsClosed) {
  std::string logged;
  log::set_sink([&](log::Level, std::string_view text) { logged += std::string(text) + "\n"; });
  const ProgramRun run = run_for_test({"bench", "malloc:64MiB", "malloc:1MiB", "-s", "2MiB"});
  log::set_sink({});
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_EQ(logged.find("without close"), std::string::npos) << logged;
}

}  // namespace
}  // namespace spdkio::tool
