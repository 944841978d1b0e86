#include "server/filter/payload_edit.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace tessera {
namespace {

// Cuts the text of valid JSON into tokens and values. What is no JSON is cut somehow, up to its
// end.
//
// Payloads are edited as texts, so that what nobody asked to change stays as it is to the byte:
// parsed numbers would come back with the digits of a double.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool AtEnd() {
    SkipBlanks();
    return rest_.empty();
  }
  // Whether `c` comes next; goes on behind it if so.
  bool Skip(char c) {
    SkipBlanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view Value() {
    SkipBlanks();
    if (rest_.empty()) return rest_;
    size_t end = 1;
    if (rest_[0] == '"') {
      end = StringEnd(0);
    } else if (rest_[0] == '{' || rest_[0] == '[') {
      end = NestedEnd();
    } else {
      while (end < rest_.size() && !EndsNumber(rest_[end])) ++end;
    }
    end = std::min(end, rest_.size());
    const std::string_view value = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return value;
  }

 private:
  static bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  // Or a literal.
  static bool EndsNumber(char c) {
    return IsBlank(c) || c == ',' || c == ':' || c == ']' || c == '}';
  }

  void SkipBlanks() {
    while (!rest_.empty() && IsBlank(rest_[0])) rest_.remove_prefix(1);
  }
  // Of the string that begins at `at`.
  size_t StringEnd(size_t at) const {
    for (++at; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\') ++at;
    }
    return at + 1;
  }
  // Of the object or array that comes next.
  size_t NestedEnd() const {
    size_t depth = 0;
    for (size_t at = 0; at < rest_.size();) {
      const char c = rest_[at];
      if (c == '"') {
        at = StringEnd(at);
        continue;
      }
      ++at;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return at;
    }
    return rest_.size();
  }

  std::string_view rest_;
};

struct Member {
  std::string_view name;
  std::string_view quoted_name;  // as it is written
  std::string_view value;
};

// Members of one object or of several, each name once: a later value takes the place of an earlier
// one. The texts must outlive it.
class Members {
 public:
  Members() = default;
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  // Those whose names are wanted.
  template <class IsWanted>
  void Add(std::string_view object, IsWanted is_wanted) {
    Reader reader(object);
    if (!reader.Skip('{')) return;
    while (!reader.Skip('}') && !reader.AtEnd()) {
      Member member;
      member.quoted_name = reader.Value();
      member.name = Unquoted(member.quoted_name);
      reader.Skip(':');
      member.value = reader.Value();
      reader.Skip(',');
      if (is_wanted(member.name)) Set(member);
    }
  }
  void Add(std::string_view object) {
    Add(object, [](std::string_view) { return true; });
  }
  const std::vector<Member>& list() const { return members_; }

 private:
  struct NameHash {
    const std::vector<Member>& members;
    size_t operator()(uint32_t i) const { return absl::Hash<std::string_view>()(members[i].name); }
  };
  struct SameName {
    const std::vector<Member>& members;
    bool operator()(uint32_t a, uint32_t b) const { return members[a].name == members[b].name; }
  };

  void Set(const Member& member) {
    members_.push_back(member);
    const auto [place, is_new] = by_name_.insert(static_cast<uint32_t>(members_.size() - 1));
    if (is_new) return;
    members_.pop_back();
    members_[*place].value = member.value;
  }

  std::string_view Unquoted(std::string_view quoted) {
    if (quoted.find('\\') != std::string_view::npos) {
      const auto json = nlohmann::json::parse(quoted, nullptr, /*allow_exceptions=*/false);
      if (json.is_string()) return unescaped_.emplace_back(json.get<std::string>());
    }
    if (quoted.starts_with('"')) quoted.remove_prefix(1);
    if (quoted.ends_with('"')) quoted.remove_suffix(1);
    return quoted;
  }

  std::vector<Member> members_;
  // Of their places in the list: a table of names would be as large as the list.
  absl::flat_hash_set<uint32_t, NameHash, SameName> by_name_{0, {members_}, {members_}};
  std::deque<std::string> unescaped_;
};

void AppendName(const Member& member, std::string* out) {
  out->append(member.quoted_name);
  *out += ':';
}

// Paths of fields, sorted, that are the same up to some part.
using Paths = std::span<const std::vector<std::string>* const>;

