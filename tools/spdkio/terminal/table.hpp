// Rows of aligned columns.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <string>
#include <vector>

namespace spdkio::tool {

enum class Align { left, right };

struct TableColumn {
  std::string title;
  Align align = Align::left;
};

struct TableCell {
  std::string text;
  Tone tone = Tone::plain;

  TableCell(std::string cell_text) : text(std::move(cell_text)) {}
  TableCell(const char* cell_text) : text(cell_text) {}
  TableCell(std::string cell_text, Tone cell_tone) : text(std::move(cell_text)), tone(cell_tone) {}
};

/// Collects rows, then prints them with every column as wide as its widest cell. No line ends in spaces, so that the
/// output pastes and compares well. Without any title there is no header line.
class Table {
 public:
  explicit Table(std::vector<TableColumn> columns, std::string indent = {})
      : columns_(std::move(columns)), indent_(std::move(indent)) {}

  /// Cells that are left out are empty; more cells than columns are refused by an assertion.
  void add_row(std::vector<TableCell> cells);
  bool empty() const { return rows_.empty(); }
  void print(const Terminal& terminal) const;

 private:
  std::vector<TableColumn> columns_;
  std::string indent_;
  std::vector<std::vector<TableCell>> rows_;
};

}  // namespace spdkio::tool
