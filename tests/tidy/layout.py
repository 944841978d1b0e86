"""Where things are: header guards, READMEs, scripts."""

import posixpath
import re

from tree import is_shell

# Folders of tests that mirror the tree; tests/README.md speaks for them.
_MIRRORS = ("tests/index", "tests/server", "tests/client")
# A relative link of Markdown, without its anchor.
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)")


def check_guards(tree):
    for path, text in tree.cpp():
        if not path.endswith(".h"):
            continue
        guard = "TESSERA_" + re.sub(r"\W", "_", path).upper() + "_"
        lines = [line for line in text.split("\n") if line]
        opens = any(lines[i:i + 2] == [f"#ifndef {guard}", f"#define {guard}"]
                    for i in range(len(lines)))
        # Highway compiles a file once for each target, with a guard that toggles.
        toggles = "HWY_TARGET_TOGGLE" in text
        if not opens and not toggles:
            yield f"{path}:1: has no header guard {guard}"
        elif opens and lines[-1] != f"#endif  // {guard}":
            yield f"{path}:{text.count(chr(10))}: does not end with `#endif  // {guard}`"


def check_readmes(tree):
    present = set(tree.paths)
    # The packages of the wire API share one page.
    owners = {"proto" if path.startswith("proto/") else path.rpartition("/")[0]
              for path, _ in tree.sources()}
    for folder in sorted(owners):
        mirrors = any(folder == m or folder.startswith(m + "/") for m in _MIRRORS)
        if folder and not folder.startswith(".") and not mirrors \
                and f"{folder}/README.md" not in present:
            yield f"{folder}/README.md: missing; it says what lives in this folder and why"


def check_scripts(tree):
    for path, text in tree.texts():
        first = text.split("\n", 1)[0]
        if first.startswith("# shellcheck shell="):  # sourced by others, under their settings
            continue
        if is_shell(path, text):
            if not first.startswith("#!"):
                yield f"{path}:1: has neither `#!` nor (if it is sourced) `# shellcheck shell=`"
            if not re.search(r"^set -euo pipefail$", text, re.MULTILINE):
                yield f"{path}:1: does not `set -euo pipefail`"
        if first.startswith("#!") and not tree.executable(path):
            yield f"{path}:1: has `#!` but is not executable"


def check_references(tree):
    """Links between the tree's own pages lead somewhere."""
    known = set(tree.paths) | {p.rpartition("/")[0] for p in tree.paths}
    known |= {folder.rpartition("/")[0] for folder in known} | {"LICENSE"}
    for path, text in tree.texts():
        if not path.endswith(".md"):
            continue
        for match in _LINK.finditer(text):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
            if target not in known and not target.startswith("tests/data/"):
                number = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{number}: the link to {match[1]} leads nowhere"
