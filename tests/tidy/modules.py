"""The house: its modules, and which of them each may know."""

# Module (a folder) -> modules that its files may include and its targets may link.
_BASE = {"index/base"}
_SIMD = _BASE | {"index/simd"}
_CLUSTER = _SIMD | {"index/cluster"}
_QUANTIZE = _CLUSTER | {"index/quantize"}
_CODEBOOK = _QUANTIZE | {"index/codebook"}
_IVF = _CODEBOOK | {"index/ivf"}
_TUNE = _IVF | {"index/tune"}
_FILTER = _BASE | {"server/filter"}
_EDGES = {"server/config", "server/auth", "server/limits", "server/metrics"}
_ENGINE = _TUNE | _FILTER | {"server/storage", "server/snapshot", "server/metrics", "server/engine"}
_RPC = _ENGINE | _EDGES | {"proto", "server/rpc"}

ALLOWED = {
    "proto": set(),
    "index/base": set(),
    "index/simd": _BASE,
    "index/cluster": _SIMD,
    "index/quantize": _CLUSTER,
    "index/codebook": _QUANTIZE,
    "index/ivf": _CODEBOOK,
    "index/tune": _IVF,
    "server/storage": _BASE,
    "server/filter": _BASE,
    "server/snapshot": _BASE | {"server/storage"},
    "server/config": _BASE,
    "server/auth": _BASE,
    "server/limits": _BASE,
    "server/metrics": _BASE,
    "server/engine": _TUNE | _FILTER | {"server/storage", "server/snapshot", "server/metrics"},
    "server/rpc": _ENGINE | _EDGES | {"proto"},
    "server/fsck": _ENGINE,
    "server/http": _ENGINE | _EDGES,
    "server": _RPC | {"server/http"},  # main.cc, the composition root
    "client/cpp": _BASE | {"proto"},
    # fsck checks a directory on the operator's own machine: there is no server to ask.
    "client/cli": _BASE | {"proto", "client/cpp", "server/fsck"},
}

# Header prefix -> (what it is, modules that may include it).
_GRPC = {"proto", "server/rpc", "server", "client/cpp", "client/cli"}
LIBRARY_HEADERS = {
    "hwy/": ("Highway", {"index/simd"}),
    "rocksdb/": ("RocksDB", {"server/storage"}),
    "grpc/": ("gRPC", _GRPC),
    "grpcpp/": ("gRPC", _GRPC),
    "google/protobuf/": ("Protobuf", _GRPC),
    "google/rpc/": ("the wire API", _GRPC),
    "tessera/v1/": ("the wire API", _GRPC),
    "dnnl": ("oneDNN", {"index/cluster"}),
    "oneapi/dnnl/": ("oneDNN", {"index/cluster"}),
    "Eigen/": ("Eigen", {"index/cluster"}),
    "CLI/": ("CLI11", {"client/cli"}),
    "hdf5": ("HDF5", {"client/cli"}),
    "simdjson": ("simdjson", {"client/cli"}),
    "roaring/": ("roaring", {"server/filter", "server/engine"}),
    "prometheus/": ("prometheus-cpp", {"server/http"}),
    "openssl/": ("OpenSSL", {"server/auth", "server/engine"}),
}

# Library target -> (what it is, modules whose targets may link it).
LIBRARY_TARGETS = {
    "hwy": LIBRARY_HEADERS["hwy/"],
    "rocksdb": LIBRARY_HEADERS["rocksdb/"],
    "grpc": LIBRARY_HEADERS["grpcpp/"],
    "protobuf": LIBRARY_HEADERS["google/protobuf/"],
    "dnnl": LIBRARY_HEADERS["dnnl"],
    "eigen3": LIBRARY_HEADERS["Eigen/"],
    "cli11": LIBRARY_HEADERS["CLI/"],
    "hdf5": LIBRARY_HEADERS["hdf5"],
    "simdjson": LIBRARY_HEADERS["simdjson"],
    "roaring": LIBRARY_HEADERS["roaring/"],
    "prometheus-cpp": LIBRARY_HEADERS["prometheus/"],
    "openssl": LIBRARY_HEADERS["openssl/"],
}

# The index has no file, no socket, no RPC and no thread of its own.
INDEX_FORBIDDEN_HEADERS = {
    "iostream", "fstream", "filesystem", "thread", "future", "stop_token", "pthread.h",
    "sys/socket.h", "sys/stat.h", "sys/file.h", "sys/epoll.h", "netdb.h", "fcntl.h", "poll.h",
}
INDEX_FORBIDDEN_PREFIXES = ("netinet/", "arpa/", "spdlog/", "nlohmann/", "absl/flags/")


def module_of(path):
    """The module that a file belongs to; "" for tests and files outside the house."""
    folder = path.rsplit("/", 1)[0] if "/" in path else ""
    while folder:
        if folder in ALLOWED:
            return folder
        folder = folder.rpartition("/")[0]
    return ""


def may_know(module, other):
    """Whether files of `module` may use `other`. Tests may use everything."""
    return module in ("", other) or other in ALLOWED[module]