// Orders paths that are the same up to some part by that part, and names among them.
struct ByPart {
  size_t part;
  bool operator()(const std::vector<std::string>* path, std::string_view name) const {
    return (*path)[part] < name;
  }
  bool operator()(std::string_view name, const std::vector<std::string>* path) const {
    return name < (*path)[part];
  }
};

// Those whose part `depth` is `name`.
Paths GoingOn(Paths paths, size_t depth, std::string_view name) {
  const auto found = std::equal_range(paths.begin(), paths.end(), name, ByPart{depth});
  return Paths(found.first, found.second);
}

// Keeps what lies at the paths of some fields, or what does not.
class Cut {
 public:
  enum class Keeps { kFields, kOthers };

  Cut(const std::vector<FieldPath>& fields, Keeps keeps) : keeps_(keeps) {
    for (const FieldPath& field : fields) paths_.push_back(&field.parts());
    std::sort(paths_.begin(), paths_.end(), [](const auto* a, const auto* b) { return *a < *b; });
  }

  std::string Of(std::string_view payload) {
    if (payload.empty() || paths_.empty()) return std::string(payload);
    AppendObject(payload, paths_, 0);
    return std::exchange(out_, "");
  }

 private:
  // Appends what is kept of a value that paths go through: of an array, through its elements.
  // False: nothing is.
  bool AppendPart(std::string_view value, Paths paths, size_t depth) {
    if (value.starts_with('{')) {
      AppendObject(value, paths, depth);
    } else if (value.starts_with('[')) {
      AppendArray(value, paths, depth);
    } else if (keeps_ == Keeps::kOthers) {
      out_ += value;
    } else {
      return false;
    }
    return true;
  }

  void AppendArray(std::string_view array, Paths paths, size_t depth) {
    Reader reader(array);
    reader.Skip('[');
    out_ += '[';
    const size_t begin = out_.size();
    while (!reader.Skip(']') && !reader.AtEnd()) {
      const size_t before = out_.size();
      if (before > begin) out_ += ',';
      if (!AppendPart(reader.Value(), paths, depth)) out_.resize(before);
      reader.Skip(',');
    }
    out_ += ']';
  }

  void AppendObject(std::string_view object, Paths paths, size_t depth) {
    Members members;
    members.Add(object, [&](std::string_view name) {
      return keeps_ == Keeps::kOthers || !GoingOn(paths, depth, name).empty();
    });
    out_ += '{';
    const size_t begin = out_.size();
    for (const Member& member : members.list()) {
      const size_t before = out_.size();
      if (before > begin) out_ += ',';
      AppendName(member, &out_);
      if (!AppendValue(member, paths, depth)) out_.resize(before);
    }
    out_ += '}';
  }

  // False: nothing of it is kept.
  bool AppendValue(const Member& member, Paths paths, size_t depth) {
    const Paths through = GoingOn(paths, depth, member.name);
    // What ends here sorts before what goes on.
    const bool ends = !through.empty() && through.front()->size() == depth + 1;
    if (!through.empty() && !ends) return AppendPart(member.value, through, depth + 1);
    if (ends != (keeps_ == Keeps::kFields)) return false;
    out_ += member.value;
    return true;
  }

  const Keeps keeps_;
  std::vector<const std::vector<std::string>*> paths_;
  std::string out_;
};

}  // namespace

std::string SelectPayload(std::string_view payload, const PayloadSelection& selection) {
  if (!selection.enabled || payload.empty()) return "";
  if (selection.include.empty()) return Cut(selection.exclude, Cut::Keeps::kOthers).Of(payload);
  const std::string included = Cut(selection.include, Cut::Keeps::kFields).Of(payload);
  return Cut(selection.exclude, Cut::Keeps::kOthers).Of(included);
}

std::string MergePayload(std::string_view payload, std::string_view update) {
  Members members;
  members.Add(payload);
  members.Add(update);
  std::string merged = "{";
  for (const Member& member : members.list()) {
    if (merged.size() > 1) merged += ',';
    AppendName(member, &merged);
    merged += member.value;
  }
  return merged + '}';
}

std::string DeleteFromPayload(std::string_view payload, const std::vector<FieldPath>& keys) {
  return Cut(keys, Cut::Keeps::kOthers).Of(payload);
}

}  // namespace tessera
