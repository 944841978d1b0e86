#ifndef TESSERA_CLIENT_CLI_SEARCH_RESULTS_H_
#define TESSERA_CLIENT_CLI_SEARCH_RESULTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "client/cli/context.h"
#include "client/cli/messages.h"
#include "tessera/v1/points.pb.h"

namespace tessera::cli {

// What is shown of each hit.
struct ResultColumns {
  std::vector<std::string> fields;  // members of the payload; none: the payload as it is
  bool payload = false;
  bool vectors = false;
  bool bounds = false;
  bool certain = false;
};

// Prints results as they come (a table each) or gathers them (one JSON document).
class Results {
 public:
  Results(Context& context, std::string collection, ResultColumns columns);

  void Add(const std::string& title, const Json& query, const v1::SearchResult& result);
  // Says how the searches of a response were done.
  void Explain(const v1::SearchResponse& response);
  void Finish();

 private:
  std::string Render(const v1::SearchResult& result) const;

  Context& context_;
  const std::string collection_;
  const ResultColumns columns_;
  Json documents_ = Json::array();
  Json explanations_ = Json::array();
  size_t count_ = 0;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_SEARCH_RESULTS_H_
