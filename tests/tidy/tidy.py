"""Checks that the tree keeps the rules of the house: tidy.py ROOT CHECK. See README.md."""

import shutil
import subprocess
import sys

import includes
import layout
import limits
import links
import sizes
import wording
from tree import Tree

SKIPPED = 77  # the exit code that ctest knows as "skipped"
FORMATTER = "clang-format-14"  # layouts differ between versions

CHECKS = {
    "includes": includes.check,
    "links": links.check,
    "sizes": sizes.check,
    "guards": layout.check_guards,
    "readmes": layout.check_readmes,
    "references": layout.check_references,
    "scripts": layout.check_scripts,
    "limits": limits.check,
    "wording": wording.check,
    "whitespace": wording.check_whitespace,
}


def check_format(tree):
    """Exit code of the formatter's verdict on every C++ file."""
    formatter = shutil.which(FORMATTER)
    if formatter is None:
        print(f"skipped: {FORMATTER} is not installed")
        return SKIPPED
    paths = [path for path, _ in tree.cpp()]
    if not paths:
        return 0
    return subprocess.run([formatter, "--dry-run", "--Werror", *paths], cwd=tree.root,
                          check=False).returncode


def main(arguments):
    names = sorted([*CHECKS, "format"])
    if len(arguments) != 2 or arguments[1] not in names:
        print(f"usage: tidy.py ROOT ({'|'.join(names)})", file=sys.stderr)
        return 2
    tree = Tree(arguments[0])
    if not tree.paths:
        print(f"tidy.py: no files below {arguments[0]}", file=sys.stderr)
        return 2
    if arguments[1] == "format":
        return check_format(tree)
    complaints = list(CHECKS[arguments[1]](tree))
    for complaint in complaints:
        print(complaint)
    print(f"{arguments[1]}: {len(tree.paths)} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
