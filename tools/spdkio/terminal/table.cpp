
#include "spdkio/terminal/table.hpp"

#include <algorithm>
#include <cassert>

namespace spdkio::tool {

void Table::add_row(std::vector<TableCell> cells) {
  assert(cells.size() <= columns_.size());
  cells.resize(columns_.size(), TableCell{""});
  rows_.push_back(std::move(cells));
}

void Table::print(const Terminal& terminal) const {
  std::vector<std::size_t> widths;
  bool titled = false;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    titled = titled || width != 0;
    for (const auto& row : rows_) width = std::max(width, display_width(row[i].text));
    widths.push_back(width);
  }

  const auto print_row = [&](auto&& cell_of) {
    std::string line;
    std::size_t owed = 0;  // spaces that are written only if something follows
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const TableCell cell = cell_of(i);
      const std::size_t padding = widths[i] - display_width(cell.text);
      if (columns_[i].align == Align::right) owed += padding;
      if (!cell.text.empty()) {
        line.append(owed, ' ');
        owed = 0;
        line += terminal.paint(cell.tone, cell.text);
      }
      owed += (columns_[i].align == Align::left ? padding : 0) + 2;
    }
    terminal.line(line.empty() ? line : indent_ + line);
  };

  if (titled) print_row([&](std::size_t i) { return TableCell{columns_[i].title, Tone::dim}; });
  for (const auto& row : rows_) print_row([&](std::size_t i) { return row[i]; });
}

}  // namespace spdkio::tool
