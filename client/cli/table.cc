#include "client/cli/table.h"

#include <algorithm>
#include <utility>

#include "client/cli/format.h"

namespace tessera::cli {

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i] = Printable(cells[i]);
    if (columns_[i].width_max > 0) cells[i] = Ellipsize(cells[i], columns_[i].width_max);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = DisplayWidth(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  std::string result;
  const auto add_cell = [&](size_t column, const std::string& cell) {
    const std::string padding(widths[column] - DisplayWidth(cell), ' ');
    if (column > 0) result += "  ";
    result += columns_[column].align == Align::kRight ? padding + cell : cell + padding;
  };
  const auto end_line = [&] {
    result.resize(result.find_last_not_of(' ') + 1);
    result += '\n';
  };
  for (size_t i = 0; i < columns_.size(); ++i) add_cell(i, columns_[i].heading);
  end_line();
  for (const auto& row : rows_) {
    for (size_t i = 0; i < columns_.size(); ++i) add_cell(i, row[i]);
    end_line();
  }
  return result;
}

}  // namespace tessera::cli
