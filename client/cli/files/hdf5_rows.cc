#include "client/cli/files/hdf5_rows.h"

#include <hdf5.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/files/raw_file.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// An object of the library, closed with the handle.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (ok()) close_(id_);
  }

  bool ok() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// What the library says of its last error, the cause before what it kept from.
std::string LastError() {
  std::string text;
  const auto append = [](unsigned depth, const H5E_error2_t* error, void* out) -> herr_t {
    if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, append, &text);
  return text.empty() ? "no reason given" : text;
}

absl::Status ReadError(const std::string& path, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", std::string(what), " cannot be read: ", LastError()));
}

// IEEE 754 half precision, which the library has no constant for.
Handle HalfType() {
  Handle half(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(half.id(), /*spos=*/15, /*epos=*/10, /*esize=*/5, /*mpos=*/0, /*msize=*/10);
  H5Tset_size(half.id(), 2);
  H5Tset_ebias(half.id(), 15);
  return half;
}

struct ElementRow {
  H5T_class_t kind;
  size_t bytes;
  bool has_sign;
  FileElement element;
};

constexpr std::array kElements = {
    ElementRow{H5T_FLOAT, 2, true, FileElement::kFloat16},
    ElementRow{H5T_FLOAT, 4, true, FileElement::kFloat32},
    ElementRow{H5T_FLOAT, 8, true, FileElement::kFloat64},
    ElementRow{H5T_INTEGER, 1, false, FileElement::kUint8},
    ElementRow{H5T_INTEGER, 1, true, FileElement::kInt8},
    ElementRow{H5T_INTEGER, 4, true, FileElement::kInt32},
    ElementRow{H5T_INTEGER, 4, false, FileElement::kUint32},
    ElementRow{H5T_INTEGER, 8, true, FileElement::kInt64},
    ElementRow{H5T_INTEGER, 8, false, FileElement::kUint64},
};

std::optional<FileElement> ElementOf(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const bool has_sign = kind == H5T_FLOAT || H5Tget_sign(type) == H5T_SGN_2;
  for (const ElementRow& row : kElements) {
    if (row.kind == kind && row.bytes == H5Tget_size(type) && row.has_sign == has_sign) {
      return row.element;
    }
  }
  return std::nullopt;
}

Handle MemoryType(FileElement element) {
  const auto copy = [](hid_t type) { return Handle(H5Tcopy(type), H5Tclose); };
  switch (element) {
    case FileElement::kFloat16:
      return HalfType();
    case FileElement::kFloat32:
      return copy(H5T_NATIVE_FLOAT);
    case FileElement::kFloat64:
      return copy(H5T_NATIVE_DOUBLE);
    case FileElement::kUint8:
      return copy(H5T_NATIVE_UINT8);
    case FileElement::kInt8:
      return copy(H5T_NATIVE_INT8);
    case FileElement::kInt32:
      return copy(H5T_NATIVE_INT32);
    case FileElement::kUint32:
      return copy(H5T_NATIVE_UINT32);
    case FileElement::kInt64:
      return copy(H5T_NATIVE_INT64);
    case FileElement::kUint64:
      return copy(H5T_NATIVE_UINT64);
  }
  return Handle();
}

class Hdf5Rows : public RowReader {
 public:
  Hdf5Rows(std::string path, const RowShape& shape, Handle file, Handle dataset)
      : RowReader(std::move(path), shape, /*cut_short=*/false),
        file_(std::move(file)),
        dataset_(std::move(dataset)),
        type_(MemoryType(shape.element)) {}

 protected:
  absl::Status ReadRows(uint64_t first, uint64_t rows, std::string* out) override {
    out->resize(rows * shape().row_bytes());
    const Handle in_file(H5Dget_space(dataset_.id()), H5Sclose);
    const std::array<hsize_t, 2> start = {first, 0};
    const std::array<hsize_t, 2> count = {rows, shape().dimension};
    const Handle in_memory(H5Screate_simple(shape().flat ? 1 : 2, count.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                            nullptr) < 0 ||
        H5Dread(dataset_.id(), type_.id(), in_memory.id(), in_file.id(), H5P_DEFAULT, out->data()) <
            0) {
      return ReadError(path(), absl::StrCat("row ", first, " and those after it"));
    }
    return absl::OkStatus();
  }

 private:
  const Handle file_;
  const Handle dataset_;
  const Handle type_;
};

// The names of the file's datasets, at its top.
std::string DatasetNames(hid_t file) {
  std::vector<std::string> names;
  const auto add = [](hid_t group, const char* name, const H5L_info_t*, void* out) -> herr_t {
    const Handle object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose);
    if (object.ok() && H5Iget_type(object.id()) == H5I_DATASET) {
      static_cast<std::vector<std::string>*>(out)->push_back(name);
    }
    return 0;
  };
  H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

// The name of a compression of the dataset that the library does not have; empty if it has all.
std::string MissingFilter(hid_t dataset) {
  const Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  const int filters = H5Pget_nfilters(properties.id());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    size_t values = 0;
    std::array<char, 64> name = {};
    const H5Z_filter_t filter = H5Pget_filter2(properties.id(), static_cast<unsigned>(i), &flags,
                                               &values, nullptr, name.size(), name.data(), nullptr);
    if (H5Zfilter_avail(filter) <= 0) {
      name.back() = '\0';
      return name.front() != '\0' ? name.data() : absl::StrCat("filter ", filter);
    }
  }
  return "";
}

