#include "server/config/flag_parser.h"

#include <algorithm>
#include <fstream>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tessera {
namespace {

bool IsBool(const std::string& name) {
  const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  return flag != nullptr && flag->IsOfType<bool>();
}

// "--name" and "--name=value" taken apart. `*has_value` says which of them it was.
FlagAssignment SplitFlag(const std::string& argument, bool* has_value) {
  absl::string_view text = argument;
  absl::ConsumePrefix(&text, "-");
  absl::ConsumePrefix(&text, "-");
  FlagAssignment out;
  const size_t equals = text.find('=');
  *has_value = equals != absl::string_view::npos;
  out.name = std::string(text.substr(0, equals));
  if (*has_value) out.value = std::string(text.substr(equals + 1));
  std::replace(out.name.begin(), out.name.end(), '-', '_');
  out.origin = absl::StrCat("--", out.name);
  return out;
}

// Gives a flag without a value the one it stands for. False if it needs one.
bool FillBare(const std::vector<std::string>& bare, FlagAssignment* flag) {
  if (IsBool(flag->name) || std::find(bare.begin(), bare.end(), flag->name) != bare.end()) {
    flag->value = "true";
    return true;
  }
  if (flag->name.starts_with("no") && IsBool(flag->name.substr(2))) {
    flag->name = flag->name.substr(2);
    flag->value = "false";
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<CommandLine> SplitCommandLine(const std::vector<std::string>& arguments,
                                             const std::vector<std::string>& bare) {
  CommandLine line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      line.words.insert(line.words.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1,
                        arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      line.words.push_back(argument);
      continue;
    }
    bool has_value = false;
    FlagAssignment flag = SplitFlag(argument, &has_value);
    if (!has_value && !FillBare(bare, &flag)) {
      if (absl::FindCommandLineFlag(flag.name) == nullptr && flag.name != "flagfile") {
        return absl::InvalidArgumentError(absl::StrCat("there is no flag ", flag.origin));
      }
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(flag.origin, " needs a value"));
      }
      flag.value = arguments[++i];
    }
    line.assignments.push_back(std::move(flag));
  }
  return line;
}

absl::StatusOr<std::vector<FlagAssignment>> ReadFlagFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the flag file ", path));
  std::vector<FlagAssignment> out;
  std::string raw;
  for (int number = 1; std::getline(file, raw); ++number) {
    const std::string line(absl::StripAsciiWhitespace(raw));
    if (line.empty() || line[0] == '#') continue;
    const std::string origin = absl::StrCat(path, ":", number);
    bool has_value = false;
    FlagAssignment flag = SplitFlag(line, &has_value);
    if (line[0] != '-' || (!has_value && !FillBare({}, &flag))) {
      return absl::InvalidArgumentError(absl::StrCat(origin, ": '", line, "' is not --name=value"));
    }
    if (flag.name == "flagfile") {
      return absl::InvalidArgumentError(
          absl::StrCat(origin, ": a flag file cannot name another one"));
    }
    flag.origin = origin;
    out.push_back(std::move(flag));
  }
  if (file.bad()) return absl::NotFoundError(absl::StrCat("cannot read the flag file ", path));
  return out;
}

absl::Status SetFlag(const FlagAssignment& assignment) {
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(assignment.name);
  if (flag == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(assignment.origin, ": there is no flag --", assignment.name));
  }
  std::string error;
  if (!flag->ParseFrom(assignment.value, &error)) {
    return absl::InvalidArgumentError(absl::StrCat(assignment.origin, ": '", assignment.value,
                                                   "' is not a value for --", assignment.name,
                                                   error.empty() ? "" : ": ", error));
  }
  return absl::OkStatus();
}

}  // namespace tessera
