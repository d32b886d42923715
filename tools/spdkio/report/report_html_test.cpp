
#include "spdkio/report/report_html.hpp"

#include "spdkio/report/example_results.hpp"
#include "spdkio/report/svg_chart.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace spdkio::tool {
namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

// Every element that is opened is closed, in order. Enough of a parser for pages that we write ourselves.
std::string first_unbalanced(const std::string& html) {
  static const std::set<std::string> empty_elements{"meta", "br"};
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    if (html.compare(at, 2, "<!") == 0) {
      ++at;
      continue;
    }
    const bool closing = html[at + 1] == '/';
    const std::size_t start = at + (closing ? 2 : 1);
    const std::size_t name_end = html.find_first_of(" >/\n", start);
    const std::string name = html.substr(start, name_end - start);
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return name;
    at = end + 1;
    if (closing) {
      if (open.empty() || open.back() != name) return "/" + name;
      open.pop_back();
    } else if (html[end - 1] != '/' && !empty_elements.contains(name)) {
      open.push_back(name);
      if (name == "script" || name == "style") at = html.find("</" + name, at);
    }
  }
  return open.empty() ? "" : open.back();
}

TEST(ReportHtml, OneRunHasTilesChartsAndTables) {
  const std::string page = report_html({{"run", example_result()}});
  EXPECT_EQ(first_unbalanced(page), "");
  EXPECT_EQ(count(page, "class=\"tile\""), 6U);
  EXPECT_EQ(count(page, "<figure class=\"chart\">"), 5U) << "IOPS, bandwidth, p99, percentiles, distribution";
  EXPECT_NE(page.find("4 KiB randrw on Malloc0, depth 32"), std::string::npos);
  EXPECT_NE(page.find("randrw, 70 % reads"), std::string::npos);
  EXPECT_EQ(count(page, "class=\"alert\""), 0U);
}

TEST(ReportHtml, SeveralRunsAreCompared) {
  const std::string page = report_html({{"before", example_result()}, {"after", example_result(2.4e6, 12'000, 100)}});
  EXPECT_EQ(first_unbalanced(page), "");
  EXPECT_EQ(count(page, "class=\"tile\""), 0U);
  EXPECT_NE(page.find("<td>before</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>after</td>"), std::string::npos);
  EXPECT_EQ(count(page, "Latency distribution, "), 4U) << "title and label of two drawings";
}

TEST(ReportHtml, NothingIsFetched) {
  const std::string page = report_html({{"run", example_result()}});
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* mark : {"src=", "href=", "@import", "url("}) EXPECT_EQ(count(page, mark), 0U) << mark;
  std::string without_namespace = page;
  const std::string svg = "http://www.w3.org/2000/svg";
  for (std::size_t at; (at = without_namespace.find(svg)) != std::string::npos;)
    without_namespace.erase(at, svg.size());
  EXPECT_EQ(count(without_namespace, "http"), 1U) << "only the policy's http-equiv";
}

TEST(ReportHtml, ForeignTextStaysText) {
  BenchResult result = example_result();
  result.machine.cpu_model = "<script>alert(1)</script>";
  result.jobs[0].name = "</script><img onerror=x>";
  result.jobs[0].first_error = "\"quoted\" & <b>";
  result.jobs[0].errors = 1;
  const std::string page = report_html({{"<i>a", result}, {"b", example_result()}}, "<h1>");
  EXPECT_EQ(first_unbalanced(page), "");
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("<i>a"), std::string::npos);
  EXPECT_NE(page.find("&quot;quoted&quot; &amp; &lt;b&gt;"), std::string::npos);
}

TEST(ReportHtml, ErrorsStandOut) {
  BenchResult result = example_result();
  result.jobs[0].verify_errors = 7;
  const std::string page = report_html({{"run", result}});
  EXPECT_NE(page.find("7 blocks with wrong data"), std::string::npos);
  EXPECT_EQ(count(page, "class=\"alert\""), 1U);
}

TEST(ReportHtml, EmptyAndBareResultsMakeAPage) {
  EXPECT_NE(report_html({}).find("No job ran."), std::string::npos);
  BenchResult bare;
  bare.jobs.emplace_back();
  const std::string page = report_html({{"run", bare}});
  EXPECT_EQ(first_unbalanced(page), "");
  EXPECT_EQ(count(page, "<figure"), 0U);
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

TEST(SvgChart, PointsStayInsideTheDrawing) {
  LineChart chart{.title = "t", .x = {AxisUnit::seconds}, .y = {AxisUnit::count}};
  chart.series.push_back({.name = "a", .points = {{0.5, 0}, {1.5, 1e9}, {2.5, std::nan("")}, {3.5, 5}}});
  const std::string svg = render(chart);
  const std::regex pair{"[ML]([-0-9.]+) ([-0-9.]+)"};
  const std::size_t start = svg.find("<path class=\"line");
  const std::string path = svg.substr(start, svg.find('>', start) - start);
  std::size_t points = 0;
  for (std::sregex_iterator at{path.begin(), path.end(), pair}, end; at != end; ++at, ++points) {
    EXPECT_GE(std::stod((*at)[1]), 78);
    EXPECT_LE(std::stod((*at)[1]), 604);
    EXPECT_GE(std::stod((*at)[2]), 14);
    EXPECT_LE(std::stod((*at)[2]), 226);
  }
  EXPECT_EQ(points, 3U) << "the point that is no number is left out";
}

TEST(SvgChart, NothingToDrawIsNothing) {
  EXPECT_EQ(render(LineChart{.series = {{.name = "a", .points = {}}}}), "");
  EXPECT_EQ(render(HistogramChart{.bars = {{1, 2, 0}}}), "");
}

TEST(SvgChart, LogAxisLeavesOutZeros) {
  LineChart chart{.x = {AxisUnit::seconds}, .y = {AxisUnit::latency_ns, AxisScale::log}};
  chart.series.push_back({.name = "a", .points = {{0, 0}, {1, 1000}}});
  EXPECT_NE(render(chart).find("<circle"), std::string::npos) << "one point is left and shows as a dot";
}

}  // namespace
}  // namespace spdkio::tool
