// A bench result as text in the terminal.
#pragma once

#include "spdkio/report/bench_result.hpp"
#include "spdkio/terminal/terminal.hpp"

namespace spdkio::tool {

/// A block with rates, histogram and percentiles per job; with more than three jobs a table instead.
void print_bench_result(const Terminal& terminal, const BenchResult& result);

}  // namespace spdkio::tool
