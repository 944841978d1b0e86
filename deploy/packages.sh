#!/usr/bin/env bash
# The one list of Debian 12 packages that Tessera needs, and their installation.
#
#   deploy/packages.sh list GROUP...       prints the packages of the groups
#   deploy/packages.sh install GROUP...    installs those that are missing (root, or through sudo)
#
# Groups: build (compile the server and the CLI), dev (what a working copy needs besides: compiler
# cache, the interpreter of our scripts), test (compile and run the test suite).
set -euo pipefail

packages_of() {
  case "$1" in
    build)
      echo g++ cmake ninja-build
      echo libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
      echo librocksdb-dev libaio-dev libhwy-dev libdnnl-dev libssl-dev libroaring-dev
      echo libspdlog-dev libcli11-dev nlohmann-json3-dev prometheus-cpp-dev
      # What the CLI reads: HDF5, and JSON Lines at a speed that fits vectors.
      echo libhdf5-dev libsimdjson-dev
      ;;
    dev) echo ccache python3 ;;
    test)
      echo libgtest-dev libgmock-dev python3 clang-format-14
      # index/ is compiled for another processor as well.
      echo g++-aarch64-linux-gnu
      # The foreign client speaks gRPC from the .proto files alone.
      echo python3-grpcio python3-numpy python3-protobuf
      ;;
    *)
      echo "packages.sh: unknown group '$1' (build, dev, test)" >&2
      return 2
      ;;
  esac
}

list() {
  local group
  for group in "$@"; do
    packages_of "$group"
  done | tr ' ' '\n' | sort -u
}

# Prints the names among its arguments that dpkg does not have installed.
missing() {
  local name
  for name in "$@"; do
    if [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null)" \
        != installed ]]; then
      echo "$name"
    fi
  done
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "packages.sh: needs root or sudo to run: $*" >&2
    return 1
  fi
}

install() {
  local names absent
  names=$(list "$@")
  # shellcheck disable=SC2086  # one word a package
  mapfile -t absent < <(missing $names)
  if [[ ${#absent[@]} == 0 ]]; then
    echo "packages: all there"
    return
  fi
  echo "packages: installing ${absent[*]}"
  # A source of other software that does not answer must not stop us: the installation below fails
  # by itself when a package of ours cannot be had.
  as_root apt-get update -q || echo "packages: apt-get update reported errors; going on" >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${absent[@]}"
}

if [[ $# -lt 2 ]]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0"
  exit 2
fi
command=$1
shift
case "$command" in
  list) list "$@" ;;
  install) install "$@" ;;
  *)
    echo "packages.sh: unknown command '$command' (list, install)" >&2
    exit 2
    ;;
esac
