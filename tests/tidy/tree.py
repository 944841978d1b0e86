"""The project's own files: which there are, and what kind each is."""

import os
import subprocess

CPP = (".cc", ".h")
# Bytes that are not ours to style: data sets, inputs of fuzzers and the licence text.
NOT_OURS = ("tests/data/", "tests/fuzz/corpus/", "LICENSE")
# Left out where git cannot be asked.
NOT_SOURCE = {".git", "build", ".quickstart", "__pycache__"}


class Tree:
    """Files below `root` by their paths from there, with `/`. Reads each at most once."""

    def __init__(self, root):
        self.root = root
        self._texts = {}
        self.paths = sorted(p for p in _list(root) if not p.startswith(NOT_OURS))

    def text(self, path):
        """The file's text; None if it is not UTF-8."""
        if path not in self._texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8", newline="") as file:
                    self._texts[path] = file.read()
            except UnicodeDecodeError:
                self._texts[path] = None
        return self._texts[path]

    def texts(self):
        """(path, text) of every text file."""
        return [(p, self.text(p)) for p in self.paths if self.text(p) is not None]

    def cpp(self):
        """(path, text) of every C++ file."""
        return [(p, t) for p, t in self.texts() if p.endswith(CPP)]

    def sources(self):
        """(path, text) of what people write and read as code, build files left out."""
        return [(p, t) for p, t in self.texts()
                if p.endswith(CPP + (".proto", ".py")) or is_shell(p, t)]

    def executable(self, path):
        return os.access(os.path.join(self.root, path), os.X_OK)


def is_shell(path, text):
    first = text.split("\n", 1)[0]
    return path.endswith((".sh", ".bash")) or (first.startswith("#!") and first.endswith("sh"))


def _list(root):
    """Files that git knows or would add; without git, all but the well-known outputs."""
    try:
        top = subprocess.run(["git", "-C", root, "rev-parse", "--show-prefix"],
                             capture_output=True, text=True, check=True).stdout.strip()
        if top == "":
            listed = subprocess.run(
                ["git", "-C", root, "ls-files", "-z", "--cached", "--others",
                 "--exclude-standard"], capture_output=True, text=True, check=True).stdout
            return [p for p in listed.split("\0")
                    if p and os.path.isfile(os.path.join(root, p))]
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in NOT_SOURCE]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return found
