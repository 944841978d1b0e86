"""Each check finds the bad input that it is there for, and passes the good one beside it."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tidy import CHECKS
from tree import Tree

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")


class TidyTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def write(self, path, text, mode=0o644):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(full, mode)

    def complaints(self, check):
        return list(CHECKS[check](Tree(self.root)))

    def assert_clean(self, check):
        self.assertEqual(self.complaints(check), [])

    def assert_complains(self, check, *expected):
        found = self.complaints(check)
        self.assertEqual(len(found), len(expected), found)
        for part, complaint in zip(expected, found):
            self.assertIn(part, complaint)


class Includes(TidyTest):

    def test_down_the_house_is_fine(self):
        self.write("index/ivf/a.cc", '#include "index/simd/b.h"\n#include <vector>\n')
        self.write("index/simd/b.h", "#include <hwy/highway.h>\n")
        self.write("server/storage/c.cc", '#include <rocksdb/db.h>\n'
                   '#include "index/base/types.h"\n')
        self.write("server/rpc/d.cc", '#include <grpcpp/grpcpp.h>\n'
                   '#include "server/engine/engine.h"\n#include "tessera/v1/points.pb.h"\n')
        self.write("server/main.cc", '#include "server/rpc/d.h"\n#include <grpcpp/grpcpp.h>\n')
        self.write("client/cpp/e.cc", '#include "index/base/limits.h"\n')
        self.write("tests/index/f.cc", '#include "server/rpc/d.h"\n')
        self.assert_clean("includes")

    def test_up_the_house(self):
        self.write("index/base/a.h", '\n#include "index/simd/b.h"\n')
        self.assert_complains("includes", "index/base/a.h:2: includes index/simd/b.h")

    def test_across_the_house(self):
        self.write("server/storage/a.h", '#include "index/simd/b.h"\n')
        self.write("client/cpp/a.h", '#include "server/engine/types.h"\n')
        self.write("server/engine/a.h", '#include "server/rpc/service.h"\n')
        self.assert_complains("includes", "client/cpp/a.h:1", "server/engine/a.h:1",
                              "server/storage/a.h:1")

    def test_a_library_has_one_user(self):
        self.write("index/ivf/a.cc", "#include <hwy/highway.h>\n")
        self.write("server/engine/a.cc", "#include <rocksdb/db.h>\n")
        self.write("server/config/a.cc", "  #  include <grpcpp/grpcpp.h>\n")
        self.write("server/engine/b.cc", '#include "tessera/v1/points.pb.h"\n')
        self.assert_complains("includes", "Highway", "gRPC", "RocksDB", "the wire API")

    def test_the_index_has_no_files_and_threads(self):
        self.write("index/base/a.cc", "#include <thread>\n#include <sys/socket.h>\n"
                   "#include <fstream>\n#include <sys/mman.h>\n#include <netinet/in.h>\n")
        self.assert_complains("includes", "thread", "sys/socket.h", "fstream", "netinet/in.h")

    def test_code_outside_the_house(self):
        self.write("extra/a.cc", "int a;\n")
        self.write("index/ivf/a.cc", '#include "b.h"\n')
        self.write("server/rpc/a.cc", '#include "tests/util.h"\n')
        self.assert_complains("includes", "extra/a.cc:1", "from the project's root", "only tests")


class Links(TidyTest):

    def test_targets(self):
        self.write("index/base/CMakeLists.txt", "tessera_library(tessera_base SRCS a.cc)\n")
        self.write("index/simd/CMakeLists.txt", "tessera_library(tessera_simd\n  SRCS a.cc"
                   "\n  LIBS tessera_base hwy::hwy)  # LIBS tessera_rpc\n")
        self.write("server/rpc/CMakeLists.txt", "tessera_library(tessera_rpc SRCS a.cc)\n")
        self.assert_clean("links")
        self.write("index/base/CMakeLists.txt", "# nothing\ntessera_library(tessera_base "
                   "SRCS a.cc PUBLIC_LIBS tessera_simd)\n")
        self.write("server/engine/CMakeLists.txt", "add_library(tessera_engine a.cc)\n"
                   "target_link_libraries(tessera_engine PRIVATE tessera_rpc "
                   "RocksDB::rocksdb)\n")
        self.assert_complains("links", "index/base/CMakeLists.txt:2: tessera_base links "
                              "tessera_simd", "tessera_engine links tessera_rpc", "RocksDB")


class Sizes(TidyTest):

    def test_distribution(self):
        for i in range(10):
            self.write(f"index/base/a{i}.cc", "int a;\n" * 150)
        self.write("index/base/b.cc", "int b;\n" * 401)
        self.assert_clean("sizes")
        self.write("index/base/c.cc", "int c;\n" * 401)
        self.assert_complains("sizes", "2 of 12 files have more than 400 lines")

    def test_median(self):
        self.write("index/base/a.cc", "int a;\n" * 151)
        self.assert_complains("sizes", "the median file has 151 lines")

    def test_one_file(self):
        self.write("README.md", "text\n" * 801)
        self.write("index/README.md", "text\n" * 121)
        self.write("LICENSE", "text\n" * 900)
        self.assert_complains("sizes", "801 lines", "121 lines")

    def test_functions(self):
        body = "  a();\n"
        self.write("index/base/a.cc", "namespace tessera {\nnamespace {\n\n"
                   "void F(int a,\n       int b) {\n" + body * 68 + "}\n\n}  // namespace\n"
                   + body * 10 + "}  // namespace tessera\n")
        self.assert_clean("sizes")
        self.write("index/base/a.cc", "class A {\n public:\n  void F() const {\n"
                   + "  " * 1 + body * 70 + "  }\n" + "  int b_;\n" * 20 + "};\n")
        self.assert_complains("sizes", "index/base/a.cc:3: a function of 72 lines")


class Layout(TidyTest):

    GUARD = "TESSERA_INDEX_BASE_A_H_"

    def test_guards(self):
        text = f"#ifndef {self.GUARD}\n#define {self.GUARD}\n\n#endif  // {self.GUARD}\n"
        self.write("index/base/a.h", text)
        self.assert_clean("guards")
        self.write("index/base/b.h", text)
        self.write("index/base/c.h", "#pragma once\n")
        self.write("index/base/a.h", text.replace("  // ", " // "))
        self.assert_complains("guards", "a.h:4: does not end", "B_H_", "C_H_")

    def test_readmes(self):
        self.write("index/base/a.h", "")
        self.write("tests/index/base/a_test.cc", "")
        self.write("tests/tidy/a.py", "")
        self.assert_complains("readmes", "index/base/README.md", "tests/tidy/README.md")
        self.write("index/base/README.md", "# base\n")
        self.write("tests/tidy/README.md", "# tidy\n")
        self.assert_clean("readmes")

    def test_references(self):
        self.write("index/base/a.h", "")
        self.write("README.md", "[a](index/base/a.h) [b](index) [c](https://d.example/e) [f](#g)\n")
        self.write("index/README.md", "[up](../README.md#part) [down](base/a.h)\n")
        self.assert_clean("references")
        self.write("index/README.md", "fine\n[up](../LIES.md) [down](a.h)\n")
        self.assert_complains("references", "index/README.md:2: the link to ../LIES.md",
                              "the link to a.h")

    def test_scripts(self):
        good = "#!/usr/bin/env bash\nset -euo pipefail\n"
        self.write("deploy/run", good, 0o755)
        self.write("deploy/lib.sh", "# shellcheck shell=bash\n")
        self.assert_clean("scripts")
        self.write("deploy/a", good)
        self.write("deploy/b", "#!/bin/bash\nset -e\n", 0o755)
        self.write("deploy/c.sh", "set -euo pipefail\n")
        self.assert_complains("scripts", "a:1: has `#!` but", "b:1: does not", "c.sh:1: has neit")

    def test_limits(self):
        limit = "inline constexpr size_t kRowsMax = 5;\n"
        self.write("index/base/limits.h", limit)
        self.write("server/rpc/a.cc", "f(kRowsMax);\nconst size_t rows = limits::kRowsMax;\n")
        self.assert_clean("limits")
        self.write("server/rpc/b.cc", "\n" + limit)
        self.write("server/rpc/c.h", "static constexpr int kOpenMax{3};\n")
        self.assert_complains("limits", "b.cc:2: kRowsMax", "c.h:1: kOpenMax")

    def test_limits_that_people_read(self):
        self.write("index/base/limits.h", "inline constexpr uint32_t kRowsMax = 32'768;  // or\n"
                   "inline constexpr size_t kBytesMax = size_t{64} << 10;\n"
                   "inline constexpr uint64_t kPointsMax = 0xFFFF'FF00u;\n")
        self.write("README.md", "| rows | 32,768 | `kRowsMax` |\n| bytes | 64 KiB | `kBytesMax` |\n"
                   "| points | 4,294,967,040 in one | `kPointsMax` |\n")
        self.assert_clean("limits")
        self.write("README.md", "| rows | 32,769 | `kRowsMax` |\n| bytes | 64 | `kBytesMax` |\n"
                   "| other | 5 | `kOtherMax` |\n| points | many | `kPointsMax` |\n")
        self.assert_complains("limits", "README.md:1: says 32,769, kRowsMax is 32768",
                              "README.md:2", "README.md:3: kOtherMax is not", "README.md:4")


class Wording(TidyTest):

    def test_unfinished(self):
        self.write("a.md", "// TO" "DO(rocksdb 8): drop when it does this itself\n")
        self.assert_clean("wording")
        self.write("a.md", "// TO" "DO: later\n# FIX" "ME\nmastodon, hacksaw\n")
        self.assert_complains("wording", "a.md:1", "a.md:2")

    def test_paths_and_trackers(self):
        self.write("a.md", "$HOME/work/x ${A}/home/b https://a.example/work/c server/root/d\n")
        self.assert_clean("wording")
        self.write("a.md", "see /ho" "me/somebody/x\n'/wo" "rk/main'\nas is" "sue 12 says\n")
        self.assert_complains("wording", "a.md:1", "a.md:2", "a.md:3")

    def test_whitespace(self):
        self.write("a.md", "fine\n\nfine\n")
        self.assert_clean("whitespace")
        self.write("a.md", "a \nb\tc\nd")
        self.write("b.md", "a\n\n")
        self.assert_complains("whitespace", "a.md:3", "a.md:1", "a.md:2", "b.md:2")


class Program(TidyTest):

    def run_tidy(self, check):
        return subprocess.run([sys.executable, "-B", TIDY, self.root, check],
                              capture_output=True, text=True, check=False)

    def test_exit_codes(self):
        self.write("a.md", "fine\n")
        self.assertEqual(self.run_tidy("whitespace").returncode, 0)
        self.write("a.md", "bad \n")
        failed = self.run_tidy("whitespace")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("a.md:1: has white space at its end", failed.stdout)
        self.assertEqual(self.run_tidy("nonsense").returncode, 2)

    def test_format(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("index/a.cc", "int a;\n")
        good = self.run_tidy("format")
        if good.returncode == 77:
            self.skipTest(good.stdout)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.write("index/a.cc", "int  a ;\n")
        self.assertEqual(self.run_tidy("format").returncode, 1)

    def test_nothing_is_no_success(self):
        self.assertEqual(self.run_tidy("includes").returncode, 2)

    @unittest.skipUnless(shutil.which("git"), "git is not installed")
    def test_ignored_files_are_not_ours(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.write(".gitignore", "/build/\n")
        self.write("build/a.md", "bad \n")
        self.write("b.md", "bad \n")
        self.assert_complains("whitespace", "b.md:1")


if __name__ == "__main__":
    unittest.main()
