#!/usr/bin/python3
"""Compiles every unit of index/ for another processor, without linking.

usage: cross_compile.py SOURCE_DIR BUILD_DIR COMPILER

The units and their flags are those of BUILD_DIR/compile_commands.json. Exit code 77, with the
reason, where the compiler is not installed.
"""

import concurrent.futures
import json
import os
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77


def command_for(unit, compiler):
    """The unit's command for `compiler`: it only checks, and takes no flag of the host's processor."""
    words = shlex.split(unit["command"])
    # Before the compiler stands, perhaps, a compiler cache.
    flags = words[next(i for i, word in enumerate(words) if word.startswith("-")):]
    kept, skip = [], False
    for flag in flags:
        if skip or flag.startswith("-march=") or flag in ("-c", unit["file"]):
            skip = False
        elif flag in ("-o", "-MF", "-MT"):
            skip = True
        elif flag != "-MD":
            kept.append(flag)
    # Libraries' headers are the same for all processors; the C library's are the compiler's own.
    return [compiler, *kept, "-idirafter", "/usr/include", "-Werror", "-fsyntax-only", unit["file"]]


def main():
    source, build, compiler = sys.argv[1:]
    if shutil.which(compiler) is None:
        print(f"skipped: {compiler} is not installed (Debian's package g++-aarch64-linux-gnu)")
        return SKIPPED
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        index = os.path.join(os.path.realpath(source), "index") + os.sep
        units = [u for u in json.load(file) if os.path.realpath(u["file"]).startswith(index)]
    if not units:
        print("no unit of index/ in compile_commands.json")
        return 1

    def compile_unit(unit):
        return subprocess.run(command_for(unit, compiler), cwd=unit["directory"],
                              capture_output=True, text=True, check=False)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for unit, result in zip(units, pool.map(compile_unit, units)):
            if result.returncode != 0:
                failed += 1
                print(f"{unit['file']}: exit code {result.returncode}\n{result.stderr}")
    print(f"{len(units) - failed} of {len(units)} units compile with {compiler}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
