// One HTML page about one or several bench runs.
#pragma once

#include "spdkio/report/bench_result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

struct ReportInput {
  std::string label;  ///< tells the runs of several files apart, usually the file's name
  BenchResult result;
};

/// A complete, self-contained page. Runs without any job make a page that says so. An empty title is replaced by one
/// that names the runs.
std::string report_html(const std::vector<ReportInput>& inputs, std::string_view title = {});

}  // namespace spdkio::tool
