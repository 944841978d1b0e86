#include "tests/client/cli/files/hdf5_file.h"

#include <hdf5.h>

#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

// In the file, and as `bytes` has it.
hid_t HalfType() {
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  return half;
}

hid_t TypeOf(const std::string& name) {
  if (name == "float16") return HalfType();
  if (name == "float32") return H5Tcopy(H5T_IEEE_F32LE);
  if (name == "float32 big-endian") return H5Tcopy(H5T_IEEE_F32BE);
  if (name == "float64") return H5Tcopy(H5T_IEEE_F64LE);
  if (name == "uint8") return H5Tcopy(H5T_STD_U8LE);
  if (name == "int8") return H5Tcopy(H5T_STD_I8LE);
  if (name == "int16") return H5Tcopy(H5T_STD_I16LE);
  if (name == "int32") return H5Tcopy(H5T_STD_I32LE);
  if (name == "uint32") return H5Tcopy(H5T_STD_U32LE);
  if (name == "int64") return H5Tcopy(H5T_STD_I64LE);
  if (name == "uint64") return H5Tcopy(H5T_STD_U64LE);
  return H5Tcopy(H5T_C_S1);
}

// Leaves the bytes as they are.
size_t ForeignFilter(unsigned, size_t, const unsigned[], size_t bytes, size_t*, void**) {
  return bytes;
}

constexpr H5Z_class2_t kForeign = {H5Z_CLASS_T_VERS, 400,     1,       1,
                                   "foreign",        nullptr, nullptr, ForeignFilter};

void Write(hid_t file, const Hdf5Data& data) {
  const hid_t type = TypeOf(data.type);
  const std::vector<hsize_t> shape(data.shape.begin(), data.shape.end());
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  if (data.compressed || data.filtered) {
    std::vector<hsize_t> chunk = shape;
    chunk[0] = 2;
    H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data());
    if (data.compressed) H5Pset_deflate(properties, 6);
    if (data.filtered) {
      ASSERT_GE(H5Zregister(&kForeign), 0);
      ASSERT_GE(H5Pset_filter(properties, kForeign.id, H5Z_FLAG_MANDATORY, 0, nullptr), 0);
    }
  }
  const hid_t groups = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(groups, 1);
  const hid_t dataset =
      H5Dcreate2(file, data.name.c_str(), type, space, groups, properties, H5P_DEFAULT);
  ASSERT_GE(dataset, 0) << data.name;
  if (!data.bytes.empty()) {
    ASSERT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.bytes.data()), 0);
  }
  H5Dclose(dataset);
  H5Pclose(groups);
  H5Pclose(properties);
  H5Sclose(space);
  H5Tclose(type);
}

}  // namespace

void WriteHdf5(const std::string& path, const std::vector<Hdf5Data>& datasets) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  ASSERT_GE(file, 0) << path;
  for (const Hdf5Data& data : datasets) Write(file, data);
  ASSERT_GE(H5Fclose(file), 0);
  // Not before the file is closed, which writes the chunks.
  if (H5Zfilter_avail(kForeign.id) > 0) {
    ASSERT_GE(H5Zunregister(kForeign.id), 0);
  }
}

}  // namespace tessera::cli