absl::StatusOr<RowShape> ShapeOf(const std::string& path, hid_t dataset) {
  const auto refuse = [&](const std::string& message) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
  };
  RowShape shape;
  const std::string missing = MissingFilter(dataset);
  if (!missing.empty()) {
    return refuse(absl::StrCat("compressed by ", missing,
                               ", which is not to be had here; `h5repack -f GZIP=1` makes a copy "
                               "that is not"));
  }
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const std::optional<FileElement> element = ElementOf(type.id());
  if (!element.has_value()) return refuse("its components are no numbers of a known size");
  shape.element = *element;

  const Handle space(H5Dget_space(dataset), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank != 1 && rank != 2) {
    return refuse(absl::StrCat("it has ", rank, " dimensions; rows are (rows, dimension)"));
  }
  std::array<hsize_t, 2> extent = {0, 1};
  H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr);
  shape.flat = rank == 1;
  if (extent[1] < 1 || extent[1] > limits::kDimensionMax) {
    return refuse(
        absl::StrCat("dimension ", extent[1], " is not between 1 and ", limits::kDimensionMax));
  }
  shape.dimension = static_cast<uint32_t>(extent[1]);
  shape.rows = extent[0];
  // Rows that were never written take no room in the file, and would be made out of nothing.
  const uint64_t rows_at_most =
      H5Dget_storage_size(dataset) * limits::kDeflateRatioMax / shape.row_bytes();
  if (shape.rows > rows_at_most) {
    return refuse(absl::StrCat("states ", shape.rows, " rows, but holds ",
                               H5Dget_storage_size(dataset), " bytes"));
  }
  return shape;
}

}  // namespace

std::optional<Hdf5Path> ParseHdf5Path(std::string_view path) {
  const auto is_hdf5 = [](std::string_view file) {
    const std::string extension = ExtensionOf(file);
    return extension == "hdf5" || extension == "h5";
  };
  // Folders may have colons in their names, and so may datasets.
  size_t colon = path.find(':');
  while (colon != path.npos && !is_hdf5(path.substr(0, colon))) colon = path.find(':', colon + 1);
  if (colon != path.npos) {
    return Hdf5Path{std::string(path.substr(0, colon)), std::string(path.substr(colon + 1))};
  }
  if (is_hdf5(path)) return Hdf5Path{std::string(path), ""};
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<RowReader>> OpenHdf5Rows(const std::string& path,
                                                        const std::string& dataset_name) {
  // Says what is there in our words, and that it is no pipe, which the library would wait for.
  RETURN_IF_ERROR(RawFile::Open(path).status());
  // The library prints its errors otherwise.
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.ok()) return ReadError(path, "the file");
  const std::string full_name = absl::StrCat(path, ":", dataset_name);
  if (H5Lexists(file.id(), dataset_name.c_str(), H5P_DEFAULT) <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(full_name, ": there is no such dataset (",
                                                   DatasetNames(file.id()), "); name one by ", path,
                                                   ":NAME"));
  }
  Handle dataset(H5Dopen2(file.id(), dataset_name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) return ReadError(full_name, "the dataset");
  ASSIGN_OR_RETURN(const RowShape shape, ShapeOf(full_name, dataset.id()));
  return std::make_unique<Hdf5Rows>(full_name, shape, std::move(file), std::move(dataset));
}

}  // namespace tessera::cli
