#ifndef TESSERA_CLIENT_CLI_TABLE_H_
#define TESSERA_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace tessera::cli {

enum class Align { kLeft, kRight };

// Rows of text under headings, in columns of their widest cell.
class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
    size_t width_max = 0;  // longer cells are cut; 0: never
  };

  explicit Table(std::vector<Column> columns);

  // One cell for each column.
  void AddRow(std::vector<std::string> cells);
  size_t rows() const { return rows_.size(); }

  // Every line ends with "\n" and has no spaces before it.
  std::string Render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_TABLE_H_
