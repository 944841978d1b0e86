# shellcheck shell=bash
# What deploy/quickstart and deploy/test share: step headings, packages, the build. Sourced by them;
# sets ROOT (the project's directory) and expects `set -euo pipefail` in the caller.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

step_name=""
step_start=0

# Ends the step before, with its time, and starts one of the given name.
step() {
  step_end
  step_name=$1
  step_start=$EPOCHREALTIME
  printf '\n== %s\n' "$step_name"
}

step_end() {
  if [[ -n "$step_name" ]]; then
    # EPOCHREALTIME has six digits after a point or a comma, as the locale says.
    local us=$((${EPOCHREALTIME/[.,]/} - ${step_start/[.,]/}))
    printf -- '-- %s: %d.%d s\n' "$step_name" $((us / 1000000)) $((us / 100000 % 10))
    step_name=""
  fi
}

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# install_packages GROUP...: see deploy/packages.sh.
install_packages() {
  "$ROOT/deploy/packages.sh" install "$@"
}

# Compilers to run at once: one a core, but no more than memory allows at 1.5 GB each.
build_jobs() {
  local cores memory_kb jobs
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  jobs=$((memory_kb / 1500000))
  if ((jobs < 1)); then jobs=1; fi
  if ((jobs > cores)); then jobs=$cores; fi
  echo "$jobs"
}

# Tests to run at once: many start servers, and wait for disks more than they compute.
test_jobs() {
  local jobs
  jobs=$(build_jobs)
  if ((jobs > 4)); then jobs=4; fi
  echo "$jobs"
}

# build PRESET TESTS TARGET...: configures and builds. TESTS is ON, or AS_IS to leave a build
# directory that has the tests as it is and to make a new one without them.
build() {
  local preset=$1 tests=$2 directory="$ROOT/build/$1"
  shift 2
  local configure=(cmake -S "$ROOT" --preset "$preset")
  if [[ "$tests" == ON ]]; then
    configure+=(-DTESSERA_BUILD_TESTS=ON)
  elif [[ ! -e "$directory/build.ninja" ]]; then
    configure+=(-DTESSERA_BUILD_TESTS=OFF)
  fi
  "${configure[@]}"
  cmake --build "$directory" --parallel "$(build_jobs)" --target "$@"
}
