"""Runs the five-minute tour of README.md as it is written: tour_test.py SOURCE_DIR BUILD_DIR.

Only what has to differ on a machine where other tests run is changed: the build directory, the
data directory, and (by environment variables) the port.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import unittest

SOURCE_DIR, BUILD_DIR = sys.argv[1:3]
MARK = "=== "  # before each command, in the output


def tour():
    """The commands of the README's tour, one string each, continuation lines joined."""
    with open(os.path.join(SOURCE_DIR, "README.md"), encoding="utf-8") as file:
        text = file.read()
    section = re.search(r"^## A tour[^\n]*\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)[1]
    code = "\n".join(line[4:] for line in section.split("\n") if line.startswith("    "))
    return code.replace("\\\n", " ").split("\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tour(unittest.TestCase):

    def run_tour(self, commands, data_dir):
        script = ["set -emo pipefail", "shopt -s expand_aliases",
                  "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
        for command in commands:
            changed = command.replace("build/release", BUILD_DIR)
            script += ["echo " + shlex.quote(MARK + command), changed.replace("/tmp/tessera-tour", data_dir)]
        address = f"127.0.0.1:{free_port()}"
        # bash reads the script from its input, line by line, so that aliases work as at a prompt.
        return subprocess.run(
            ["bash"], input="\n".join(script) + "\n", cwd=SOURCE_DIR, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "TESSERA_LISTEN": address, "TESSERA_SERVER": address})

    def test_as_written(self):
        commands = tour()
        self.assertGreater(len(commands), 8, commands)
        with tempfile.TemporaryDirectory() as folder:
            run = self.run_tour(commands, os.path.join(folder, "data"))
        print(run.stdout)
        self.assertEqual(run.returncode, 0)
        outputs = [part.split("\n", 1) for part in run.stdout.split(MARK)[1:]]
        searches = [output for command, output in outputs if command.startswith("tessera search")]
        asked, filtered, grouped, like, ranged, bounded = (searches.pop(1) for _ in range(6))
        self.assertRegex(asked, r"expected_recall +0\.9[5-9]")
        self.assertIn("EXACT_MATCHING", filtered)
        self.assertIn("animal", filtered)
        self.assertEqual(grouped.count("category = "), 3)
        self.assertIn("like the examples", like)
        self.assertIn("banjo", ranged)
        self.assertIn("TOLD BY", ranged)
        self.assertIn("UPPER", bounded)
        self.assertEqual(len(searches), 2)
        self.assertIn("banjo", searches[0])
        self.assertEqual(searches[0].strip(), searches[1].strip())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
